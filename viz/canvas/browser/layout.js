// Where everything lies: the strip with flat or leaning labels, rows or tiles, bars, in a given width.

class Layout extends Frames {
  layout() {
    const width = Math.floor(this.root.clientWidth);
    if (!this.header || width <= 0) return;
    this.width = width;
    this.dpr = window.devicePixelRatio || 1;
    const { header } = this;
    const { grid, strip, bars, theme } = header;
    const small = width < 480;
    const ctx = this.base.getContext("2d");
    this.fonts = {
      token: `500 ${small ? 12 : 13}px ${theme.mono}`,
      tokenBold: `700 ${small ? 12 : 13}px ${theme.mono}`,
      row: `500 ${small ? 11 : 12}px ${theme.mono}`,
      note: `400 ${small ? 10 : 11}px ${theme.font}`,
      text: `400 13px ${theme.font}`,
      number: `400 11px ${theme.mono}`,
    };
    const plan = (this.plan = { width, small });
    const tokens = strip ? strip.labels.length : 0;
    const aligned = strip && strip.role === "columns";
    plan.left = this.gutter(ctx, plan);
    // Columns: as wide as there is room, at most 76 px so that a short prompt stays a picture and not a wall.
    const widest = grid && !strip ? 120 : 76;
    const room = width - plan.left;
    let columns = grid ? grid.columns : tokens;
    const perCell = grid && aligned ? grid.pool[1] : 1;
    if (grid && grid.mode === "tiles") columns = tokens;
    plan.token = strip ? Math.min(widest, room / Math.max(tokens, 1)) : 0;
    plan.labels = strip ? this.planLabels(ctx, plan, room) : null;
    plan.cell = aligned ? plan.token * perCell : grid && grid.mode !== "tiles" ? Math.min(strip ? 1e9 : widest, room / columns) : 0;
    if (aligned && grid) plan.gridWidth = plan.token * tokens;
    else plan.gridWidth = plan.cell * columns;
    let y = 0;
    plan.stripY = y;
    if (strip) y += plan.labels.height;
    plan.bars = bars.map(() => {
      const at = { y: y + 6, height: 36 };
      y = at.y + at.height + 24;
      return at;
    });
    if (strip && grid) y += bars.length ? 4 : 6;
    plan.gridY = y;
    if (grid) y = grid.mode === "tiles" ? this.planTiles(plan, y) : this.planRows(plan, y);
    plan.height = Math.ceil(y + 1);
    for (const canvas of [this.base, this.over]) {
      canvas.width = Math.round(width * this.dpr);
      canvas.height = Math.round(plan.height * this.dpr);
      canvas.style.width = `${width}px`;
      canvas.style.height = `${plan.height}px`;
    }
    this.draw();
    this.drawOver();
  }

  gutter(ctx, plan) {
    const { grid, strip } = this.header;
    if (!grid) return 0;
    if (grid.mode === "tiles") {
      if (!grid.tile_row_labels.length) return 0;
      ctx.font = this.fonts.number;
      return Math.ceil(Math.max(...grid.tile_row_labels.map((label) => ctx.measureText(label).width))) + 10;
    }
    const labels = grid.row_tokens && strip ? strip.labels : grid.row_labels;
    if (!labels.length) return 0;
    ctx.font = this.fonts.row;
    let widest = Math.max(...labels.map((label) => ctx.measureText(label).width));
    ctx.font = this.fonts.note;
    for (const note of grid.row_notes) widest = Math.max(widest, ctx.measureText(note).width);
    const limit = Math.min(128, plan.width * 0.24);
    return Math.ceil(Math.min(widest, limit)) + 12 + (grid.row_colors.length ? 10 : 0);
  }

  // Labels lie flat when they fit, lean when they do not, and thin out when even leaning ones would touch.
  planLabels(ctx, plan, room) {
    const { strip } = this.header;
    ctx.font = this.fonts.token;
    const groups = [];
    strip.labels.forEach((label, i) => {
      if (strip.piece[i] > 1 && groups.length) groups[groups.length - 1].span += 1;
      else groups.push({ start: i, span: 1, label });
    });
    const slot = plan.token;
    const weight = (size, heavy) => `${heavy} ${size}px ${this.header.theme.mono}`;
    for (const size of plan.small ? [12, 11] : [13, 12, 11.5]) {
      ctx.font = weight(size, 500);
      for (const group of groups) group.width = ctx.measureText(group.label).width;
      if (!spread(groups, slot, size * 0.4)) continue;
      this.fonts.token = weight(size, 500);
      this.fonts.tokenBold = weight(size, 700);
      return { groups, lean: 0, height: 36, loose: true };
    }
    ctx.font = this.fonts.token;
    for (const group of groups) group.width = ctx.measureText(group.label).width;
    const fits = groups.filter((group) => group.width + 6 <= group.span * slot).length;
    if (slot >= 40 && fits >= groups.length * 0.75) return { groups, lean: 0, height: 36, loose: false };
    // Leaning more steeply and in smaller type lets more labels stand side by side.
    for (const [degrees, size, line] of [[56, plan.small ? 12 : 13, 13.5], [70, 11.5, 12.2]]) {
      const lean = (degrees * Math.PI) / 180;
      ctx.font = weight(size, 500);
      for (const group of groups) group.width = ctx.measureText(group.label).width;
      const longest = Math.min(Math.max(...groups.map((group) => group.width)), plan.small ? 74 : 96);
      const overhang = longest * Math.cos(lean) + 4;
      plan.token = Math.min(slot, (room - Math.max(0, overhang - slot / 2)) / strip.labels.length);
      this.fonts.token = weight(size, 500);
      this.fonts.tokenBold = weight(size, 700);
      const hidden = thin(groups, plan.token, line / Math.sin(lean), strip.selected);
      if (!hidden || degrees === 70) return { groups, lean, longest, height: Math.ceil(longest * Math.sin(lean) + 24) };
    }
  }

  planRows(plan, y) {
    const { grid } = this.header;
    const limit = grid.max_height / grid.rows;
    const square = grid.row_tokens ? plan.cell : Infinity;
    plan.row = Math.max(2, Math.min(grid.row_height, limit, Math.max(square, 3)));
    plan.gridHeight = plan.row * grid.rows;
    y += plan.gridHeight;
    if (grid.column_labels.length) y += 20;
    if (grid.column_title || grid.row_title) y += 20;
    return y;
  }

  planTiles(plan, y) {
    const { grid } = this.header;
    const room = plan.width - plan.left - 4; // 2 px on either side for outlines
    const fixed = grid.tile_columns > 0;
    let columns = grid.tile_columns;
    if (!fixed) {
      const best = plan.small ? 2 : plan.width < 620 ? 3 : 4;
      columns = Math.min(grid.count, best);
    }
    const gap = plan.small || columns > 8 ? 6 : 14;
    const size = Math.min(190, Math.floor((room - gap * (columns - 1)) / columns));
    const head = fixed ? 0 : 20;
    const foot = grid.tiles.some((tile) => tile.score !== null) ? (size >= 54 ? 18 : 9) : 0;
    const top = grid.tile_column_labels.length ? 20 : 0;
    const rows = Math.ceil(grid.count / columns);
    plan.tiles = { columns, size, gap, head, foot, top, rows };
    return y + top + rows * (head + size + foot + gap) - gap + 4;
  }

  tileBox(index) {
    const { columns, size, gap, head, foot, top } = this.plan.tiles;
    const x = this.plan.left + 2 + (index % columns) * (size + gap);
    const y = this.plan.gridY + top + Math.floor(index / columns) * (head + size + foot + gap) + head;
    return { x, y, size };
  }

  snap(v) {
    return Math.round(v * this.dpr) / this.dpr;
  }
}
