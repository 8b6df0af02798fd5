// Cells that show which categories were chosen: alone, or as a band below the value.

function drawLanes(view, ctx) {
  const { grid, theme } = view.header;
  const { left, gridY, row, cell, fonts } = view.plan;
  const { experts } = grid;
  const [first, firstWeight, second, secondWeight] = ["first", "first_weight", "second", "second_weight"].map((name) => view.planes[experts[name]]);
  const hue = (index) => experts.colors[Math.round(index) % experts.colors.length];
  const gap = cell >= 8 ? 1 : 0;
  for (let r = 0; r < grid.rows; r++) {
    const y = gridY + r * row;
    for (let c = 0; c < grid.columns; c++) {
      const at = r * grid.columns + c;
      const x = snap(view, left + c * cell);
      const w = snap(view, left + (c + 1) * cell) - x - gap;
      const has = !Number.isNaN(first[at]);
      if (!experts.alone) {
        const color = colorOf(view, 0, r, c);
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
        if (!Number.isNaN(second[at])) {
          ctx.fillStyle = theme.card;
          round(ctx, x + w - mark - 3.5, top + height - mark - 3.5, mark + 3, mark + 3, 2);
          ctx.fillStyle = hue(second[at]);
          round(ctx, x + w - mark - 2, top + height - mark - 2, mark, mark, 1.5);
        }
        if (w >= 15 && height >= 15) {
          const strength = 0.25 + 0.75 * Math.min(1, firstWeight[at]);
          const card = rgb(theme.card);
          const over = rgb(hue(first[at])).map((v, i) => v * strength + card[i] * (1 - strength));
          ctx.fillStyle = readable(over);
          ctx.font = fonts.number;
          ctx.textAlign = "left";
          ctx.textBaseline = "middle";
          ctx.fillText(String(Math.round(first[at])), x + Math.min(6, w * 0.2), top + height * 0.42);
        }
      } else {
        const both = firstWeight[at] + secondWeight[at] || 1;
        const split = Number.isNaN(second[at]) ? w : Math.max(2, (w - 1) * (firstWeight[at] / both));
        ctx.fillStyle = hue(first[at]);
        round(ctx, x, top, split, height, 1.5);
        if (!Number.isNaN(second[at])) {
          ctx.fillStyle = hue(second[at]);
          round(ctx, x + split + 1, top, Math.max(1, w - split - 1), height, 1.5);
        }
      }
    }
  }
}
