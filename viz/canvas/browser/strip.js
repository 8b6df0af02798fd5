// The tokens on top, each with the line of its surprisal.

function drawStrip(view, ctx) {
  const { strip, theme } = view.header;
  const { left, labels, token, stripY, fonts } = view.plan;
  const selected = strip.role === "frames" && view.frame !== null ? frameToken(view) : strip.selected;
  const bottom = stripY + labels.height;
  ctx.textBaseline = "middle";
  labels.groups.forEach((group) => {
    const [first, after] = strip.chosen ?? [selected, selected + 1];
    const chosen = selected !== null && first < group.start + group.span && after > group.start;
    const x = left + group.start * token;
    const width = group.span * token;
    if (chosen) drawChosenToken(view, ctx, group, x, width, bottom);
    else if (!group.hidden) drawToken(view, ctx, group, x, width, bottom, fonts.token);
    if (group.span > 1) drawBracket(view, ctx, x, width, bottom);
  });
  if (strip.surprisal === null) return;
  const bits = view.planes[strip.surprisal];
  let most = 0;
  for (const b of bits) if (b > most) most = b;
  const half = Math.max(1, Math.min(token * 0.36, 24));
  bits.forEach((b, i) => {
    if (!(b > 0) || !most) return;
    ctx.fillStyle = alpha(theme.muted, i === selected ? 0.95 : 0.6);
    const w = Math.max(1.5, 2 * half * (b / most));
    round(ctx, left + (i + 0.5) * token - w / 2, bottom - 9, w, 3, 1.5);
  });
}

function drawToken(view, ctx, group, x, width, bottom, font) {
  const { labels, width: all } = view.plan;
  const { ink, muted } = view.header.theme;
  ctx.font = font;
  if (!labels.lean) {
    const text = labels.loose ? group.label : fit(ctx, group.label, width - 4);
    const half = ctx.measureText(text).width / 2;
    const middle = Math.max(half, Math.min(all - half, x + width / 2 + (labels.loose ? group.shift : 0)));
    drawTokenText(ctx, text, middle, bottom - 22, ink, "center", muted);
    return;
  }
  ctx.save();
  ctx.translate(x + width / 2, bottom - 15);
  ctx.rotate(-labels.lean);
  drawTokenText(ctx, fit(ctx, group.label, labels.longest), 0, 0, ink, "left", muted);
  ctx.restore();
}

function drawChosenToken(view, ctx, group, x, width, bottom) {
  const { theme } = view.header;
  const { labels, fonts, width: all } = view.plan;
  ctx.fillStyle = alpha(theme.accent, 0.13);
  ctx.strokeStyle = theme.accent;
  ctx.lineWidth = 1.25;
  ctx.font = fonts.tokenBold;
  if (!labels.lean) {
    const room = Math.max(width - 1, labels.loose ? ctx.measureText(group.label).width + 12 : 0);
    const middle = Math.max(room / 2 + 1, Math.min(all - room / 2 - 1, x + width / 2 + (labels.loose ? group.shift : 0)));
    outline(ctx, middle - room / 2, bottom - 35, room, 32, 8);
    drawToken(view, ctx, group, x, width, bottom, fonts.tokenBold);
    return;
  }
  const text = fit(ctx, group.label, labels.longest);
  ctx.save();
  ctx.translate(x + width / 2, bottom - 15);
  ctx.rotate(-labels.lean);
  outline(ctx, -5, -9, Math.min(ctx.measureText(text).width, labels.longest) + 10, 18, 6);
  drawTokenText(ctx, text, 0, 0, theme.ink, "left", theme.muted);
  ctx.restore();
}

// The pieces of one character are held together.
function drawBracket(view, ctx, x, width, bottom) {
  ctx.strokeStyle = view.header.theme.muted;
  ctx.lineWidth = 1;
  ctx.beginPath();
  ctx.moveTo(x + 3, bottom - 14);
  ctx.lineTo(x + 3, bottom - 12);
  ctx.lineTo(x + width - 3, bottom - 12);
  ctx.lineTo(x + width - 3, bottom - 14);
  ctx.globalAlpha = 0.6;
  ctx.stroke();
  ctx.globalAlpha = 1;
}
