// Pointer, keyboard and click.

class View extends Readout {
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
