// What the cursor points at: the cell or token, and bands over everything that belongs to it.

function drawCursor(view, ctx) {
  const at = view.cursor;
  if (!at) {
    const token = hoveredToken(view);
    if (token !== null) drawTokenBands(view, ctx, token);
    return;
  }
  if (at.zone === "strip") drawTokenBands(view, ctx, at.token);
  else if (view.header.grid.mode === "tiles") drawTileCell(view, ctx, at);
  else drawMatrixCell(view, ctx, at);
}

// The token of the strip under a pointer in another picture; null for none.
function hoveredToken(view) {
  const { hover } = said(view);
  if (view.cursor || hover === null || !view.header.strip) return null;
  return runOf(view, hover, null)?.[0] ?? null;
}

function drawTokenBands(view, ctx, token) {
  const { strip, grid } = view.header;
  const { plan } = view;
  const x = plan.left + token * plan.token;
  band(view, ctx, x, plan.stripY, plan.token, plan.labels.height);
  if (!grid) return;
  if (strip.role === "columns") {
    band(view, ctx, x, plan.gridY, plan.token, plan.gridHeight);
    plan.bars.forEach((bar) => band(view, ctx, x, bar.y, plan.token, bar.height));
    if (grid.row_tokens) band(view, ctx, plan.left, plan.gridY + (token / grid.pool[0]) * plan.row, plan.gridWidth, Math.max(2, plan.row / grid.pool[0]));
  } else if (strip.role === "rows") drawRowBands(view, ctx, token, token + 1);
}

// In every tile the rows of the tokens that lie in a range of rows.
function drawRowBands(view, ctx, first, after) {
  const { grid } = view.header;
  for (let i = 0; i < grid.count; i++) {
    const { x, y, size } = tileBox(view.plan, i);
    const range = reach(grid, i, first, after);
    if (!range) continue;
    const height = size / grid.rows;
    const top = Math.floor(range[0] / grid.pool[0]);
    band(view, ctx, x, y + top * height, size, Math.max(2, (Math.ceil(range[1] / grid.pool[0]) - top) * height));
  }
}

// A range of rows, made wide enough for the tokens of a tile that lie in it; null where the tile has none there.
function reach(grid, tile, first, after) {
  const own = grid.owners[tile];
  if (!own) return [first, after];
  const tokens = own.slice(first, after).filter((token) => token >= 0);
  return tokens.length ? [own.indexOf(tokens[0]), own.lastIndexOf(tokens[tokens.length - 1]) + 1] : null;
}

function cellReach(grid, tile, index, pool) {
  const range = [index * pool, (index + 1) * pool];
  return reach(grid, tile, ...range) ?? range;
}

function drawTileCell(view, ctx, at) {
  const { grid, strip, theme } = view.header;
  const { plan } = view;
  const { x, y, size } = tileBox(plan, at.tile);
  ctx.strokeStyle = grid.tiles[at.tile].color;
  ctx.lineWidth = 2;
  ctx.strokeRect(x - 1, y - 1, size + 2, size + 2);
  const [top, bottom] = cellReach(grid, at.tile, at.row, grid.pool[0]);
  const [from, to] = cellReach(grid, at.tile, at.column, grid.pool[1]);
  if (strip?.role === "rows") {
    drawRowBands(view, ctx, top, bottom);
    band(view, ctx, plan.left + top * plan.token, plan.stripY, plan.token * (bottom - top), plan.labels.height);
  }
  const w = size / grid.columns / grid.pool[1];
  const h = size / grid.rows / grid.pool[0];
  ctx.strokeStyle = theme.ink;
  ctx.lineWidth = 1.25;
  ctx.strokeRect(x + from * w, y + top * h, Math.max((to - from) * w, 3), Math.max((bottom - top) * h, 3));
}

function drawMatrixCell(view, ctx, at) {
  const { grid, strip, theme } = view.header;
  const { left, gridY, row, cell, gridWidth, gridHeight, labels, bars, stripY } = view.plan;
  const x = left + at.column * cell;
  const y = gridY + at.row * row;
  const wide = Math.min(cell, left + gridWidth - x);
  band(view, ctx, left, y, gridWidth, row);
  band(view, ctx, x, gridY, wide, gridHeight);
  if (strip?.role === "columns") {
    band(view, ctx, x, stripY, wide, labels.height);
    bars.forEach((bar) => band(view, ctx, x, bar.y, wide, bar.height));
  }
  if (grid.row_tokens || grid.row_labels.length) band(view, ctx, 0, y, left - 2, row);
  ctx.strokeStyle = theme.ink;
  ctx.lineWidth = 1.5;
  ctx.strokeRect(snap(view, x) + 0.25, snap(view, y) + 0.25, Math.max(cell - 0.5, 3), Math.max(row - 0.5, 3));
}

function band(view, ctx, x, y, width, height) {
  const { ink, mode } = view.header.theme;
  ctx.fillStyle = alpha(ink, mode === "dark" ? 0.13 : 0.07);
  ctx.fillRect(x, y, width, height);
}
