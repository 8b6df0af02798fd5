// A range that a mouse draws over tokens or over cells. Fingers and pens scroll the page; they have the buttons.

const SLIP = 6; // pixels that a click may move; a side of the range that is shorter is as long as the other

function press(view, event) {
  view.dragged = false;
  view.pressed = null;
  if (event.button !== 0 || event.pointerType !== "mouse" || view.zoom.hidden) return;
  const at = hit(view, event);
  if (at?.zone === "strip" && at.y >= view.plan.gridY) return; // names of rows beside a map
  if (at && (at.zone === "strip" || hasColumns(view))) view.pressed = at;
}

// Whether a movement draws a range.
function drag(view, event) {
  const from = view.pressed;
  if (!from || !(event.buttons & 1)) return false;
  const box = view.base.getBoundingClientRect();
  const scale = box.width / view.plan.width || 1;
  const to = { x: (event.clientX - box.left) / scale, y: (event.clientY - box.top) / scale };
  if (!view.brush && Math.hypot(to.x - from.x, to.y - from.y) < SLIP) return false;
  if (!view.brush) view.stage.setPointerCapture(event.pointerId);
  view.dragged = true;
  view.brush = drawnRange(view, from, to);
  setCursor(view, null);
  paintOver(view);
  return true;
}

function release(view) {
  const { brush } = view;
  letBrushGo(view);
  if (!brush) return;
  setRange(view, brush.columns, brush.rows);
  view.heard.textContent = rangeWords(view);
}

function letBrushGo(view) {
  view.pressed = null;
  if (!view.brush) return;
  view.brush = null;
  paintOver(view);
}

// The range between two places of a picture: columns, and rows where those are tokens, too.
function drawnRange(view, from, to) {
  const { strip } = view.header;
  const count = strip.labels.length;
  const { x, y } = scales(view, from);
  const span = (scale, a, b) => [scale(a), scale(b)].sort((one, other) => one - other);
  const long = (ends, size) => rangeAround((ends[0] + ends[1]) / 2, size ?? ends[1] - ends[0], count);
  const columns = span(x, from.x, to.x);
  if (!y) return { columns: long(columns), rows: long(columns) };
  const rows = span(y, from.y, to.y);
  const [thin, flat] = [Math.abs(to.x - from.x) < SLIP, Math.abs(to.y - from.y) < SLIP];
  return { columns: long(columns, thin ? rows[1] - rows[0] : undefined), rows: long(rows, flat ? columns[1] - columns[0] : undefined) };
}

// How places in pixels become tokens, as real numbers within the range shown: along x, and along y where rows are tokens.
function scales(view, at) {
  const { grid } = view.header;
  const { across, down, tokens, stripX, token, cellY, row } = view.plan;
  const line = (start, size, [first, after]) => (place) => Math.max(first, Math.min(after, (place - start) / size));
  if (at.zone === "strip") return { x: line(stripX, token, tokens) };
  if (grid.mode === "tiles") {
    const { x, y, wide, tall } = tileCells(view, at.tile);
    return { x: line(x, wide / grid.pool[1], across), y: line(y, tall / grid.pool[0], down) };
  }
  return { x: line(stripX, token, across), y: grid.row_tokens ? line(cellY, row / grid.pool[0], down) : null };
}

// The range as it will be, on the picture or on the tile where it is drawn.
function drawBrush(view, ctx) {
  const { brush, pressed: at, plan } = view;
  if (!brush || !at) return;
  const { grid, strip, theme } = view.header;
  const { columns, rows } = brush;
  const across = ([first, after], start, size) => [start + first * size, (after - first) * size];
  let [x, width] = across(at.zone === "strip" && strip.role === "rows" ? rows : columns, plan.stripX, plan.token);
  let [y, height] = [0, at.zone === "strip" ? plan.labels.height : plan.gridY + (plan.gridHeight ?? 0)];
  if (at.zone === "grid" && grid.mode === "tiles") {
    const cells = tileCells(view, at.tile);
    [x, width] = across(columns, cells.x, cells.wide / grid.pool[1]);
    [y, height] = across(rows, cells.y, cells.tall / grid.pool[0]);
  } else if (at.zone === "grid" && grid.row_tokens) [y, height] = across(rows, plan.cellY, plan.row / grid.pool[0]);
  ctx.fillStyle = alpha(theme.accent, 0.16);
  ctx.fillRect(x, y, width, height);
  ctx.strokeStyle = theme.accent;
  ctx.lineWidth = 1.5;
  ctx.strokeRect(x + 0.75, y + 0.75, Math.max(1, width - 1.5), Math.max(1, height - 1.5));
}
