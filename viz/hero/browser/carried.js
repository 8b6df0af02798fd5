// What each model carries after the token that has been read, on canvases: cells, tile, ink, doors.

// The last token of a lane that has been read; -1 before any.
const readBy = (view, lane) => (lane.steps ? lane.steps[view.shown] : view.shown);

function drawCarried(view, own) {
  const token = readBy(view, own.lane);
  if (own.cells) drawCells(view, own, token);
  if (own.tile) drawTile(view, own, token);
  for (const ink of own.ink) drawInk(view, own, ink, token);
  if (own.doors) drawDoors(view, own, token);
}

function writeCarried(view, own) {
  const { lane } = own;
  const token = readBy(view, lane);
  own.bytes.textContent = lane.carried.length ? (token < 0 ? "–" : lane.carried[token]) : "";
  if (own.tile) writeShare(view, own, token);
}

// Clear a canvas at the size that it has on screen; null while it has none.
function cleared(canvas) {
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (!width || !height) return null;
  if (canvas.paper) return { ctx: canvas.paper, width, height };
  const dpr = (window.devicePixelRatio || 1) * (canvas.currentCSSZoom ?? 1);
  const [w, h] = [Math.round(width * dpr), Math.round(height * dpr)];
  if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
  const ctx = canvas.getContext("2d");
  ctx.setTransform(dpr, 0, 0, dpr, 0, 0);
  ctx.clearRect(0, 0, width, height);
  return { ctx, width, height };
}

// ---- cells: row t of the plane has the cells that t + 1 tokens fill

function cellsStart(t, pool) {
  const whole = Math.floor(t / pool);
  return (pool * whole * (whole + 1)) / 2 + (t % pool) * (whole + 1);
}

const cellsOf = (own) => Math.ceil(own.labels.length / own.lane.cells.pool);

function cellWeight(view, own, token, cell) {
  const { plane, pool } = own.lane.cells;
  return view.planes[plane][cellsStart(token, pool) + cell];
}

const cellWidth = (own, width) => Math.min(22, width / cellsOf(own));

function drawCells(view, own, token) {
  const made = cleared(own.cells);
  if (!made) return;
  const { ctx, width, height } = made;
  const { pool, high } = own.lane.cells;
  const { hairline, ink } = view.header.theme;
  const wide = cellWidth(own, width);
  const gap = wide > 6 ? 2 : 1;
  ctx.fillStyle = hairline;
  ctx.fillRect(0, height - 1, wide * cellsOf(own), 1);
  if (token < 0) return;
  const newest = Math.floor(token / pool);
  for (let cell = 0; cell <= newest; cell++) {
    const weight = cellWeight(view, own, token, cell);
    ctx.fillStyle = alpha(own.lane.color, 0.09 + 0.91 * Math.sqrt(Math.min(1, weight / high)));
    round(ctx, cell * wide, 3, wide - gap, height - 6, Math.min(3, wide / 4));
  }
  ctx.strokeStyle = ink;
  ctx.lineWidth = 1.5;
  ctx.beginPath();
  ctx.roundRect(newest * wide - 0.75, 2.25, wide - gap + 1.5, height - 4.5, Math.min(4, wide / 3));
  ctx.stroke();
}

// ---- tile: rows of channels from left to right, state dimensions from top to bottom

function tileValue(view, own, token, row, column) {
  const { plane, size } = own.lane.tile;
  return view.planes[plane][(token * size[0] + row) * size[1] + column];
}

function drawTile(view, own, token) {
  const made = cleared(own.tile);
  if (!made) return;
  const { ctx, width, height } = made;
  const [rows, columns] = own.lane.tile.size;
  const highs = view.planes[own.lane.tile.highs];
  ctx.fillStyle = view.header.theme.chip;
  round(ctx, 0, 0, width, height, 4);
  if (token < 0) return;
  const edge = (place, count, length) => Math.round((place * length) / count);
  for (let row = 0; row < rows; row++) {
    const x = edge(row, rows, width);
    for (let column = 0; column < columns; column++) {
      const y = edge(column, columns, height);
      const high = highs[row * columns + column];
      const share = high > 0 ? tileValue(view, own, token, row, column) / high : 0;
      ctx.fillStyle = alpha(own.lane.color, Math.min(1, share));
      ctx.fillRect(x, y, edge(row + 1, rows, width) - x - 0.5, edge(column + 1, columns, height) - y - 0.5);
    }
  }
}

function writeShare(view, own, token) {
  const { words } = view.header;
  const written = token < 0 ? 0 : view.planes[own.lane.tile.written][token];
  own.share.wrote.style.width = `${100 * written}%`;
  own.share.kept.textContent = token < 0 ? "" : `${words.kept} ${percent(1 - written)}`;
  own.share.written.textContent = token < 0 ? "" : `${words.wrote} ${percent(written)}`;
}

// ---- ink: the words themselves, once for each ink

function buildInks(view, own) {
  const box = element("div", "inks", own.marks);
  own.ink = own.lane.ink.names.map((name, band) => {
    const canvas = board(view, own, "ink", box, own.lane.ink.about[band], name);
    canvas.dataset.band = band;
    return { canvas, band, plan: null };
  });
}

// The share of a token, so many steps back, in an ink.
function inkShare(view, own, token, band, back) {
  const { plane, window: most, names } = own.lane.ink;
  if (back < 0 || back > token || back >= most) return 0;
  const full = Math.max(0, token - most + 1);
  const short = token - full;
  const start = names.length * ((short * (short + 1)) / 2 + full * most);
  return view.planes[plane][start + band * Math.min(token + 1, most) + back];
}

function drawInk(view, own, ink, token) {
  const made = cleared(ink.canvas);
  if (!made) return;
  const { ctx, width, height } = made;
  const from = Math.max(0, own.labels.length > own.lane.ink.window ? token - own.lane.ink.window + 1 : 0);
  const key = `${width} ${height} ${from}`;
  if (ink.plan?.key !== key) ink.plan = { key, ...inkPlan(view, own, ctx, width, height, from) };
  if (token < 0) return;
  const { words, font } = ink.plan;
  const shares = words.map((word) => word.tokens.reduce((sum, t) => sum + inkShare(view, own, token, ink.band, token - t), 0));
  const most = Math.max(...shares, 1e-12);
  ctx.font = font;
  ctx.textBaseline = "alphabetic";
  ctx.fillStyle = own.lane.color;
  words.forEach((word, i) => {
    if (word.tokens[0] > token) return;
    ctx.globalAlpha = Math.sqrt(shares[i] / most);
    ctx.fillText(word.text, word.x, word.y);
  });
  ctx.globalAlpha = 1;
}

// Where each word lies: in the largest type in which the text fits.
function inkPlan(view, own, ctx, width, height, from) {
  const pieces = inkPieces(view, own, from);
  for (let size = 14; ; size -= 0.5) {
    const font = `500 ${size}px ${view.header.theme.font}`;
    ctx.font = font;
    const words = wrapped(ctx, pieces, width, size);
    const bottom = words.length ? words.at(-1).y + size * 0.3 : 0;
    if (bottom <= height || size <= 6.5) return { words, font, size };
  }
}

function inkPieces(view, own, from) {
  const spans = own.lane.spans ?? view.header.spans;
  const signs = Array.from(view.header.prompt);
  const pieces = [];
  let end = from > 0 ? spans[from - 1][1] : 0;
  for (let token = from; token < spans.length; token++) {
    const [start, stop] = spans[token];
    if (stop <= start) continue;
    const before = pieces.at(-1);
    if (before && before.start === start && before.stop === stop) before.tokens.push(token);
    else pieces.push({ text: signs.slice(Math.min(end, start), stop).join(""), start, stop, tokens: [token] });
    end = Math.max(end, stop);
  }
  return pieces;
}

// Break lines between words only; a piece that continues a word stays with it.
function wrapped(ctx, pieces, width, size) {
  const line = size * 1.32;
  const found = [];
  let [x, y] = [0, size];
  for (let i = 0; i < pieces.length; ) {
    let next = i + 1;
    while (next < pieces.length && !/^\s/.test(pieces[next].text)) next += 1;
    const together = ctx.measureText(pieces.slice(i, next).map(({ text }) => text).join("").trim()).width;
    if (x > 0 && x + ctx.measureText(" ").width + together > width) [x, y] = [0, y + line];
    for (; i < next; i++) {
      const shown = (x === 0 ? pieces[i].text.trimStart() : pieces[i].text.replace(/\s+/g, " ")).trimEnd();
      const lead = shown.length - shown.trimStart().length;
      const gap = lead ? ctx.measureText(" ").width : 0;
      const text = shown.trimStart();
      const wide = ctx.measureText(text).width;
      if (x + gap + wide > width && x > 0) [x, y] = [0, y + line];
      found.push({ text, x: x + (x ? gap : 0), y, wide, tall: size, tokens: pieces[i].tokens });
      x += (x ? gap : 0) + wide;
    }
  }
  return found;
}

// ---- doors: a row for each layer, an opening as wide as its weight

function doorAt(own, canvas, layer, expert) {
  const { count, layers } = own.lane.doors;
  const [wide, tall] = [canvas.clientWidth / count, canvas.clientHeight / layers.length];
  return { x: expert * wide + 1, y: layer * tall + 1, width: Math.max(2, wide - 3), height: Math.max(2, tall - 3) };
}

// The weight with which a token is sent to an expert in one of the drawn layers; null for one that was not chosen.
function doorWeight(view, own, token, layer, expert) {
  const { chosen, weights, choices } = own.lane.doors;
  const start = (layer * own.labels.length + token) * choices;
  for (let n = 0; n < choices; n++) if (view.planes[chosen][start + n] === expert) return view.planes[weights][start + n];
  return null;
}

function drawDoors(view, own, token) {
  const made = cleared(own.doors);
  if (!made) return;
  const { ctx } = made;
  const { count, layers } = own.lane.doors;
  for (let layer = 0; layer < layers.length; layer++) {
    for (let expert = 0; expert < count; expert++) {
      const box = doorAt(own, own.doors, layer, expert);
      const weight = token < 0 ? null : doorWeight(view, own, token, layer, expert);
      ctx.strokeStyle = weight === null ? view.header.theme.hairline : own.lane.color;
      ctx.lineWidth = 1;
      ctx.beginPath();
      ctx.roundRect(box.x + 0.5, box.y + 0.5, box.width - 1, box.height - 1, 2);
      ctx.stroke();
      if (weight === null) continue;
      ctx.fillStyle = alpha(own.lane.color, 0.85);
      round(ctx, box.x, box.y, Math.max(2, box.width * Math.min(1, weight)), box.height, 2);
    }
  }
}
