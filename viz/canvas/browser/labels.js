// The names of rows and columns.

function drawRowLabels(view, ctx) {
  const { grid, strip, theme } = view.header;
  const { left, gridY, gridHeight, cellY, row, fonts } = view.plan;
  const labels = grid.row_tokens && strip ? strip.labels : grid.row_labels;
  if (!labels.length) return;
  const pool = grid.row_tokens ? grid.pool[0] : 1;
  const tight = row / pool < 13;
  const every = Math.max(1, Math.ceil((tight ? 11.5 : 13) / (row / pool)));
  const font = tight ? fonts.row.replace(/\d+px/, "11px") : fonts.row;
  const colored = grid.row_colors.length > 0;
  ctx.textBaseline = "middle";
  ctx.textAlign = "right";
  const selected = grid.row_tokens || grid.follows ? shownToken(view) : null;
  const stands = grid.row_tokens && every > 1 ? rowLandmarks(view, every, selected) : null;
  labels.forEach((label, i) => {
    const y = cellY + (i / pool) * row + row / pool / 2;
    if (y < gridY || y > gridY + gridHeight) return;
    if (colored) {
      ctx.fillStyle = grid.row_colors[i];
      round(ctx, 0, gridY + i * row + 2, 4, row - 4, 2);
    }
    const chosen = i === selected;
    if (stands ? !stands.has(i) : i % every) return;
    if (grid.row_tokens && strip.piece[i] > 1) return;
    ctx.font = chosen ? font.replace("500", "700") : font;
    const text = fit(ctx, label, left - 12 - (colored ? 8 : 0));
    if (!colored) return drawTokenText(ctx, text, left - 8, y, chosen ? theme.accent : theme.ink, "right", theme.muted);
    const notes = grid.token_notes?.[shownToken(view)] ?? grid.row_notes;
    const noted = Boolean(notes[i]) && row >= 26;
    ctx.textAlign = "left";
    ctx.fillStyle = theme.ink;
    ctx.fillText(text, 10, noted ? y - 6.5 : y);
    if (!noted) return;
    ctx.font = fonts.note;
    ctx.fillStyle = theme.muted;
    ctx.fillText(fit(ctx, notes[i], left - 16), 10, y + 7.5);
  });
  ctx.textAlign = "left";
}

// The rows that keep their names where every so many have room for one: the selected one, and what a reader finds first.
function rowLandmarks(view, every, selected) {
  const { strip } = view.header;
  const [first, after] = view.plan.down;
  const rank = (i) => (strip.piece[i] > 1 || i < first || i >= after ? null : ranks(strip)[i]);
  return landmarks(strip.labels.length, rank, (i, j) => Math.abs(i - j) >= every, selected === null ? [] : [selected]);
}

// The mark of a leading space is drawn fainter than the word itself.
function drawTokenText(ctx, text, x, y, color, align, markColor) {
  const mark = text.startsWith("␣") && text.length > 1 ? "␣" : "";
  const rest = text.slice(mark.length);
  const markWidth = mark ? ctx.measureText(mark).width : 0;
  const width = markWidth + ctx.measureText(rest).width;
  const start = align === "center" ? x - width / 2 : align === "right" ? x - width : x;
  ctx.textAlign = "left";
  if (mark) {
    ctx.globalAlpha *= 0.55;
    ctx.fillStyle = markColor;
    ctx.fillText(mark, start, y);
    ctx.globalAlpha /= 0.55;
  }
  ctx.fillStyle = color;
  ctx.fillText(rest, start + markWidth, y);
}

function drawColumnLabels(view, ctx) {
  const { grid, theme } = view.header;
  const { left, gridY, gridHeight, gridWidth, cell, cellX, fonts, width } = view.plan;
  let y = gridY + gridHeight;
  ctx.fillStyle = theme.muted;
  ctx.textBaseline = "middle";
  if (grid.column_labels.length) {
    ctx.font = fonts.number;
    ctx.textAlign = "center";
    const widest = Math.max(...grid.column_labels.map((label) => ctx.measureText(label).width)) + 8;
    const every = Math.max(1, Math.ceil(widest / cell));
    grid.column_labels.forEach((label, i) => {
      const x = cellX + (i + 0.5) * cell;
      if (i % every === 0 && x > left && x < left + gridWidth) ctx.fillText(label, x, y + 11);
    });
    y += 20;
  }
  ctx.font = fonts.text;
  if (grid.row_title) {
    ctx.textAlign = "left";
    ctx.fillText(fit(ctx, grid.row_title, width - left), left, y + 12);
  }
  if (grid.column_title) {
    ctx.textAlign = "right";
    const room = gridWidth - (grid.row_title ? ctx.measureText(grid.row_title).width + 16 : 0);
    if (room > 60) ctx.fillText(fit(ctx, grid.column_title, room), left + gridWidth, y + 12);
  }
  ctx.textAlign = "left";
}
