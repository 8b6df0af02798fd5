// One map, or one frame of a film: cells, the gaps between them, the edge of the past, numbers, the selected row.

function drawMatrix(view, ctx) {
  const { grid, theme } = view.header;
  const { left, gridY, row, cell, gridWidth, gridHeight } = view.plan;
  const tile = view.frame ?? 0;
  if (grid.lanes) drawLanes(view, ctx);
  else {
    drawMap(view, ctx, tile, left, gridY, cell * grid.columns, row * grid.rows);
    drawGaps(view, ctx);
    if (grid.mode === "frames") drawClipped(view, ctx);
    if (cell * grid.columns > gridWidth + 0.5) ctx.clearRect(left + gridWidth, gridY, cell * grid.columns - gridWidth + 1, gridHeight);
  }
  if (grid.triangle) drawStairs(view, ctx);
  if (grid.texts?.length) drawTexts(view, ctx);
  drawRowLabels(view, ctx);
  drawColumnLabels(view, ctx);
  const token = grid.row_tokens ? shownToken(view) : grid.selected_row;
  if (Number.isInteger(token) && !grid.lanes) {
    const chosen = Math.floor(token / grid.pool[0]);
    ctx.strokeStyle = theme.accent;
    ctx.lineWidth = 1.5;
    ctx.strokeRect(left, snap(view, gridY + chosen * row), grid.triangle ? Math.min(gridWidth, (chosen + 1) * cell) : gridWidth, Math.max(row, 3));
  }
}

// Gaps between cells, in the colour of the card, only where cells are large enough to spare a pixel.
function drawGaps(view, ctx) {
  const { grid, theme } = view.header;
  const { left, gridY, row, cell } = view.plan;
  ctx.fillStyle = theme.card;
  if (cell >= 6) for (let c = 1; c < grid.columns; c++) ctx.fillRect(snap(view, left + c * cell) - 0.5, gridY, 1, grid.rows * row);
  if (row >= 5) for (let r = 1; r < grid.rows; r++) ctx.fillRect(left, snap(view, gridY + r * row) - 0.5, grid.columns * cell, 1);
}

// A dot in every cell of a frame whose value lies beyond the end of the scale.
function drawClipped(view, ctx) {
  const { grid } = view.header;
  const { left, gridY, row, cell } = view.plan;
  const size = Math.min(row, cell) / 5;
  if (size < 0.8) return;
  for (let r = 0; r < grid.rows; r++) {
    for (let c = 0; c < grid.columns; c++) {
      if (!(Math.abs(valueAt(view, view.frame, r, c)) > highOf(view, view.frame, r))) continue;
      ctx.fillStyle = readable(colorOf(view, view.frame, r, c));
      ctx.beginPath();
      ctx.arc(left + (c + 0.5) * cell, gridY + (r + 0.5) * row, size, 0, 2 * Math.PI);
      ctx.fill();
    }
  }
}

// The edge of the past: a fine staircase, so that a zero weight and a future token do not look alike.
function drawStairs(view, ctx) {
  const { grid, theme } = view.header;
  const { left, gridY, row, cell, gridWidth, gridHeight } = view.plan;
  ctx.strokeStyle = theme.hairline;
  ctx.lineWidth = 1;
  ctx.beginPath();
  ctx.moveTo(left, gridY);
  for (let r = 0; r < grid.rows; r++) {
    const x = Math.min(left + gridWidth, snap(view, left + (r + 1) * cell));
    ctx.lineTo(x, snap(view, gridY + r * row));
    ctx.lineTo(x, snap(view, gridY + (r + 1) * row));
  }
  ctx.lineTo(left, gridY + gridHeight);
  ctx.closePath();
  ctx.stroke();
}

// A text in every cell: shortened where it is too wide; nothing where too little would be left of it.
function drawTexts(view, ctx) {
  const { grid, theme } = view.header;
  const { left, gridY, row, cell, fonts } = view.plan;
  const room = cell - 6;
  if (row < 14) return;
  ctx.font = fonts.number;
  ctx.textBaseline = "middle";
  if (grid.whole_texts && grid.texts.flat().some((text) => ctx.measureText(text).width > room)) return;
  grid.texts.forEach((texts, r) =>
    texts.forEach((text, c) => {
      const fitting = fit(ctx, text, room);
      if (!fitting || (fitting !== text && (room < 18 || fitting === "␣…"))) return;
      const ink = readable(colorOf(view, 0, r, c) ?? rgb(theme.card));
      drawTokenText(ctx, fitting, left + (c + 0.5) * cell, gridY + (r + 0.5) * row, ink, "center", ink);
    })
  );
}
