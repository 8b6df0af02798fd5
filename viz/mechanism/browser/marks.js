// Marks that several painters draw: arcs between words, small matrices, bars, titles.

// A line over the words from one box to another, as wide as its weight: an arc on one line, a curve between lines.
function drawArc(ctx, from, to, { width, color, lift = 0.5 }) {
  const [x1, x2] = [from.x + from.width / 2, to.x + to.width / 2];
  const top = (box) => box.y - box.height * 0.28;
  ctx.strokeStyle = color;
  ctx.lineWidth = width;
  ctx.lineCap = "round";
  ctx.beginPath();
  if (from === to) {
    const r = Math.min(14, from.height * 0.24);
    ctx.moveTo(x1 - r * 0.7, top(from));
    ctx.bezierCurveTo(x1 - 2 * r, top(from) - 2 * r, x1 + 2 * r, top(from) - 2 * r, x1 + r * 0.7, top(from));
  } else if (from.line === to.line) {
    const height = Math.min(from.height * lift, 6 + Math.abs(x1 - x2) * 0.28);
    ctx.moveTo(x1, top(from));
    ctx.bezierCurveTo(x1, top(from) - height, x2, top(to) - height, x2, top(to));
  } else {
    const down = to.y < from.y;
    const end = to.y + (down ? 1 : -1) * to.height * 0.28;
    const middle = (top(from) + end) / 2;
    ctx.moveTo(x1, top(from));
    ctx.bezierCurveTo(x1, middle, x2, middle, x2, end);
  }
  ctx.stroke();
  ctx.lineCap = "butt";
}

// A matrix of cells. color(row, column): a colour, null for a cell that is not there. Returns its box with where a cell
// lies and which cell is at a place.
function matrixBox({ x, y, width, height, rows, columns }) {
  const [wide, tall] = [width / columns, height / rows];
  return {
    x, y, width, height, rows, columns, wide, tall,
    cell: (row, column) => ({ x: x + column * wide, y: y + row * tall, width: wide, height: tall }),
    at: (px, py) => (px >= x && py >= y && px < x + width && py < y + height ? [Math.floor((py - y) / tall), Math.floor((px - x) / wide)] : null),
  };
}

function drawMatrix(ctx, state, box, color) {
  const { snap } = state;
  for (let row = 0; row < box.rows; row++) {
    const [top, bottom] = [snap(box.y + row * box.tall), snap(box.y + (row + 1) * box.tall)];
    for (let column = 0; column < box.columns; column++) {
      const fill = color(row, column);
      if (!fill) continue;
      const [left, right] = [snap(box.x + column * box.wide), snap(box.x + (column + 1) * box.wide)];
      ctx.fillStyle = fill;
      ctx.fillRect(left, top, right - left, bottom - top);
    }
  }
}

// A frame around cells, just outside of them.
function drawFrame(ctx, { x, y, width, height }, color, thick = 1.5, radius = 2) {
  ctx.strokeStyle = color;
  ctx.lineWidth = thick;
  ctx.beginPath();
  ctx.roundRect(x - thick / 2, y - thick / 2, width + thick, height + thick, radius);
  ctx.stroke();
}

// A line of text in a width, shortened where it is longer. align: left, center or right of the place.
function drawLine(ctx, state, text, x, y, width, { size = 12, weight = 400, color = state.theme.muted, align = "left", mono = false } = {}) {
  ctx.font = `${weight} ${size}px ${mono ? state.theme.mono : state.theme.font}`;
  ctx.fillStyle = color;
  ctx.textAlign = align;
  ctx.textBaseline = "middle";
  ctx.fillText(fit(ctx, text, width), x, y);
  ctx.textAlign = "left";
}

// The place of a value of both signs on a ramp that is centred on zero, and of one from 0 on; by square root.
const signedPlace = (value, high) => (high > 0 ? 0.5 + 0.5 * Math.sign(value) * Math.sqrt(Math.min(1, Math.abs(value) / high)) : 0.5);
const rootPlace = (value, high) => (high > 0 ? Math.sqrt(Math.min(1, Math.max(0, value / high))) : 0);

// The largest |value| of a plane that is there, found once for each payload.
const highs = new WeakMap();
function highOf(state, plane) {
  const known = highs.get(state.settings) ?? new Map();
  highs.set(state.settings, known);
  if (!known.has(plane)) known.set(plane, state.all(plane).reduce((high, value) => (Math.abs(value) > high ? Math.abs(value) : high), 0));
  return known.get(plane);
}
