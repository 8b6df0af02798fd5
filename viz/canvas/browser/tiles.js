// A mosaic of small maps, with the range of rows that is chosen.

class Tiles extends Labels {
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
}
