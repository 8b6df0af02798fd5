// Rows of bars between strip and grid: values of their own, or the active row of the grid.

function drawOwnBars(view, ctx) {
  view.header.bars.forEach((bar, i) => {
    if (bar.plane !== null) drawBars(view, ctx, bar, view.plan.bars[i], view.planes[bar.plane], "", 1);
  });
}

function drawLiveBars(view, ctx) {
  const { bars, grid } = view.header;
  bars.forEach((bar, i) => {
    if (bar.plane !== null || !grid) return;
    const row = activeRow(view);
    const values = Array.from({ length: grid.columns }, (_, column) => readAt(view, view.frame ?? 0, row, column));
    drawBars(view, ctx, bar, view.plan.bars[i], values, rowName(view, row), grid.pool[1]);
  });
}

// The row that is meant: under the cursor here or elsewhere, shown, or the last one.
function activeRow(view) {
  const { grid } = view.header;
  const at = view.cursor;
  if (at?.zone === "grid") return at.row;
  if (at?.zone === "strip") return Math.floor(at.token / grid.pool[0]);
  const token = hoveredToken(view) ?? shownToken(view);
  return token === null ? grid.rows - 1 : Math.min(grid.rows - 1, Math.floor(token / grid.pool[0]));
}

// One bar for every block of pool tokens.
function drawBars(view, ctx, bar, at, values, name, pool) {
  const { theme, strip } = view.header;
  const { left, stripX, tokens, token, fonts } = view.plan;
  let high = 0;
  let low = 0;
  for (const v of values) {
    if (v > high) high = v;
    if (v < low) low = v;
  }
  const span = high - low || 1;
  const zero = at.y + at.height * (high / span);
  const edge = (i) => stripX + Math.max(tokens[0], Math.min(i * pool, tokens[1])) * token;
  const gap = token >= 6 ? Math.min(4, token * 0.12) : 0;
  values.forEach((v, i) => {
    if (!Number.isFinite(v) || edge(i + 1) <= edge(i)) return;
    const x = snap(view, edge(i) + gap / 2);
    const w = Math.max(1 / view.dpr, snap(view, edge(i + 1) - gap / 2) - x);
    const h = Math.max(1, (Math.abs(v) / span) * at.height);
    ctx.fillStyle = alpha(v < 0 ? negativeColor(view) : bar.color, 0.86);
    round(ctx, x, v >= 0 ? zero - h : zero, w, h, Math.min(2, w / 3));
  });
  const range = `${shown(Number(low.toPrecision(2)))} – ${shown(Number(high.toPrecision(2)))}`;
  const room = edge(values.length) - left;
  ctx.font = fonts.number;
  ctx.textBaseline = "middle";
  ctx.fillStyle = theme.muted;
  ctx.textAlign = "right";
  ctx.fillText(range, left + room, at.y + at.height + 13);
  const rest = room - ctx.measureText(range).width - 12;
  ctx.font = fonts.text;
  ctx.textAlign = "left";
  ctx.fillText(fit(ctx, fill(bar.label, { row: name }), rest), left, at.y + at.height + 13);
}

function negativeColor(view) {
  const ramp = view.header.grid?.ramps[0];
  return ramp ? "#" + ramp.slice(0, 6) : view.header.theme.muted;
}
