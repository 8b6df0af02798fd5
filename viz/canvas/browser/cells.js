// The base layer: heatmap, gaps between cells, the edge of the past, numbers, experts.

class Cells extends Layout {
  draw() {
    const ctx = this.base.getContext("2d");
    ctx.setTransform(this.dpr, 0, 0, this.dpr, 0, 0);
    ctx.clearRect(0, 0, this.plan.width, this.plan.height);
    const { grid, strip, bars } = this.header;
    if (grid && grid.mode === "tiles") this.drawTiles(ctx);
    else if (grid) this.drawGrid(ctx);
    if (strip) this.drawStrip(ctx);
    bars.forEach((bar, i) => {
      if (bar.plane !== null) this.drawBars(ctx, bar, this.plan.bars[i], this.planes[bar.plane], null);
    });
  }

  place(value, group) {
    const { scale } = this.header.grid;
    const high = scale.highs === null ? scale.high : this.planes[scale.highs][group];
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

  rampIndex(tile, row) {
    const { grid } = this.header;
    if (grid.mode === "tiles") return grid.tiles[tile].ramp;
    return grid.row_ramps.length ? grid.row_ramps[row] : 0;
  }

  group(tile, row) {
    const { by } = this.header.grid.scale;
    return by === "tile" ? tile : by === "row" ? row : 0;
  }

  value(tile, row, column) {
    const { grid } = this.header;
    return this.planes[grid.plane][(tile * grid.rows + row) * grid.columns + column];
  }

  color(tile, row, column) {
    const value = this.value(tile, row, column);
    if (Number.isNaN(value)) return null;
    const ramp = this.ramps[this.rampIndex(tile, row)];
    const at = Math.round(this.place(value, this.group(tile, row)) * 255) * 3;
    return [ramp[at], ramp[at + 1], ramp[at + 2]];
  }

  image(tile) {
    if (this.images.has(tile)) return this.images.get(tile);
    const { rows, columns } = this.header.grid;
    const canvas = document.createElement("canvas");
    canvas.width = columns;
    canvas.height = rows;
    const ctx = canvas.getContext("2d");
    const pixels = ctx.createImageData(columns, rows);
    for (let r = 0, at = 0; r < rows; r++) {
      for (let c = 0; c < columns; c++, at += 4) {
        const color = this.color(tile, r, c);
        if (!color) continue;
        pixels.data[at] = color[0];
        pixels.data[at + 1] = color[1];
        pixels.data[at + 2] = color[2];
        pixels.data[at + 3] = 255;
      }
    }
    ctx.putImageData(pixels, 0, 0);
    this.images.set(tile, canvas);
    return canvas;
  }

  stretch(ctx, tile, x, y, width, height) {
    const x0 = this.snap(x);
    const y0 = this.snap(y);
    ctx.imageSmoothingEnabled = false;
    ctx.drawImage(this.image(tile), x0, y0, this.snap(x + width) - x0, this.snap(y + height) - y0);
  }

  drawGrid(ctx) {
    const { grid, theme } = this.header;
    const { left, gridY, row, cell, gridHeight } = this.plan;
    const tile = this.frame ?? 0;
    const gridWidth = this.plan.gridWidth;
    if (grid.experts) this.drawExperts(ctx);
    else {
      this.stretch(ctx, tile, left, gridY, cell * grid.columns, row * grid.rows);
      this.rule(ctx, left, gridY, cell, row, grid.columns, grid.rows);
      if (cell * grid.columns > gridWidth + 0.5) ctx.clearRect(left + gridWidth, gridY, cell * grid.columns - gridWidth + 1, gridHeight);
    }
    if (grid.triangle) this.stairs(ctx);
    if (grid.cell_text) this.cellTexts(ctx, tile);
    this.rowLabels(ctx);
    this.columnLabels(ctx);
    if (grid.selected_row !== null && !grid.experts) {
      const y = this.snap(gridY + Math.floor(grid.selected_row / grid.pool[0]) * row);
      ctx.strokeStyle = theme.accent;
      ctx.lineWidth = 1.5;
      const wide = grid.triangle ? Math.min(gridWidth, (Math.floor(grid.selected_row / grid.pool[0]) + 1) * cell) : gridWidth;
      ctx.strokeRect(left, y, wide, Math.max(row, 3));
    }
  }

  // Gaps between cells, in the colour of the card, only where cells are large enough to spare a pixel.
  rule(ctx, x, y, cell, row, columns, rows) {
    ctx.fillStyle = this.header.theme.card;
    if (cell >= 6) for (let c = 1; c < columns; c++) ctx.fillRect(this.snap(x + c * cell) - 0.5, y, 1, rows * row);
    if (row >= 5) for (let r = 1; r < rows; r++) ctx.fillRect(x, this.snap(y + r * row) - 0.5, columns * cell, 1);
  }

  // The edge of the past: a fine staircase, so that a zero weight and a future token do not look alike.
  stairs(ctx) {
    const { grid, theme } = this.header;
    const { left, gridY, row, cell, gridWidth, gridHeight } = this.plan;
    const end = left + gridWidth;
    ctx.strokeStyle = theme.hairline;
    ctx.lineWidth = 1;
    ctx.beginPath();
    ctx.moveTo(left, gridY);
    for (let r = 0; r < grid.rows; r++) {
      const x = Math.min(end, this.snap(left + (r + 1) * cell));
      ctx.lineTo(x, this.snap(gridY + r * row));
      ctx.lineTo(x, this.snap(gridY + (r + 1) * row));
    }
    ctx.lineTo(left, gridY + gridHeight);
    ctx.closePath();
    ctx.stroke();
  }

  cellTexts(ctx, tile) {
    const { grid, theme } = this.header;
    const { left, gridY, row, cell } = this.plan;
    if (cell < 34 || row < 16) return;
    ctx.font = this.fonts.number;
    ctx.textAlign = "center";
    ctx.textBaseline = "middle";
    for (let r = 0; r < grid.rows; r++) {
      for (let c = 0; c < grid.columns; c++) {
        const color = this.color(tile, r, c);
        if (!color) continue;
        ctx.fillStyle = this.readable(color);
        const percent = this.value(tile, r, c) * 100;
        ctx.fillText(`${percent.toFixed(percent < 9.95 ? 1 : 0)}%`, left + (c + 0.5) * cell, gridY + (r + 0.5) * row);
      }
    }
    ctx.textAlign = "left";
  }

  readable(color) {
    const light = (0.2126 * color[0] ** 2.2 + 0.7152 * color[1] ** 2.2 + 0.0722 * color[2] ** 2.2) / 255 ** 2.2;
    return light > 0.32 ? "#14181D" : "#FFFFFF";
  }

  drawExperts(ctx) {
    const { grid, theme } = this.header;
    const { left, gridY, row, cell } = this.plan;
    const { experts } = grid;
    const pairs = [[experts.first, experts.first_weight], [experts.second, experts.second_weight], ...experts.more];
    const choices = pairs.map((pair) => pair.map((plane) => this.planes[plane]));
    const [first, firstWeight] = choices[0];
    const hue = (index) => experts.colors[Math.round(index) % experts.colors.length];
    const gap = cell >= 8 ? 1 : 0;
    for (let r = 0; r < grid.rows; r++) {
      const y = gridY + r * row;
      for (let c = 0; c < grid.columns; c++) {
        const at = r * grid.columns + c;
        const x = this.snap(left + c * cell);
        const w = this.snap(left + (c + 1) * cell) - x - gap;
        const has = !Number.isNaN(first[at]);
        if (!experts.alone) {
          const color = this.color(0, r, c);
          ctx.fillStyle = color ? `rgb(${color.join(",")})` : theme.chip;
          round(ctx, x, y + 2, w, row * 0.5, Math.min(3, w / 3));
        }
        if (!has) continue;
        const top = experts.alone ? y + 1.5 : y + 2 + row * 0.5 + 1.5;
        const height = experts.alone ? row - 3 : row * 0.21;
        if (experts.alone) {
          ctx.fillStyle = alpha(hue(first[at]), 0.25 + 0.75 * Math.min(1, firstWeight[at]));
          round(ctx, x, top, w, height, Math.min(4, w / 3));
          const mark = Math.min(9, w * 0.34, height * 0.4);
          const others = choices.slice(1).filter(([chosen]) => !Number.isNaN(chosen[at]));
          others.forEach(([chosen], i) => {
            const right = x + w - (others.length - 1 - i) * (mark + 2);  // from left to right: second, third, ...
            if (right - mark - 2 < x) return;  // no room
            ctx.fillStyle = theme.card;
            round(ctx, right - mark - 3.5, top + height - mark - 3.5, mark + 3, mark + 3, 2);
            ctx.fillStyle = hue(chosen[at]);
            round(ctx, right - mark - 2, top + height - mark - 2, mark, mark, 1.5);
          });
          if (w >= 15 && height >= 15) {
            const strength = 0.25 + 0.75 * Math.min(1, firstWeight[at]);
            const card = rgb(theme.card);
            const over = rgb(hue(first[at])).map((v, i) => v * strength + card[i] * (1 - strength));
            ctx.fillStyle = this.readable(over);
            ctx.font = this.fonts.number;
            ctx.textAlign = "left";
            ctx.textBaseline = "middle";
            ctx.fillText(String(Math.round(first[at])), x + Math.min(6, w * 0.2), top + height * 0.42);
          }
        } else {
          const all = choices.filter(([chosen]) => !Number.isNaN(chosen[at]));
          const total = all.reduce((sum, [, weight]) => sum + weight[at], 0) || 1;
          const room = w - (all.length - 1);
          let from = x;
          all.forEach(([chosen, weight]) => {
            const wide = Math.max(1, room * (weight[at] / total));
            ctx.fillStyle = hue(chosen[at]);
            round(ctx, from, top, wide, height, 1.5);
            from += wide + 1;
          });
        }
      }
    }
  }
}
