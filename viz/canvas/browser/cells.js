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

// The end of the scale for a cell: one for all, or that of its row or tile.
function highOf(view, tile, row) {
  const { scale } = view.header.grid;
  if (scale.highs === null) return scale.high;
  return view.planes[scale.highs][scale.by === "tile" ? tile : scale.by === "row" ? row : 0];
}

function rampOf(view, tile, row) {
  const { grid } = view.header;
  if (grid.mode === "tiles") return view.ramps[grid.tiles[tile].ramp];
  return view.ramps[grid.row_ramps?.length ? grid.row_ramps[row] : 0];
}

function valueAt(view, tile, row, column) {
  const { grid } = view.header;
  return view.planes[grid.plane][(tile * grid.rows + row) * grid.columns + column];
}

// [red, green, blue] of a cell; null where there is none.
function colorOf(view, tile, row, column) {
  const value = valueAt(view, tile, row, column);
  if (Number.isNaN(value)) return null;
  const ramp = rampOf(view, tile, row);
  const at = Math.round(place(view.header.grid.scale, highOf(view, tile, row), value) * 255) * 3;
  return [ramp[at], ramp[at + 1], ramp[at + 2]];
}

// A map as an image of one pixel per cell, kept until the picture changes.
function imageOf(view, tile) {
  if (view.images.has(tile)) return view.images.get(tile);
  const { rows, columns } = view.header.grid;
  const canvas = document.createElement("canvas");
  canvas.width = columns;
  canvas.height = rows;
  const ctx = canvas.getContext("2d");
  const pixels = ctx.createImageData(columns, rows);
  for (let r = 0, at = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++, at += 4) {
      const color = colorOf(view, tile, r, c);
      if (color) pixels.data.set([...color, 255], at);
    }
  }
  ctx.putImageData(pixels, 0, 0);
  view.images.set(tile, canvas);
  return canvas;
}

// Draw a map into a rectangle.
function drawMap(view, ctx, tile, x, y, width, height) {
  const x0 = snap(view, x);
  const y0 = snap(view, y);
  ctx.imageSmoothingEnabled = false;
  ctx.drawImage(imageOf(view, tile), x0, y0, snap(view, x + width) - x0, snap(view, y + height) - y0);
}

// The ink that can be read on a colour.
function readable(color) {
  const light = (0.2126 * color[0] ** 2.2 + 0.7152 * color[1] ** 2.2 + 0.0722 * color[2] ** 2.2) / 255 ** 2.2;
  return light > 0.32 ? "#14181D" : "#FFFFFF";
}
