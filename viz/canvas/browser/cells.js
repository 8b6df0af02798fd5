// The colour of a cell, and the image of a map.

// A value's place on its ramp, from 0 to 1. high: the end of the scale in the value's group.
function place(scale, high, value) {
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

// The end of the scale for a cell: one for all, or that of its row, its tile or its frame.
function highOf(view, tile, row) {
  const { scale, frame_highs } = view.header.grid;
  if (view.byFrame && Number.isInteger(frame_highs)) return view.planes[frame_highs][tile];
  if (scale.highs === null) return scale.high;
  return view.planes[scale.highs][scale.by === "tile" ? tile : scale.by === "row" ? row : 0];
}

function rampOf(view, tile, row) {
  const { grid } = view.header;
  if (grid.mode === "tiles") return view.ramps[grid.tiles[tile].ramp];
  return view.ramps[grid.row_ramps?.length ? grid.row_ramps[row] : 0];
}

// The value that colours a cell: of a block the strongest.
const valueAt = (view, tile, row, column) => view.planes[view.header.grid.plane][cellIndex(view, tile, row, column)];

// The value that is read out: of a block the sum where its values add up, else the strongest.
function readAt(view, tile, row, column) {
  const { sums, plane } = view.header.grid;
  return view.planes[sums ?? plane][cellIndex(view, tile, row, column)];
}

function cellIndex(view, tile, row, column) {
  const { rows, columns } = view.header.grid;
  return (tile * rows + row) * columns + column;
}

// [red, green, blue] of a cell; null where there is none.
function colorOf(view, tile, row, column) {
  const value = valueAt(view, tile, row, column);
  if (Number.isNaN(value)) return null;
  const ramp = rampOf(view, tile, row);
  const at = Math.round(place(view.header.grid.scale, highOf(view, tile, row), value) * 255) * 3;
  return [ramp[at], ramp[at + 1], ramp[at + 2]];
}

// A map as an image of at most width x height pixels, kept until the picture is laid out again: a pixel per cell, or,
// where a pixel holds several cells, the strongest of them, so that none is lost between two pixels.
function imageOf(view, tile, width, height) {
  if (view.images.has(tile)) return view.images.get(tile);
  const { rows, columns } = view.header.grid;
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.min(columns, width));
  canvas.height = Math.max(1, Math.min(rows, height));
  const ctx = canvas.getContext("2d");
  const pixels = ctx.createImageData(canvas.width, canvas.height);
  for (let y = 0, at = 0; y < canvas.height; y++) {
    for (let x = 0; x < canvas.width; x++, at += 4) {
      const [row, column] = strongest(view, tile, share(y, canvas.height, rows), share(x, canvas.width, columns));
      const color = colorOf(view, tile, row, column);
      if (color) pixels.data.set([...color, 255], at);
    }
  }
  ctx.putImageData(pixels, 0, 0);
  view.images.set(tile, canvas);
  return canvas;
}

// The first and last + 1 of the cells that one of a number of pixels touches.
const share = (pixel, pixels, cells) => [Math.floor((pixel * cells) / pixels), Math.ceil(((pixel + 1) * cells) / pixels)];

// The cell farthest from the neutral place of its ramp.
function strongest(view, tile, [top, bottom], [left, right]) {
  const { scale } = view.header.grid;
  let best = [top, left];
  let most = -1;
  for (let row = top; row < bottom; row++) {
    for (let column = left; column < right; column++) {
      const value = valueAt(view, tile, row, column);
      const strength = Number.isNaN(value) ? -1 : Math.abs(place(scale, highOf(view, tile, row), value) - (scale.signed ? 0.5 : 0));
      if (strength > most) [best, most] = [[row, column], strength];
    }
  }
  return best;
}

const MOST_CELLS = 20000; // of a map that an SVG has one by one; a larger one is a bitmap in it, with a pixel for each

// Draw a map into a rectangle.
function drawMap(view, ctx, tile, x, y, width, height) {
  const { rows, columns, count } = view.header.grid;
  if (ctx.cell && rows * columns * (view.header.grid.mode === "tiles" ? count : 1) <= MOST_CELLS) return drawCells(view, ctx, tile, x, y, width, height);
  const x0 = snap(view, x);
  const y0 = snap(view, y);
  const w = snap(view, x + width) - x0;
  const h = snap(view, y + height) - y0;
  ctx.imageSmoothingEnabled = false;
  ctx.drawImage(imageOf(view, tile, Math.round(w * view.dpr), Math.round(h * view.dpr)), x0, y0, w, h);
}

// A map as vectors: a rectangle for each cell that has a value.
function drawCells(view, ctx, tile, x, y, width, height) {
  const { rows, columns, mode } = view.header.grid;
  const [wide, tall] = [width / columns, height / rows];
  const right = mode === "tiles" ? x + width : Math.min(x + width, view.plan.left + view.plan.gridWidth); // a last block may be short
  ctx.group("cells", () => {
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const color = colorOf(view, tile, row, column);
        if (color) ctx.cell(x + column * wide, y + row * tall, Math.min(wide, right - x - column * wide), tall, color);
      }
    }
  });
}

// The ink that can be read on a colour.
function readable(color) {
  const light = (0.2126 * color[0] ** 2.2 + 0.7152 * color[1] ** 2.2 + 0.0722 * color[2] ** 2.2) / 255 ** 2.2;
  return light > 0.32 ? "#14181D" : "#FFFFFF";
}
