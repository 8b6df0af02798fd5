// A mosaic of small maps, with the range of rows that is chosen.

function drawTiles(view, ctx) {
  const { grid, theme } = view.header;
  const { plan } = view;
  const { columns, size, gap, head, foot, top } = plan.tiles;
  ctx.textBaseline = "middle";
  ctx.font = plan.fonts.number;
  ctx.fillStyle = theme.muted;
  ctx.textAlign = "center";
  shortened(ctx, grid.tile_column_labels, size, gap).forEach((label, i) => ctx.fillText(label, tileBox(plan, i).x + size / 2, plan.gridY + top - 11));
  ctx.textAlign = "left";
  grid.tile_row_labels.forEach((label, i) => ctx.fillText(label, 0, tileBox(plan, i * columns).y + size / 2));
  const shown = shownTile(view);
  grid.tiles.forEach((tile, i) => {
    const { x, y } = tileBox(plan, i);
    const cells = tileCells(view, i);
    inWindow(view, ctx, { x, y, width: size, height: size }, () => drawMap(view, ctx, i, cells.x, cells.y, cells.wide * grid.columns, cells.tall * grid.rows));
    const chosen = i === shown;
    ctx.lineWidth = chosen ? 2 : 1;
    ctx.strokeStyle = chosen ? tile.color : theme.hairline;
    ctx.strokeRect(snap(view, x) - 0.5, snap(view, y) - 0.5, snap(view, size) + 1, snap(view, size) + 1);
    const rows = shownRows(view, i);
    if (rows) inWindow(view, ctx, { x: x - 1, y: y - 1, width: size + 2, height: size + 2 }, () => drawMarkedRows(view, ctx, rows, x, cells, size));
    if (head) {
      ctx.font = plan.fonts.row;
      ctx.fillStyle = chosen ? tile.color : theme.ink;
      ctx.fillText(fit(ctx, tile.title, size), x, y - 11);
    }
    if (foot && tile.score !== null) drawScore(view, ctx, tile, x, y + size);
  });
}

// Names above columns, room pixels each and gap pixels between: only their numbers where one of them would run into the
// next, and where numbers would too, every second, third, ... of them.
function shortened(ctx, labels, room, gap = 0) {
  const widest = (texts) => Math.max(0, ...texts.map((text) => ctx.measureText(text).width));
  if (widest(labels) <= room) return labels;
  const numbers = labels.map((label) => /\d+/.exec(label)?.[0] ?? fit(ctx, label, room));
  const every = Math.max(1, Math.ceil((widest(numbers) + 2) / (room + gap)));
  return numbers.map((number, i) => (i % every ? "" : number));
}

// The bar under a tile, with its number where there is room.
function drawScore(view, ctx, tile, x, y) {
  const { theme } = view.header;
  const { size, foot } = view.plan.tiles;
  const textWidth = foot > 10 ? 30 : 0;
  const track = size - textWidth;
  ctx.fillStyle = theme.hairline;
  round(ctx, x, y + 6, track, 3, 1.5);
  ctx.fillStyle = tile.color;
  if (tile.score > 0) round(ctx, x, y + 6, Math.max(3, track * Math.min(1, tile.score)), 3, 1.5);
  if (!textWidth) return;
  ctx.font = view.plan.fonts.number;
  ctx.fillStyle = theme.muted;
  ctx.textAlign = "right";
  ctx.fillText(tile.caption, x + size, y + 8);
  ctx.textAlign = "left";
}

function drawMarkedRows(view, ctx, [first, after], x, cells, size) {
  const { grid, theme } = view.header;
  if (after <= first) return;
  const top = Math.floor(first / grid.pool[0]) * cells.tall;
  const tall = Math.ceil(after / grid.pool[0]) * cells.tall - top;
  ctx.strokeStyle = theme.accent;
  ctx.lineWidth = 1.25;
  ctx.strokeRect(x, snap(view, cells.y + top), size, Math.max(tall, 3));
}
