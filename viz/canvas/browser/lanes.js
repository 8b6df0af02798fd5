// Cells that show which categories were chosen: alone, or as a band below the value.

function drawLanes(view, ctx) {
  const { grid, theme } = view.header;
  const { cellX, cellY, row, cell } = view.plan;
  const { chosen, alone } = grid.lanes;
  const gap = cell >= 8 ? 1 : 0;
  for (let r = 0; r < grid.rows; r++) {
    const y = cellY + r * row;
    for (let c = 0; c < grid.columns; c++) {
      const x = snap(view, cellX + c * cell);
      const width = snap(view, cellX + (c + 1) * cell) - x - gap;
      const at = r * grid.columns + c;
      const all = chosen.map(([category, weight]) => ({ category: view.planes[category][at], weight: view.planes[weight][at] }));
      const made = all.filter(({ category }) => !Number.isNaN(category));
      if (alone) drawChoices(view, ctx, made, x, y + 1.5, width, row - 3);
      else {
        const color = colorOf(view, 0, r, c);
        ctx.fillStyle = color ? `rgb(${color.join(",")})` : theme.chip;
        round(ctx, x, y + 2, width, row * 0.5, Math.min(3, width / 3));
        drawSegments(view, ctx, made, x, y + 2 + row * 0.5 + 1.5, width, row * 0.21);
      }
    }
  }
}

function categoryColor(view, category) {
  const { colors } = view.header.grid.lanes;
  return colors[Math.round(category) % colors.length];
}

// The first choice fills the cell, stronger where its weight is larger, with its number; the others are small marks,
// from left to right, as many as have room.
function drawChoices(view, ctx, [first, ...others], x, y, width, height) {
  if (!first) return;
  const { theme } = view.header;
  const strength = 0.25 + 0.75 * Math.min(1, first.weight);
  const color = categoryColor(view, first.category);
  ctx.fillStyle = alpha(color, strength);
  round(ctx, x, y, width, height, Math.min(4, width / 3));
  const mark = Math.min(9, width * 0.34, height * 0.4);
  others.forEach(({ category }, i) => {
    const right = x + width - (others.length - 1 - i) * (mark + 2);
    if (right - mark - 2 < x) return;
    ctx.fillStyle = theme.card;
    round(ctx, right - mark - 3.5, y + height - mark - 3.5, mark + 3, mark + 3, 2);
    ctx.fillStyle = categoryColor(view, category);
    round(ctx, right - mark - 2, y + height - mark - 2, mark, mark, 1.5);
  });
  if (width < 15 || height < 15) return;
  const card = rgb(theme.card);
  ctx.fillStyle = readable(rgb(color).map((v, i) => v * strength + card[i] * (1 - strength)));
  ctx.font = view.plan.fonts.number;
  ctx.textAlign = "left";
  ctx.textBaseline = "middle";
  ctx.fillText(String(Math.round(first.category)), x + Math.min(6, width * 0.2), y + height * 0.42);
}

// All choices side by side, as wide as their weights.
function drawSegments(view, ctx, choices, x, y, width, height) {
  const total = choices.reduce((sum, { weight }) => sum + weight, 0) || 1;
  const room = width - (choices.length - 1);
  for (const { category, weight } of choices) {
    const wide = Math.max(1, room * (weight / total));
    ctx.fillStyle = categoryColor(view, category);
    round(ctx, x, y, wide, height, 1.5);
    x += wide + 1;
  }
}
