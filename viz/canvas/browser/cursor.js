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
  const x = plan.stripX + token * plan.token;
  const seen = token >= plan.tokens[0] && token < plan.tokens[1];
  if (seen) band(view, ctx, x, plan.stripY, plan.token, plan.labels.height);
  if (!grid) return;
  if (strip.role === "columns") {
    if (seen) band(view, ctx, x, plan.gridY, plan.token, plan.gridHeight);
    if (seen) plan.bars.forEach((bar) => band(view, ctx, x, bar.y, plan.token, bar.height));
    if (grid.row_tokens && token >= plan.down[0] && token < plan.down[1]) {
      band(view, ctx, plan.left, plan.cellY + (token / grid.pool[0]) * plan.row, plan.gridWidth, Math.max(2, plan.row / grid.pool[0]));
    }
  } else if (strip.role === "rows") drawRowBands(view, ctx, token, token + 1);
}

// In every tile the rows of the tokens that lie in a range of rows.
function drawRowBands(view, ctx, first, after) {
  const { grid } = view.header;
  for (let i = 0; i < grid.count; i++) {
    const { x, y, size } = tileBox(view.plan, i);
    const cells = tileCells(view, i);
    const range = reach(grid, i, first, after);
    if (!range) continue;
    const top = Math.floor(range[0] / grid.pool[0]);
    const height = Math.max(2, (Math.ceil(range[1] / grid.pool[0]) - top) * cells.tall);
    inWindow(view, ctx, { x, y, width: size, height: size }, () => band(view, ctx, x, cells.y + top * cells.tall, size, height));
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
    const line = { x: plan.left, y: plan.stripY, width: plan.width - plan.left, height: plan.labels.height };
    inWindow(view, ctx, line, () => band(view, ctx, plan.stripX + top * plan.token, line.y, plan.token * (bottom - top), line.height));
  }
  const cells = tileCells(view, at.tile);
  const w = cells.wide / grid.pool[1];
  const h = cells.tall / grid.pool[0];
  ctx.strokeStyle = theme.ink;
  ctx.lineWidth = 1.25;
  const cell = [cells.x + from * w, cells.y + top * h, Math.max((to - from) * w, 3), Math.max((bottom - top) * h, 3)];
  inWindow(view, ctx, { x, y, width: size, height: size }, () => ctx.strokeRect(...cell));
}

function drawMatrixCell(view, ctx, at) {
  const { grid, strip, theme } = view.header;
  const { left, gridY, row, cell, gridWidth, gridHeight, labels, bars, stripY, cellX, cellY } = view.plan;
  const x = Math.max(left, cellX + at.column * cell); // of a block, the part that is shown
  const y = Math.max(gridY, cellY + at.row * row);
  const wide = Math.min(cellX + (at.column + 1) * cell, left + gridWidth) - x;
  const tall = Math.min(cellY + (at.row + 1) * row, gridY + gridHeight) - y;
  if (wide <= 0 || tall <= 0) return;
  band(view, ctx, left, y, gridWidth, tall);
  band(view, ctx, x, gridY, wide, gridHeight);
  if (strip?.role === "columns") {
    band(view, ctx, x, stripY, wide, labels.height);
    bars.forEach((bar) => band(view, ctx, x, bar.y, wide, bar.height));
  }
  if (grid.row_tokens || grid.row_labels.length) band(view, ctx, 0, y, left - 2, tall);
  ctx.strokeStyle = theme.ink;
  ctx.lineWidth = 1.5;
  ctx.strokeRect(snap(view, x) + 0.25, snap(view, y) + 0.25, Math.max(cell - 0.5, 3), Math.max(tall - 0.5, 3));
}

function band(view, ctx, x, y, width, height) {
  const { ink, mode } = view.header.theme;
  ctx.fillStyle = alpha(ink, mode === "dark" ? 0.13 : 0.07);
  ctx.fillRect(x, y, width, height);
}
