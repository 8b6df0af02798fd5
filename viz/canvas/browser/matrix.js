// One map, or one frame of a film: cells, the gaps between them, the edge of the past, numbers, the selected row.

function drawMatrix(view, ctx) {
  const { grid, theme } = view.header;
  const { left, gridY, row, cell, gridWidth, gridHeight, cellX, cellY } = view.plan;
  inWindow(view, ctx, { x: left, y: gridY, width: gridWidth, height: gridHeight }, () => drawGrid(view, ctx));
  drawRowLabels(view, ctx);
  drawColumnLabels(view, ctx);
  const token = grid.row_tokens || grid.follows ? shownToken(view) : grid.selected_row;
  if (Number.isInteger(token) && !grid.lanes) {
    const chosen = Math.floor(token / grid.pool[0]);
    ctx.strokeStyle = theme.accent;
    ctx.lineWidth = 1.5;
    const right = Math.min(left + gridWidth, grid.triangle ? cellX + (chosen + 1) * cell : Infinity);
    const y = cellY + chosen * row;
    if (right > left && y > gridY - row && y < gridY + gridHeight - 0.01) ctx.strokeRect(left, snap(view, y), right - left, Math.max(row, 3));
  }
}

function drawGrid(view, ctx) {
  const { grid } = view.header;
  const { left, gridY, row, cell, gridWidth, gridHeight, cellX, cellY } = view.plan;
  if (grid.lanes) drawLanes(view, ctx);
  else {
    drawMap(view, ctx, view.frame ?? 0, cellX, cellY, cell * grid.columns, row * grid.rows);
    drawGaps(view, ctx);
    if (grid.mode === "frames") drawClipped(view, ctx);
    if (cell * grid.columns > gridWidth + 0.5) ctx.clearRect(left + gridWidth, gridY, cell * grid.columns - gridWidth + 1, gridHeight);
  }
  if (grid.triangle) drawStairs(view, ctx);
  if (grid.texts?.length) drawTexts(view, ctx);
}

// Draw only inside a rectangle where a picture shows a range of its tokens: cells beyond it lie around the rectangle.
function inWindow(view, ctx, { x, y, width, height }, draw) {
  if (!view.plan.zoomed) return draw();
  ctx.save();
  ctx.beginPath();
  ctx.rect(x, y, width, height);
  ctx.clip();
  draw();
  ctx.restore();
}

// Gaps between cells, in the colour of the card, only where cells are large enough to spare a pixel.
function drawGaps(view, ctx) {
  const { grid, theme } = view.header;
  const { cellX, cellY, row, cell } = view.plan;
  ctx.fillStyle = theme.card;
  if (cell >= 6) for (let c = 1; c < grid.columns; c++) ctx.fillRect(snap(view, cellX + c * cell) - 0.5, cellY, 1, grid.rows * row);
  if (row >= 5) for (let r = 1; r < grid.rows; r++) ctx.fillRect(cellX, snap(view, cellY + r * row) - 0.5, grid.columns * cell, 1);
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
  const { row, cell, cellX, cellY, gridWidth, zoomed } = view.plan;
  const all = zoomed ? cell * grid.columns : gridWidth;
  ctx.strokeStyle = theme.hairline;
  ctx.lineWidth = 1;
  ctx.beginPath();
  ctx.moveTo(cellX, cellY);
  for (let r = 0; r < grid.rows; r++) {
    const x = Math.min(cellX + all, snap(view, cellX + (r + 1) * cell));
    ctx.lineTo(x, snap(view, cellY + r * row));
    ctx.lineTo(x, snap(view, cellY + (r + 1) * row));
  }
  ctx.lineTo(cellX, cellY + row * grid.rows);
  ctx.closePath();
  ctx.stroke();
}

// A text in every cell: shortened where it is too wide; nothing where too little would be left of it.
function drawTexts(view, ctx) {
  const { grid, theme } = view.header;
  const { cellX, cellY, row, cell, fonts } = view.plan;
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
      drawTokenText(ctx, fitting, cellX + (c + 0.5) * cell, cellY + (r + 0.5) * row, ink, "center", ink);
    })
  );
}
