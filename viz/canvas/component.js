// One picture: token strip, bars and heatmap on a canvas, with hover, keyboard cursor, frames and mosaic.
// Input: bytes written by spec.py (4-byte header length, JSON header, float32 planes). Output: trigger "picked"
// {row, column, tile, token}. Everything else (hover, frame, play) stays in the browser and survives new data.

const views = new WeakMap();

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  let view = views.get(parentElement);
  if (!view) {
    view = new View(parentElement.querySelector(".root"));
    views.set(parentElement, view);
  }
  view.pick = (value) => setTriggerValue("picked", value);
  view.update(data);
  return () => {
    view.destroy();
    views.delete(parentElement);
  };
}

// ---------------------------------------------------------------------------------------------- reading the payload

function decode(bytes) {
  const length = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  const floats = new Float32Array(bytes.slice(4 + length).buffer); // slice: float views need an aligned start
  const planes = [];
  let at = 0;
  for (const count of header.planes) {
    planes.push(floats.subarray(at, at + count));
    at += count;
  }
  return { header, planes };
}

function parseRamp(text) {
  const n = text.length / 6;
  const out = new Uint8Array(n * 3);
  for (let i = 0; i < n * 3; i++) out[i] = parseInt(text.substr(i * 2, 2), 16);
  return out;
}

const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.substr(i, 2), 16));
const alpha = (hex, a) => `rgba(${rgb(hex).join(",")},${a})`;

function shown(value) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 1e5 || size < 1e-4) return value.toExponential(3);
  return String(Number(value.toPrecision(5)));
}

const fill = (template, values) => template.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? values[name] : whole));

function element(tag, className, parent) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  parent.append(node);
  return node;
}

// ------------------------------------------------------------------------------------------------------------- view

class View {
  constructor(root) {
    this.root = root;
    this.root.replaceChildren();
    this.stage = element("div", "stage", root);
    this.base = element("canvas", "base", this.stage);
    this.over = element("canvas", "over", this.stage);
    this.tip = element("div", "tip", this.stage);
    this.tip.setAttribute("aria-hidden", "true");
    this.player = element("div", "player", root);
    this.foot = element("div", "foot", root);
    this.heard = element("div", "heard", root);
    this.heard.setAttribute("aria-live", "polite");
    this.stage.tabIndex = 0;
    this.stage.setAttribute("role", "img");
    this.cursor = null; // {zone, token | tile, row, column}
    this.frame = null;
    this.width = 0;
    this.timer = 0;
    this.ramps = [];
    this.images = new Map();
    this.buildPlayer();
    this.listen();
  }

  buildPlayer() {
    this.button = element("button", "", this.player);
    this.button.type = "button";
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 14 14");
    svg.setAttribute("aria-hidden", "true");
    this.icon = document.createElementNS("http://www.w3.org/2000/svg", "path");
    svg.append(this.icon);
    this.button.append(svg);
    this.slider = element("input", "", this.player);
    this.slider.type = "range";
    this.slider.min = 0;
    this.output = element("output", "", this.player);
    this.button.onclick = () => (this.timer ? this.stop() : this.play());
    this.slider.oninput = () => {
      this.stop();
      this.setFrame(Number(this.slider.value));
    };
  }

  listen() {
    this.stage.onpointermove = (event) => this.hover(event);
    this.stage.onpointerdown = (event) => this.hover(event);
    this.stage.onpointerleave = () => this.setCursor(null);
    this.stage.onclick = (event) => {
      const hit = this.hit(event);
      if (hit) this.choose(hit);
    };
    this.stage.onkeydown = (event) => this.key(event);
    this.stage.onblur = () => this.setCursor(null);
    this.observer = new ResizeObserver(() => {
      const width = Math.floor(this.root.clientWidth);
      if (width > 0 && (width !== this.width || window.devicePixelRatio !== this.dpr)) this.layout();
    });
    this.observer.observe(this.root);
    this.onFonts = () => this.header && this.layout();
    document.fonts?.addEventListener("loadingdone", this.onFonts);
  }

  destroy() {
    this.stop();
    this.observer.disconnect();
    document.fonts?.removeEventListener("loadingdone", this.onFonts);
  }

  // --------------------------------------------------------------------------------------------------- new data

  update(data) {
    if (!data || !data.length) return;
    if (this.bytes && same(this.bytes, data)) return;
    const before = this.header;
    this.bytes = data;
    const { header, planes } = decode(data);
    this.header = header;
    this.planes = planes;
    this.images.clear();
    const { grid, strip, theme } = header;
    this.ramps = grid ? grid.ramps.map(parseRamp) : [];
    for (const name of ["card", "hairline", "ink", "muted", "chip", "accent", "font", "mono"]) this.root.style.setProperty(`--${name}`, theme[name]);
    this.root.style.colorScheme = theme.mode;
    this.stage.setAttribute("aria-label", [header.alt, header.words.keys].filter(Boolean).join(" "));
    this.stage.classList.toggle("pickable", Boolean((strip && strip.labels.length) || (grid && grid.picks !== "none")));
    const frames = grid && grid.mode === "frames" ? grid.count : 0;
    if (frames) {
      const asked = strip && strip.selected !== null ? this.frameOf(strip.selected) : frames - 1;
      const moved = !before || before.id !== header.id || before.strip?.selected !== strip?.selected;
      this.frame = Math.min(moved || this.frame === null ? asked : this.frame, frames - 1);
      this.slider.max = frames - 1;
    } else {
      this.stop();
      this.frame = null;
    }
    this.player.hidden = frames < 2;
    if (this.cursor && !this.exists(this.cursor)) this.cursor = null;
    this.writeFoot();
    this.writePlayer();
    this.loadFonts();
    this.layout();
  }

  loadFonts() {
    const { theme, strip } = this.header;
    const text = (strip ? strip.labels.join("") : "") + "0";
    for (const family of [theme.font, theme.mono]) document.fonts?.load(`500 13px ${family}`, text).catch(() => {});
  }

  exists(at) {
    const { grid, strip } = this.header;
    if (at.zone === "strip") return strip && at.token < strip.labels.length;
    return grid && at.row < grid.rows && at.column < grid.columns && at.tile < grid.count;
  }

  frameOf(token) {
    return Math.floor(token / this.header.grid.frame_pool);
  }

  writeFoot() {
    const { legends, note, words, theme } = this.header;
    this.foot.replaceChildren();
    element("div", "note", this.foot).textContent = note;
    const list = element("div", "legends", this.foot);
    for (const legend of legends) {
      const box = element("div", "legend", list);
      element("span", "name", box).textContent = legend.label;
      if (legend.ramp === null) {
        const row = element("div", "swatches", box);
        for (const [color, text] of legend.swatches) {
          const item = element("span", "", row);
          element("i", "", item).style.background = color;
          item.append(text);
        }
      } else {
        const scale = element("div", "scale", box);
        const ramp = element("div", "ramp", scale);
        const text = this.header.grid.ramps[legend.ramp];
        const stops = [];
        for (let i = 0; i <= 16; i++) stops.push("#" + text.substr(Math.round((i / 16) * 255) * 6, 6));
        ramp.style.background = `linear-gradient(to right, ${stops.join(",")})`;
        const ticks = element("div", "ticks", scale);
        legend.ticks.forEach(([at, label], i) => {
          const tick = element("span", at <= 0.02 ? "first" : at >= 0.98 ? "last" : "", ticks);
          tick.style.left = `${at * 100}%`;
          tick.textContent = label;
        });
      }
      if (legend.scope) element("span", "scope", box).textContent = legend.scope;
    }
    if (!note && !legends.length) this.foot.replaceChildren();
  }

  // ------------------------------------------------------------------------------------------------------ frames

  writePlayer() {
    const { grid, words, strip } = this.header;
    if (this.frame === null) return;
    this.slider.value = this.frame;
    const token = this.frame * grid.frame_pool;
    const name = strip ? strip.labels[token] : "";
    this.output.textContent = fill(words.frame || "{index}", { index: token, label: name });
    this.slider.setAttribute("aria-valuetext", this.output.textContent);
    this.slider.setAttribute("aria-label", words.time || "");
    this.button.setAttribute("aria-label", this.timer ? words.pause : words.play);
    this.button.title = this.timer ? words.pause : words.play;
    this.icon.setAttribute("d", this.timer ? "M3 2h3v10H3z M8 2h3v10H8z" : "M3.5 1.5 12 7l-8.5 5.5z");
  }

  setFrame(frame) {
    if (frame === this.frame) return;
    this.frame = frame;
    this.images.clear();
    this.writePlayer();
    this.draw();
    this.drawOver();
  }

  play() {
    const last = this.header.grid.count - 1;
    if (this.frame >= last) this.setFrame(0);
    const pace = Math.max(60, Math.min(320, 9000 / (last + 1)));
    this.timer = setInterval(() => {
      if (this.frame >= last) this.stop();
      else this.setFrame(this.frame + 1);
    }, pace);
    this.writePlayer();
  }

  stop() {
    if (!this.timer) return;
    clearInterval(this.timer);
    this.timer = 0;
    if (this.header) this.writePlayer();
  }

  // ------------------------------------------------------------------------------------------------------ layout

  layout() {
    const width = Math.floor(this.root.clientWidth);
    if (!this.header || width <= 0) return;
    this.width = width;
    this.dpr = window.devicePixelRatio || 1;
    const { header } = this;
    const { grid, strip, bars, theme } = header;
    const small = width < 480;
    const ctx = this.base.getContext("2d");
    this.fonts = {
      token: `500 ${small ? 12 : 13}px ${theme.mono}`,
      tokenBold: `700 ${small ? 12 : 13}px ${theme.mono}`,
      row: `500 ${small ? 11 : 12}px ${theme.mono}`,
      note: `400 ${small ? 10 : 11}px ${theme.font}`,
      text: `400 13px ${theme.font}`,
      number: `400 11px ${theme.mono}`,
    };
    const plan = (this.plan = { width, small });
    const tokens = strip ? strip.labels.length : 0;
    const aligned = strip && strip.role === "columns";
    plan.left = this.gutter(ctx, plan);
    // Columns: as wide as there is room, at most 76 px so that a short prompt stays a picture and not a wall.
    const widest = grid && !strip ? 120 : 76;
    const room = width - plan.left;
    let columns = grid ? grid.columns : tokens;
    const perCell = grid && aligned ? grid.pool[1] : 1;
    if (grid && grid.mode === "tiles") columns = tokens;
    plan.token = strip ? Math.min(widest, room / Math.max(tokens, 1)) : 0;
    plan.labels = strip ? this.planLabels(ctx, plan, room) : null;
    plan.cell = aligned ? plan.token * perCell : grid && grid.mode !== "tiles" ? Math.min(strip ? 1e9 : widest, room / columns) : 0;
    if (aligned && grid) plan.gridWidth = plan.token * tokens;
    else plan.gridWidth = plan.cell * columns;
    let y = 0;
    plan.stripY = y;
    if (strip) y += plan.labels.height;
    plan.bars = bars.map(() => {
      const at = { y: y + 6, height: 36 };
      y = at.y + at.height + 24;
      return at;
    });
    if (strip && grid) y += bars.length ? 4 : 6;
    plan.gridY = y;
    if (grid) y = grid.mode === "tiles" ? this.planTiles(plan, y) : this.planRows(plan, y);
    plan.height = Math.ceil(y + 1);
    for (const canvas of [this.base, this.over]) {
      canvas.width = Math.round(width * this.dpr);
      canvas.height = Math.round(plan.height * this.dpr);
      canvas.style.width = `${width}px`;
      canvas.style.height = `${plan.height}px`;
    }
    this.draw();
    this.drawOver();
  }

  gutter(ctx, plan) {
    const { grid, strip } = this.header;
    if (!grid) return 0;
    if (grid.mode === "tiles") {
      if (!grid.tile_row_labels.length) return 0;
      ctx.font = this.fonts.number;
      return Math.ceil(Math.max(...grid.tile_row_labels.map((label) => ctx.measureText(label).width))) + 10;
    }
    const labels = grid.row_tokens && strip ? strip.labels : grid.row_labels;
    if (!labels.length) return 0;
    ctx.font = this.fonts.row;
    let widest = Math.max(...labels.map((label) => ctx.measureText(label).width));
    ctx.font = this.fonts.note;
    for (const note of grid.row_notes) widest = Math.max(widest, ctx.measureText(note).width);
    const limit = Math.min(128, plan.width * 0.24);
    return Math.ceil(Math.min(widest, limit)) + 12 + (grid.row_colors.length ? 10 : 0);
  }

  // Labels lie flat when they fit, lean when they do not, and thin out when even leaning ones would touch.
  planLabels(ctx, plan, room) {
    const { strip } = this.header;
    ctx.font = this.fonts.token;
    const groups = [];
    strip.labels.forEach((label, i) => {
      if (strip.piece[i] > 1 && groups.length) groups[groups.length - 1].span += 1;
      else groups.push({ start: i, span: 1, label });
    });
    const slot = plan.token;
    const weight = (size, heavy) => `${heavy} ${size}px ${this.header.theme.mono}`;
    for (const size of plan.small ? [12, 11] : [13, 12, 11.5]) {
      ctx.font = weight(size, 500);
      for (const group of groups) group.width = ctx.measureText(group.label).width;
      if (!spread(groups, slot, size * 0.4)) continue;
      this.fonts.token = weight(size, 500);
      this.fonts.tokenBold = weight(size, 700);
      return { groups, lean: 0, height: 36, loose: true };
    }
    ctx.font = this.fonts.token;
    for (const group of groups) group.width = ctx.measureText(group.label).width;
    const fits = groups.filter((group) => group.width + 6 <= group.span * slot).length;
    if (slot >= 40 && fits >= groups.length * 0.75) return { groups, lean: 0, height: 36, loose: false };
    // Leaning more steeply and in smaller type lets more labels stand side by side.
    for (const [degrees, size, line] of [[56, plan.small ? 12 : 13, 13.5], [70, 11.5, 12.2]]) {
      const lean = (degrees * Math.PI) / 180;
      ctx.font = weight(size, 500);
      for (const group of groups) group.width = ctx.measureText(group.label).width;
      const longest = Math.min(Math.max(...groups.map((group) => group.width)), plan.small ? 74 : 96);
      const overhang = longest * Math.cos(lean) + 4;
      plan.token = Math.min(slot, (room - Math.max(0, overhang - slot / 2)) / strip.labels.length);
      this.fonts.token = weight(size, 500);
      this.fonts.tokenBold = weight(size, 700);
      const hidden = thin(groups, plan.token, line / Math.sin(lean), strip.selected);
      if (!hidden || degrees === 70) return { groups, lean, longest, height: Math.ceil(longest * Math.sin(lean) + 24) };
    }
  }

  planRows(plan, y) {
    const { grid } = this.header;
    const limit = grid.max_height / grid.rows;
    const square = grid.row_tokens ? plan.cell : Infinity;
    plan.row = Math.max(2, Math.min(grid.row_height, limit, Math.max(square, 3)));
    plan.gridHeight = plan.row * grid.rows;
    y += plan.gridHeight;
    if (grid.column_labels.length) y += 20;
    if (grid.column_title || grid.row_title) y += 20;
    return y;
  }

  planTiles(plan, y) {
    const { grid } = this.header;
    const room = plan.width - plan.left - 4; // 2 px on either side for outlines
    const fixed = grid.tile_columns > 0;
    let columns = grid.tile_columns;
    if (!fixed) {
      const best = plan.small ? 2 : plan.width < 620 ? 3 : 4;
      columns = Math.min(grid.count, best);
    }
    const gap = plan.small || columns > 8 ? 6 : 14;
    const size = Math.min(190, Math.floor((room - gap * (columns - 1)) / columns));
    const head = fixed ? 0 : 20;
    const foot = grid.tiles.some((tile) => tile.score !== null) ? (size >= 54 ? 18 : 9) : 0;
    const top = grid.tile_column_labels.length ? 20 : 0;
    const rows = Math.ceil(grid.count / columns);
    plan.tiles = { columns, size, gap, head, foot, top, rows };
    return y + top + rows * (head + size + foot + gap) - gap + 4;
  }

  tileBox(index) {
    const { columns, size, gap, head, foot, top } = this.plan.tiles;
    const x = this.plan.left + 2 + (index % columns) * (size + gap);
    const y = this.plan.gridY + top + Math.floor(index / columns) * (head + size + foot + gap) + head;
    return { x, y, size };
  }

  snap(v) {
    return Math.round(v * this.dpr) / this.dpr;
  }

  // ---------------------------------------------------------------------------------------------------- base layer

  draw() {
    const ctx = this.base.getContext("2d");
    ctx.setTransform(this.dpr, 0, 0, this.dpr, 0, 0);
    ctx.clearRect(0, 0, this.plan.width, this.plan.height);
    const { grid, strip, bars } = this.header;
    if (grid && grid.mode === "tiles") this.drawTiles(ctx);
    else if (grid) this.drawGrid(ctx);
    if (strip) this.drawStrip(ctx);
    bars.forEach((bar, i) => {
      if (bar.plane !== null) this.drawBars(ctx, bar, this.plan.bars[i], this.planes[bar.plane], null);
    });
  }

  place(value, group) {
    const { scale } = this.header.grid;
    const high = scale.highs === null ? scale.high : this.planes[scale.highs][group];
    if (scale.signed) {
      if (!(high > 0)) return 0.5;
      const size = Math.min(1, Math.abs(value) / high);
      return 0.5 + 0.5 * Math.sign(value) * (scale.kind === "sqrt" ? Math.sqrt(size) : size);
    }
    if (scale.kind === "log") {
      if (!(value > 0)) return 0;
      return Math.min(1, Math.max(0, Math.log(value / scale.low) / Math.log(high / scale.low)));
    }
    if (!(high > scale.low)) return 0;
    const part = Math.min(1, Math.max(0, (value - scale.low) / (high - scale.low)));
    return scale.kind === "sqrt" ? Math.sqrt(part) : part;
  }

  rampIndex(tile, row) {
    const { grid } = this.header;
    if (grid.mode === "tiles") return grid.tiles[tile].ramp;
    return grid.row_ramps.length ? grid.row_ramps[row] : 0;
  }

  group(tile, row) {
    const { by } = this.header.grid.scale;
    return by === "tile" ? tile : by === "row" ? row : 0;
  }

  value(tile, row, column) {
    const { grid } = this.header;
    return this.planes[grid.plane][(tile * grid.rows + row) * grid.columns + column];
  }

  color(tile, row, column) {
    const value = this.value(tile, row, column);
    if (Number.isNaN(value)) return null;
    const ramp = this.ramps[this.rampIndex(tile, row)];
    const at = Math.round(this.place(value, this.group(tile, row)) * 255) * 3;
    return [ramp[at], ramp[at + 1], ramp[at + 2]];
  }

  image(tile) {
    if (this.images.has(tile)) return this.images.get(tile);
    const { rows, columns } = this.header.grid;
    const canvas = document.createElement("canvas");
    canvas.width = columns;
    canvas.height = rows;
    const ctx = canvas.getContext("2d");
    const pixels = ctx.createImageData(columns, rows);
    for (let r = 0, at = 0; r < rows; r++) {
      for (let c = 0; c < columns; c++, at += 4) {
        const color = this.color(tile, r, c);
        if (!color) continue;
        pixels.data[at] = color[0];
        pixels.data[at + 1] = color[1];
        pixels.data[at + 2] = color[2];
        pixels.data[at + 3] = 255;
      }
    }
    ctx.putImageData(pixels, 0, 0);
    this.images.set(tile, canvas);
    return canvas;
  }

  stretch(ctx, tile, x, y, width, height) {
    const x0 = this.snap(x);
    const y0 = this.snap(y);
    ctx.imageSmoothingEnabled = false;
    ctx.drawImage(this.image(tile), x0, y0, this.snap(x + width) - x0, this.snap(y + height) - y0);
  }

  drawGrid(ctx) {
    const { grid, theme } = this.header;
    const { left, gridY, row, cell, gridHeight } = this.plan;
    const tile = this.frame ?? 0;
    const gridWidth = this.plan.gridWidth;
    if (grid.experts) this.drawExperts(ctx);
    else {
      this.stretch(ctx, tile, left, gridY, cell * grid.columns, row * grid.rows);
      this.rule(ctx, left, gridY, cell, row, grid.columns, grid.rows);
      if (cell * grid.columns > gridWidth + 0.5) ctx.clearRect(left + gridWidth, gridY, cell * grid.columns - gridWidth + 1, gridHeight);
    }
    if (grid.triangle) this.stairs(ctx);
    if (grid.cell_text) this.cellTexts(ctx, tile);
    this.rowLabels(ctx);
    this.columnLabels(ctx);
    if (grid.selected_row !== null && !grid.experts) {
      const y = this.snap(gridY + Math.floor(grid.selected_row / grid.pool[0]) * row);
      ctx.strokeStyle = theme.accent;
      ctx.lineWidth = 1.5;
      const wide = grid.triangle ? Math.min(gridWidth, (Math.floor(grid.selected_row / grid.pool[0]) + 1) * cell) : gridWidth;
      ctx.strokeRect(left, y, wide, Math.max(row, 3));
    }
  }

  // Gaps between cells, in the colour of the card, only where cells are large enough to spare a pixel.
  rule(ctx, x, y, cell, row, columns, rows) {
    ctx.fillStyle = this.header.theme.card;
    if (cell >= 6) for (let c = 1; c < columns; c++) ctx.fillRect(this.snap(x + c * cell) - 0.5, y, 1, rows * row);
    if (row >= 5) for (let r = 1; r < rows; r++) ctx.fillRect(x, this.snap(y + r * row) - 0.5, columns * cell, 1);
  }

  // The edge of the past: a fine staircase, so that a zero weight and a future token do not look alike.
  stairs(ctx) {
    const { grid, theme } = this.header;
    const { left, gridY, row, cell, gridWidth, gridHeight } = this.plan;
    const end = left + gridWidth;
    ctx.strokeStyle = theme.hairline;
    ctx.lineWidth = 1;
    ctx.beginPath();
    ctx.moveTo(left, gridY);
    for (let r = 0; r < grid.rows; r++) {
      const x = Math.min(end, this.snap(left + (r + 1) * cell));
      ctx.lineTo(x, this.snap(gridY + r * row));
      ctx.lineTo(x, this.snap(gridY + (r + 1) * row));
    }
    ctx.lineTo(left, gridY + gridHeight);
    ctx.closePath();
    ctx.stroke();
  }

  cellTexts(ctx, tile) {
    const { grid, theme } = this.header;
    const { left, gridY, row, cell } = this.plan;
    if (cell < 34 || row < 16) return;
    ctx.font = this.fonts.number;
    ctx.textAlign = "center";
    ctx.textBaseline = "middle";
    for (let r = 0; r < grid.rows; r++) {
      for (let c = 0; c < grid.columns; c++) {
        const color = this.color(tile, r, c);
        if (!color) continue;
        ctx.fillStyle = this.readable(color);
        const percent = this.value(tile, r, c) * 100;
        ctx.fillText(`${percent.toFixed(percent < 9.95 ? 1 : 0)}%`, left + (c + 0.5) * cell, gridY + (r + 0.5) * row);
      }
    }
    ctx.textAlign = "left";
  }

  readable(color) {
    const light = (0.2126 * color[0] ** 2.2 + 0.7152 * color[1] ** 2.2 + 0.0722 * color[2] ** 2.2) / 255 ** 2.2;
    return light > 0.32 ? "#14181D" : "#FFFFFF";
  }

  drawExperts(ctx) {
    const { grid, theme } = this.header;
    const { left, gridY, row, cell } = this.plan;
    const { experts } = grid;
    const [first, firstWeight, second, secondWeight] = ["first", "first_weight", "second", "second_weight"].map((name) => this.planes[experts[name]]);
    const hue = (index) => experts.colors[Math.round(index) % experts.colors.length];
    const gap = cell >= 8 ? 1 : 0;
    for (let r = 0; r < grid.rows; r++) {
      const y = gridY + r * row;
      for (let c = 0; c < grid.columns; c++) {
        const at = r * grid.columns + c;
        const x = this.snap(left + c * cell);
        const w = this.snap(left + (c + 1) * cell) - x - gap;
        const has = !Number.isNaN(first[at]);
        if (!experts.alone) {
          const color = this.color(0, r, c);
          ctx.fillStyle = color ? `rgb(${color.join(",")})` : theme.chip;
          round(ctx, x, y + 2, w, row * 0.5, Math.min(3, w / 3));
        }
        if (!has) continue;
        const top = experts.alone ? y + 1.5 : y + 2 + row * 0.5 + 1.5;
        const height = experts.alone ? row - 3 : row * 0.21;
        if (experts.alone) {
          ctx.fillStyle = alpha(hue(first[at]), 0.25 + 0.75 * Math.min(1, firstWeight[at]));
          round(ctx, x, top, w, height, Math.min(4, w / 3));
          const mark = Math.min(9, w * 0.34, height * 0.4);
          if (!Number.isNaN(second[at])) {
            ctx.fillStyle = theme.card;
            round(ctx, x + w - mark - 3.5, top + height - mark - 3.5, mark + 3, mark + 3, 2);
            ctx.fillStyle = hue(second[at]);
            round(ctx, x + w - mark - 2, top + height - mark - 2, mark, mark, 1.5);
          }
          if (w >= 15 && height >= 15) {
            const strength = 0.25 + 0.75 * Math.min(1, firstWeight[at]);
            const card = rgb(theme.card);
            const over = rgb(hue(first[at])).map((v, i) => v * strength + card[i] * (1 - strength));
            ctx.fillStyle = this.readable(over);
            ctx.font = this.fonts.number;
            ctx.textAlign = "left";
            ctx.textBaseline = "middle";
            ctx.fillText(String(Math.round(first[at])), x + Math.min(6, w * 0.2), top + height * 0.42);
          }
        } else {
          const both = firstWeight[at] + secondWeight[at] || 1;
          const split = Number.isNaN(second[at]) ? w : Math.max(2, (w - 1) * (firstWeight[at] / both));
          ctx.fillStyle = hue(first[at]);
          round(ctx, x, top, split, height, 1.5);
          if (!Number.isNaN(second[at])) {
            ctx.fillStyle = hue(second[at]);
            round(ctx, x + split + 1, top, Math.max(1, w - split - 1), height, 1.5);
          }
        }
      }
    }
  }

  rowLabels(ctx) {
    const { grid, strip, theme } = this.header;
    const { left, gridY, row } = this.plan;
    const labels = grid.row_tokens && strip ? strip.labels : grid.row_labels;
    if (!labels.length) return;
    const pool = grid.row_tokens ? grid.pool[0] : 1;
    const tight = row / pool < 13;
    const every = Math.max(1, Math.ceil((tight ? 11.5 : 13) / (row / pool)));
    const font = tight ? this.fonts.row.replace(/\d+px/, "11px") : this.fonts.row;
    const color = grid.row_colors.length > 0;
    ctx.textBaseline = "middle";
    ctx.textAlign = "right";
    const selected = grid.row_tokens ? grid.selected_row : null;
    labels.forEach((label, i) => {
      const y = gridY + (i / pool) * row + row / pool / 2;
      if (color) {
        ctx.fillStyle = grid.row_colors[i];
        round(ctx, 0, gridY + i * row + 2, 4, row - 4, 2);
      }
      const chosen = i === selected;
      const near = selected !== null && every > 1 && Math.abs(i - selected) < every;
      if (!chosen && (i % every || near)) return;
      if (grid.row_tokens && strip.piece[i] > 1) return;
      ctx.font = chosen ? font.replace("500", "700") : font;
      const noted = grid.row_notes.length && row >= 26;
      const text = fit(ctx, label, left - 12 - (color ? 8 : 0));
      if (color) {
        ctx.textAlign = "left";
        ctx.fillStyle = theme.ink;
        ctx.fillText(text, 10, noted ? y - 6.5 : y);
        if (noted) {
          ctx.font = this.fonts.note;
          ctx.fillStyle = theme.muted;
          ctx.fillText(fit(ctx, grid.row_notes[i], left - 16), 10, y + 7.5);
        }
      } else this.tokenText(ctx, text, left - 8, y, chosen ? theme.accent : theme.ink, "right");
    });
    ctx.textAlign = "left";
  }

  // The mark of a leading space is drawn fainter than the word itself.
  tokenText(ctx, text, x, y, color, align) {
    const { muted } = this.header.theme;
    const mark = text.startsWith("␣") && text.length > 1 ? "␣" : "";
    const rest = text.slice(mark.length);
    const markWidth = mark ? ctx.measureText(mark).width : 0;
    const width = markWidth + ctx.measureText(rest).width;
    const start = align === "center" ? x - width / 2 : align === "right" ? x - width : x;
    ctx.textAlign = "left";
    if (mark) {
      ctx.globalAlpha *= 0.55;
      ctx.fillStyle = muted;
      ctx.fillText(mark, start, y);
      ctx.globalAlpha /= 0.55;
    }
    ctx.fillStyle = color;
    ctx.fillText(rest, start + markWidth, y);
  }

  columnLabels(ctx) {
    const { grid, theme } = this.header;
    const { left, gridY, gridHeight, cell } = this.plan;
    let y = gridY + gridHeight;
    ctx.fillStyle = theme.muted;
    ctx.textBaseline = "middle";
    if (grid.column_labels.length) {
      ctx.font = this.fonts.number;
      ctx.textAlign = "center";
      const widest = Math.max(...grid.column_labels.map((label) => ctx.measureText(label).width)) + 8;
      const every = Math.max(1, Math.ceil(widest / cell));
      grid.column_labels.forEach((label, i) => {
        if (i % every === 0) ctx.fillText(label, left + (i + 0.5) * cell, y + 11);
      });
      y += 20;
    }
    ctx.font = this.fonts.text;
    if (grid.row_title) {
      ctx.textAlign = "left";
      ctx.fillText(fit(ctx, grid.row_title, this.plan.width - left), left, y + 12);
    }
    if (grid.column_title) {
      ctx.textAlign = "right";
      const room = this.plan.gridWidth - (grid.row_title ? ctx.measureText(grid.row_title).width + 16 : 0);
      if (room > 60) ctx.fillText(fit(ctx, grid.column_title, room), left + this.plan.gridWidth, y + 12);
    }
    ctx.textAlign = "left";
  }

  drawTiles(ctx) {
    const { grid, theme } = this.header;
    const { columns, size, foot, top } = this.plan.tiles;
    ctx.textBaseline = "middle";
    ctx.font = this.fonts.number;
    ctx.fillStyle = theme.muted;
    ctx.textAlign = "center";
    grid.tile_column_labels.forEach((label, i) => ctx.fillText(label, this.tileBox(i).x + size / 2, this.plan.gridY + top - 11));
    ctx.textAlign = "left";
    grid.tile_row_labels.forEach((label, i) => ctx.fillText(label, 0, this.tileBox(i * columns).y + size / 2));
    grid.tiles.forEach((tile, i) => {
      const { x, y } = this.tileBox(i);
      this.stretch(ctx, i, x, y, size, size);
      const chosen = i === grid.selected_tile;
      ctx.lineWidth = chosen ? 2 : 1;
      ctx.strokeStyle = chosen ? tile.color : theme.hairline;
      ctx.strokeRect(this.snap(x) - 0.5, this.snap(y) - 0.5, this.snap(size) + 1, this.snap(size) + 1);
      if (grid.marks.length) this.outlineRows(ctx, grid.marks[i], x, y, size);
      if (this.plan.tiles.head) {
        ctx.font = this.fonts.row;
        ctx.fillStyle = chosen ? tile.color : theme.ink;
        ctx.fillText(fit(ctx, tile.title, size), x, y - 11);
      }
      if (foot && tile.score !== null) {
        const textWidth = foot > 10 ? 30 : 0;
        const track = size - textWidth;
        ctx.fillStyle = theme.hairline;
        round(ctx, x, y + size + 6, track, 3, 1.5);
        ctx.fillStyle = tile.color;
        if (tile.score > 0) round(ctx, x, y + size + 6, Math.max(3, track * Math.min(1, tile.score)), 3, 1.5);
        if (textWidth) {
          ctx.font = this.fonts.number;
          ctx.fillStyle = theme.muted;
          ctx.textAlign = "right";
          ctx.fillText(tile.caption, x + size, y + size + 8);
          ctx.textAlign = "left";
        }
      }
    });
  }

  outlineRows(ctx, [first, after], x, y, size) {
    const { grid, theme } = this.header;
    if (after <= first) return;
    const height = size / grid.rows;
    const top = Math.floor(first / grid.pool[0]) * height;
    const tall = Math.ceil(after / grid.pool[0]) * height - top;
    ctx.strokeStyle = theme.accent;
    ctx.lineWidth = 1.25;
    ctx.strokeRect(x, this.snap(y + top), size, Math.max(tall, 3));
  }

  // --------------------------------------------------------------------------------------------------- strip, bars

  activeFrameToken() {
    return this.frame === null ? null : this.frame * this.header.grid.frame_pool;
  }

  drawStrip(ctx) {
    const { strip, grid, theme } = this.header;
    const { left, labels, token } = this.plan;
    const selected = strip.role === "frames" && this.frame !== null ? this.activeFrameToken() : strip.selected;
    const bottom = this.plan.stripY + labels.height;
    ctx.textBaseline = "middle";
    labels.groups.forEach((group) => {
      const [first, after] = strip.chosen ?? [selected, selected + 1];
      const chosen = selected !== null && first < group.start + group.span && after > group.start;
      const x = left + group.start * token;
      const width = group.span * token;
      if (chosen) this.chosenLabel(ctx, group, x, width, bottom);
      else if (!group.hidden) this.label(ctx, group, x, width, bottom, theme.ink, this.fonts.token);
      if (group.span > 1) this.bracket(ctx, x, width, bottom);
    });
    if (strip.surprisal === null) return;
    const bits = this.planes[strip.surprisal];
    let most = 0;
    for (const b of bits) if (b > most) most = b;
    const half = Math.max(1, Math.min(token * 0.36, 24));
    bits.forEach((b, i) => {
      if (!(b > 0) || !most) return;
      ctx.fillStyle = alpha(theme.muted, i === selected ? 0.95 : 0.6);
      const w = Math.max(1.5, 2 * half * (b / most));
      round(ctx, left + (i + 0.5) * token - w / 2, bottom - 9, w, 3, 1.5);
    });
  }

  label(ctx, group, x, width, bottom, color, font) {
    const { labels } = this.plan;
    ctx.font = font;
    if (!labels.lean) {
      const text = labels.loose ? group.label : fit(ctx, group.label, width - 4);
      const half = ctx.measureText(text).width / 2;
      const middle = Math.max(half, Math.min(this.plan.width - half, x + width / 2 + (labels.loose ? group.shift : 0)));
      this.tokenText(ctx, text, middle, bottom - 22, color, "center");
      return;
    }
    ctx.save();
    ctx.translate(x + width / 2, bottom - 15);
    ctx.rotate(-labels.lean);
    this.tokenText(ctx, fit(ctx, group.label, labels.longest), 0, 0, color, "left");
    ctx.restore();
  }

  chosenLabel(ctx, group, x, width, bottom) {
    const { theme } = this.header;
    const { labels } = this.plan;
    ctx.fillStyle = alpha(theme.accent, 0.13);
    ctx.strokeStyle = theme.accent;
    ctx.lineWidth = 1.25;
    ctx.font = this.fonts.tokenBold;
    if (!labels.lean) {
      const room = Math.max(width - 1, labels.loose ? ctx.measureText(group.label).width + 12 : 0);
      const middle = Math.max(room / 2 + 1, Math.min(this.plan.width - room / 2 - 1, x + width / 2 + (labels.loose ? group.shift : 0)));
      outline(ctx, middle - room / 2, bottom - 35, room, 32, 8);
      this.label(ctx, group, x, width, bottom, theme.ink, this.fonts.tokenBold);
      return;
    }
    const text = fit(ctx, group.label, labels.longest);
    ctx.save();
    ctx.translate(x + width / 2, bottom - 15);
    ctx.rotate(-labels.lean);
    outline(ctx, -5, -9, Math.min(ctx.measureText(text).width, labels.longest) + 10, 18, 6);
    this.tokenText(ctx, text, 0, 0, theme.ink, "left");
    ctx.restore();
  }

  bracket(ctx, x, width, bottom) {
    ctx.strokeStyle = this.header.theme.muted;
    ctx.lineWidth = 1;
    ctx.beginPath();
    ctx.moveTo(x + 3, bottom - 14);
    ctx.lineTo(x + 3, bottom - 12);
    ctx.lineTo(x + width - 3, bottom - 12);
    ctx.lineTo(x + width - 3, bottom - 14);
    ctx.globalAlpha = 0.6;
    ctx.stroke();
    ctx.globalAlpha = 1;
  }

  drawBars(ctx, bar, at, values, name) {
    const { theme } = this.header;
    const { left, token } = this.plan;
    let high = 0;
    let low = 0;
    for (const v of values) {
      if (v > high) high = v;
      if (v < low) low = v;
    }
    const span = high - low || 1;
    const zero = at.y + at.height * (high / span);
    const gap = token >= 6 ? Math.min(4, token * 0.12) : 0;
    const signed = low < 0;
    values.forEach((v, i) => {
      if (!Number.isFinite(v)) return;
      const x = this.snap(left + i * token + gap / 2);
      const w = Math.max(1 / this.dpr, this.snap(left + (i + 1) * token - gap / 2) - x);
      const h = Math.max(1, (Math.abs(v) / span) * at.height);
      ctx.fillStyle = alpha(signed && v < 0 ? this.negative() : bar.color, 0.86);
      round(ctx, x, v >= 0 ? zero - h : zero, w, h, Math.min(2, w / 3));
    });
    ctx.font = this.fonts.text;
    ctx.textBaseline = "middle";
    ctx.fillStyle = theme.muted;
    ctx.textAlign = "left";
    const max = `${shown(Number(low.toPrecision(2)))} – ${shown(Number(high.toPrecision(2)))}`;
    ctx.font = this.fonts.number;
    const room = token * values.length;
    const maxWidth = ctx.measureText(max).width;
    ctx.textAlign = "right";
    ctx.fillText(max, left + room, at.y + at.height + 13);
    ctx.textAlign = "left";
    ctx.font = this.fonts.text;
    ctx.fillText(fit(ctx, fill(bar.label, { row: name ?? "" }), room - maxWidth - 12), left, at.y + at.height + 13);
  }

  negative() {
    const ramp = this.header.grid?.ramps[0];
    return ramp ? "#" + ramp.slice(0, 6) : this.header.theme.muted;
  }

  // -------------------------------------------------------------------------------------------------- overlay layer

  drawOver() {
    const ctx = this.over.getContext("2d");
    ctx.setTransform(this.dpr, 0, 0, this.dpr, 0, 0);
    ctx.clearRect(0, 0, this.plan.width, this.plan.height);
    this.liveBars(ctx);
    const at = this.cursor;
    if (at) {
      if (at.zone === "strip") this.markToken(ctx, at.token);
      else this.markCell(ctx, at);
    }
    this.writeTip();
  }

  activeRow() {
    const { grid, strip } = this.header;
    const at = this.cursor;
    if (at?.zone === "grid") return at.row;
    if (at?.zone === "strip") return Math.floor(at.token / grid.pool[0]);
    if (grid.selected_row !== null) return Math.floor(grid.selected_row / grid.pool[0]);
    return grid.rows - 1;
  }

  liveBars(ctx) {
    const { bars, grid, strip } = this.header;
    bars.forEach((bar, i) => {
      if (bar.plane !== null || !grid) return;
      const row = this.activeRow();
      const start = (this.frame ?? 0) * grid.rows * grid.columns + row * grid.columns;
      const pooled = this.planes[grid.plane].subarray(start, start + grid.columns);
      const values = grid.pool[1] === 1 ? pooled : strip.labels.map((_, t) => pooled[Math.floor(t / grid.pool[1])]);
      this.drawBars(ctx, bar, this.plan.bars[i], values, this.rowName(row));
    });
  }

  markToken(ctx, token) {
    const { strip, grid, theme } = this.header;
    const { left, gridY, gridHeight, row } = this.plan;
    const x = left + token * this.plan.token;
    this.band(ctx, x, this.plan.stripY, this.plan.token, this.plan.labels.height);
    if (!grid) return;
    if (strip.role === "columns") {
      this.band(ctx, x, gridY, this.plan.token, gridHeight);
      this.plan.bars.forEach((bar) => this.band(ctx, x, bar.y, this.plan.token, bar.height));
      if (grid.row_tokens) this.band(ctx, left, gridY + (token / grid.pool[0]) * row, this.plan.gridWidth, Math.max(2, row / grid.pool[0]));
    } else if (strip.role === "rows") this.lightRows(ctx, token, token + 1);
  }

  // In every tile the rows of the tokens that lie in a range of rows.
  lightRows(ctx, first, after) {
    const { grid } = this.header;
    for (let i = 0; i < grid.count; i++) {
      const { x, y, size } = this.tileBox(i);
      const reach = this.reach(i, first, after);
      if (!reach) continue;
      const height = size / grid.rows;
      const top = Math.floor(reach[0] / grid.pool[0]);
      this.band(ctx, x, y + top * height, size, Math.max(2, (Math.ceil(reach[1] / grid.pool[0]) - top) * height));
    }
  }

  // A range of rows, made wide enough for the tokens of a tile that lie in it; null where the tile has none there.
  reach(tile, first, after) {
    const own = this.header.grid.owners[tile];
    if (!own) return [first, after];
    const tokens = own.slice(first, after).filter((token) => token >= 0);
    return tokens.length ? [own.indexOf(tokens[0]), own.lastIndexOf(tokens[tokens.length - 1]) + 1] : null;
  }

  cellReach(tile, index, pool) {
    const range = [index * pool, (index + 1) * pool];
    return this.reach(tile, ...range) ?? range;
  }

  markCell(ctx, at) {
    const { grid, strip, theme } = this.header;
    if (grid.mode === "tiles") {
      const { x, y, size } = this.tileBox(at.tile);
      ctx.strokeStyle = grid.tiles[at.tile].color;
      ctx.lineWidth = 2;
      ctx.strokeRect(x - 1, y - 1, size + 2, size + 2);
      const [top, bottom] = this.cellReach(at.tile, at.row, grid.pool[0]);
      const [from, to] = this.cellReach(at.tile, at.column, grid.pool[1]);
      if (strip?.role === "rows") {
        this.lightRows(ctx, top, bottom);
        this.band(ctx, this.plan.left + top * this.plan.token, this.plan.stripY, this.plan.token * (bottom - top), this.plan.labels.height);
      }
      const w = size / grid.columns / grid.pool[1];
      const h = size / grid.rows / grid.pool[0];
      ctx.strokeStyle = theme.ink;
      ctx.lineWidth = 1.25;
      ctx.strokeRect(x + from * w, y + top * h, Math.max((to - from) * w, 3), Math.max((bottom - top) * h, 3));
      return;
    }
    const { left, gridY, row, cell, gridWidth, gridHeight } = this.plan;
    const x = left + at.column * cell;
    const y = gridY + at.row * row;
    this.band(ctx, left, y, gridWidth, row);
    this.band(ctx, x, gridY, Math.min(cell, left + gridWidth - x), gridHeight);
    if (strip?.role === "columns") {
      const wide = Math.min(cell, left + gridWidth - x);
      this.band(ctx, x, this.plan.stripY, wide, this.plan.labels.height);
      this.plan.bars.forEach((bar) => this.band(ctx, x, bar.y, wide, bar.height));
    }
    if (grid.row_tokens || grid.row_labels.length) this.band(ctx, 0, y, left - 2, row);
    ctx.strokeStyle = theme.ink;
    ctx.lineWidth = 1.5;
    ctx.strokeRect(this.snap(x) + 0.25, this.snap(y) + 0.25, Math.max(cell - 0.5, 3), Math.max(row - 0.5, 3));
  }

  band(ctx, x, y, width, height) {
    ctx.fillStyle = alpha(this.header.theme.ink, this.header.theme.mode === "dark" ? 0.13 : 0.07);
    ctx.fillRect(x, y, width, height);
  }

  // ------------------------------------------------------------------------------------------------------ readout

  span(index, pool, names) {
    const last = Math.min(names.length, (index + 1) * pool) - 1;
    const first = index * pool;
    return first === last ? names[first] : `${names[first]} … ${names[last]} (${first}–${last})`;
  }

  // The names of a tile's own tokens that lie in a row or column.
  ownName(tile, index, pool) {
    const { owners, owner_names: names } = this.header.grid;
    const found = owners[tile].slice(index * pool, (index + 1) * pool).filter((token) => token >= 0);
    if (!found.length) return "–";
    const [first, last] = [found[0], found[found.length - 1]];
    return first === last ? names[tile][first] : `${names[tile][first]} … ${names[tile][last]}`;
  }

  rowName(row, tile) {
    const { grid, strip } = this.header;
    if (grid.owners.length && tile !== undefined) return this.ownName(tile, row, grid.pool[0]);
    if (grid.row_names.length) return grid.row_names[row];
    if (grid.row_tokens || strip?.role === "rows") return this.span(row, grid.pool[0], strip.labels);
    return grid.row_labels[row] ?? String(row);
  }

  columnName(column, tile) {
    const { grid, strip } = this.header;
    if (grid.owners.length && tile !== undefined) return this.ownName(tile, column, grid.pool[1]);
    if (grid.column_names.length) return grid.column_names[column];
    if (strip && strip.role !== "frames") return this.span(column, grid.pool[1], strip.labels);
    return grid.column_labels[column] ?? String(column);
  }

  readout(at) {
    const { grid, strip } = this.header;
    if (at.zone === "strip") {
      const bits = strip.surprisal === null ? NaN : this.planes[strip.surprisal][at.token];
      const values = {
        label: strip.labels[at.token],
        index: at.token,
        id: strip.ids[at.token],
        bits: Number.isNaN(bits) ? "–" : bits.toFixed(2),
        p: Number.isNaN(bits) ? "–" : shown(Number((2 ** -bits).toPrecision(3))),
        extra: strip.extra[at.token] ?? "",
      };
      const lines = strip.readout.map((line) => fill(line, values));
      this.header.bars.forEach((bar) => {
        if (bar.plane !== null) lines.push(fill(bar.readout, { value: shown(this.planes[bar.plane][at.token]) }));
      });
      return lines.filter(Boolean);
    }
    const tile = grid.mode === "frames" ? this.frame : at.tile;
    const values = { row: this.rowName(at.row, at.tile), column: this.columnName(at.column, at.tile), value: shown(this.value(tile, at.row, at.column)) };
    if (grid.baseline) values.ratio = shown(Number((this.value(tile, at.row, at.column) / grid.baseline).toPrecision(3)));
    values.tile = grid.mode === "tiles" ? grid.tiles[at.tile].name : "";
    values.frame = this.frame === null ? "" : strip?.labels[this.activeFrameToken()] ?? "";
    if (grid.experts) {
      const i = at.row * grid.columns + at.column;
      const first = this.planes[grid.experts.first][i];
      if (Number.isNaN(first)) return [fill(grid.readout[0], values), ...grid.readout.slice(1).filter((line) => !/\{(first|second)/.test(line)).map((line) => fill(line, values))];
      values.first = first;
      values.first_weight = shown(this.planes[grid.experts.first_weight][i]);
      const second = this.planes[grid.experts.second][i];
      values.second = Number.isNaN(second) ? "–" : second;
      values.second_weight = shown(this.planes[grid.experts.second_weight][i]);
    }
    return grid.readout.map((line) => fill(line, values));
  }

  writeTip() {
    const at = this.cursor;
    this.tip.classList.toggle("on", Boolean(at));
    if (!at) return;
    this.tip.replaceChildren(
      ...this.readout(at).map((line) => {
        const node = document.createElement("div");
        node.textContent = line;
        return node;
      })
    );
    const { x, y } = this.anchor(at);
    const width = this.tip.offsetWidth;
    const height = this.tip.offsetHeight;
    const left = x + 16 + width > this.plan.width ? Math.max(0, x - width - 16) : x + 16;
    const top = y + 18 + height > this.plan.height + 40 ? y - height - 14 : y + 18;
    this.tip.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
  }

  anchor(at) {
    if (at.x !== undefined) return at;
    if (at.zone === "strip") return { x: this.plan.left + (at.token + 0.5) * this.plan.token, y: this.plan.labels.height };
    if (this.header.grid.mode === "tiles") {
      const { x, y, size } = this.tileBox(at.tile);
      return { x: x + ((at.column + 0.5) * size) / this.header.grid.columns, y: y + ((at.row + 0.5) * size) / this.header.grid.rows };
    }
    return { x: this.plan.left + (at.column + 0.5) * this.plan.cell, y: this.plan.gridY + (at.row + 0.5) * this.plan.row };
  }

  // --------------------------------------------------------------------------------------------- pointer, keyboard

  hit(event) {
    if (!this.header || !this.plan) return null;
    const box = this.base.getBoundingClientRect();
    const zoom = box.width / this.plan.width || 1;
    const x = (event.clientX - box.left) / zoom;
    const y = (event.clientY - box.top) / zoom;
    const { strip, grid, bars } = this.header;
    const { left, gridY } = this.plan;
    if (strip && y < gridY && y >= 0) {
      const token = Math.floor((x - left) / this.plan.token);
      return token >= 0 && token < strip.labels.length ? { zone: "strip", token, x, y } : null;
    }
    if (!grid) return null;
    if (grid.mode === "tiles") {
      for (let i = 0; i < grid.count; i++) {
        const tile = this.tileBox(i);
        if (x < tile.x || y < tile.y || x >= tile.x + tile.size || y >= tile.y + tile.size + this.plan.tiles.foot) continue;
        const row = Math.min(grid.rows - 1, Math.floor(((y - tile.y) / tile.size) * grid.rows));
        return { zone: "grid", tile: i, row, column: Math.floor(((x - tile.x) / tile.size) * grid.columns), x, y };
      }
      return null;
    }
    const row = Math.floor((y - gridY) / this.plan.row);
    if (row < 0 || row >= grid.rows || x >= left + this.plan.gridWidth) return null;
    const column = Math.floor((x - left) / this.plan.cell);
    if (column < 0) return grid.row_tokens ? { zone: "strip", token: Math.min(strip.labels.length - 1, row * grid.pool[0]), x, y } : null;
    return column < grid.columns ? { zone: "grid", tile: 0, row, column, x, y } : null;
  }

  hover(event) {
    const hit = this.hit(event);
    if (hit && this.cursor && hit.zone === this.cursor.zone && ["token", "tile", "row", "column"].every((name) => hit[name] === this.cursor[name])) {
      Object.assign(this.cursor, { x: hit.x, y: hit.y });
      this.writeTip();
      return;
    }
    this.setCursor(hit);
  }

  setCursor(at) {
    this.cursor = at;
    if (this.plan) this.drawOver();
  }

  key(event) {
    const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
    const { grid, strip } = this.header;
    if (event.key === "Escape") return this.setCursor(null);
    if (event.key === "Enter" || event.key === " ") {
      if (this.cursor) this.choose(this.cursor);
      event.preventDefault();
      return;
    }
    const step = steps[event.key];
    if (!step && event.key !== "Home" && event.key !== "End") return;
    event.preventDefault();
    const at = this.cursor ? { ...this.cursor, x: undefined, y: undefined } : this.home();
    if (this.cursor) this.move(at, step ?? [0, event.key === "Home" ? -1e6 : 1e6], event.shiftKey);
    this.setCursor(at);
    this.heard.textContent = this.readout(at).join(". ");
  }

  home() {
    const { grid, strip } = this.header;
    if (strip) return { zone: "strip", token: strip.selected ?? 0 };
    return { zone: "grid", tile: grid.selected_tile ?? 0, row: 0, column: 0 };
  }

  move(at, [down, right], inside) {
    const { grid, strip } = this.header;
    const clamp = (v, n) => Math.max(0, Math.min(n - 1, v));
    if (at.zone === "strip") {
      if (down > 0 && grid) {
        const token = at.token;
        Object.assign(at, { zone: "grid", tile: grid.selected_tile ?? 0, row: 0, column: 0, token: undefined });
        if (strip.role === "columns") at.column = Math.floor(token / grid.pool[1]);
        if (strip.role === "rows") at.row = Math.floor(token / grid.pool[0]);
      } else at.token = clamp(at.token + right, strip.labels.length);
      return;
    }
    if (grid.mode === "tiles" && !inside) {
      const next = at.tile + right + down * this.plan.tiles.columns;
      if (next < 0 && strip) Object.assign(at, { zone: "strip", token: strip.selected ?? 0 });
      else if (next < grid.count) at.tile = clamp(next, grid.count);
      return;
    }
    if (at.row + down < 0 && strip) {
      const token = strip.role === "columns" ? Math.min(strip.labels.length - 1, at.column * grid.pool[1]) : this.activeFrameToken() ?? strip.selected ?? 0;
      Object.assign(at, { zone: "strip", token });
      return;
    }
    at.row = clamp(at.row + down, grid.rows);
    at.column = clamp(at.column + right, grid.columns);
  }

  choose(at) {
    const { grid, strip } = this.header;
    if (at.zone === "strip") {
      if (strip.role === "frames") {
        this.stop();
        this.setFrame(Math.min(this.frameOf(at.token), grid.count - 1));
      }
      const column = strip.role === "columns" ? at.token : null;
      this.pick({ row: strip.role === "rows" || grid?.row_tokens ? at.token : null, column, tile: null, token: at.token });
      return;
    }
    if (grid.picks === "none" && grid.mode !== "tiles") return;
    const row = at.row * grid.pool[0];
    const column = at.column * grid.pool[1];
    const token = grid.picks === "row" ? row : grid.picks === "column" ? column : null;
    this.pick({ row, column, tile: grid.mode === "matrix" ? null : grid.mode === "frames" ? this.frame : at.tile, token });
  }
}

// ------------------------------------------------------------------------------------------------------ small drawing

function same(a, b) {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

// Hide leaning labels that would touch: the selected one stays, the others from left to right as far apart as needed.
function thin(groups, slot, pitch, selected) {
  const at = (group) => (group.start + group.span / 2) * slot;
  const kept = groups.find((group) => selected !== null && selected >= group.start && selected < group.start + group.span);
  let last = -Infinity;
  for (const group of groups) {
    const free = at(group) - last >= pitch && (!kept || group === kept || Math.abs(at(group) - at(kept)) >= pitch);
    group.hidden = !free && group !== kept;
    if (!group.hidden) last = at(group);
  }
  return groups.some((group) => group.hidden);
}

// Move flat labels sideways, as little as possible, until none touch; false when one would leave its column too far.
function spread(groups, slot, gap) {
  const blocks = [];
  for (const group of groups) {
    const wish = (group.start + group.span / 2) * slot - group.width / 2;
    blocks.push({ members: [group], left: wish, total: group.width + gap });
    while (blocks.length > 1) {
      const last = blocks[blocks.length - 1];
      const before = blocks[blocks.length - 2];
      if (before.left + before.total <= last.left) break;
      blocks.pop();
      const n = before.members.length;
      const m = last.members.length;
      before.left = (before.left * n + (last.left - before.total) * m) / (n + m);
      before.members.push(...last.members);
      before.total += last.total;
    }
  }
  const limit = Math.min(12, slot * 0.5);
  for (const block of blocks) {
    let at = block.left;
    for (const group of block.members) {
      group.shift = at + group.width / 2 - (group.start + group.span / 2) * slot;
      if (Math.abs(group.shift) > limit) return false;
      at += group.width + gap;
    }
  }
  return true;
}

function round(ctx, x, y, width, height, radius) {
  ctx.beginPath();
  ctx.roundRect(x, y, Math.max(0, width), Math.max(0, height), Math.max(0, radius));
  ctx.fill();
}

function outline(ctx, x, y, width, height, radius) {
  ctx.beginPath();
  ctx.roundRect(x, y, width, height, radius);
  ctx.fill();
  ctx.stroke();
}

// Shorten a text with an ellipsis until it fits; "" when not even one character does.
function fit(ctx, text, room) {
  if (ctx.measureText(text).width <= room) return text;
  const glyphs = [...text];
  let low = 0;
  let high = glyphs.length;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (ctx.measureText(glyphs.slice(0, middle).join("") + "…").width <= room) low = middle;
    else high = middle - 1;
  }
  return low ? glyphs.slice(0, low).join("") + "…" : "";
}
