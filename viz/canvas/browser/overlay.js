// The layer above: what the cursor or the selection points at.

class Overlay extends Strip {
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
}
