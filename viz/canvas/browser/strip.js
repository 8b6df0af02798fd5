// The tokens on top, each with the line of its surprisal.

function drawStrip(view, ctx) {
  const { strip, theme } = view.header;
  const { stripX, tokens, labels, token, stripY, fonts } = view.plan;
  const run = frameRun(view) ?? shownRun(view);
  const bottom = stripY + labels.height;
  ctx.textBaseline = "middle";
  if (labels.lines) return drawSequence(view, ctx, run, bottom);
  const taken = labels.ticks ? tickLabels(view, (text) => view.measure(fonts.tokenBold, text)).filter((one) => one.chosen) : [];
  labels.groups.forEach((group) => {
    const chosen = touches(group, run);
    const x = stripX + group.start * token;
    const width = group.span * token;
    if (labels.ticks) drawTick(view, ctx, group, x + width / 2, bottom, chosen, taken);
    else if (chosen) drawChosenToken(view, ctx, group, x, width, bottom);
    else if (!group.hidden) drawToken(view, ctx, group, x, width, bottom, fonts.token);
    if (group.span > 1) drawBracket(view, ctx, x, width, bottom);
  });
  if (strip.surprisal === null) return;
  const bits = view.planes[strip.surprisal];
  let most = 0;
  for (const b of bits) if (b > most) most = b;
  const half = Math.max(1, Math.min(token * 0.36, 24));
  bits.forEach((b, i) => {
    if (!(b > 0) || !most || i < tokens[0] || i >= tokens[1]) return;
    ctx.fillStyle = alpha(theme.muted, i >= run[0] && i < run[1] ? 0.95 : 0.6);
    const w = Math.max(1.5, 2 * half * (b / most));
    round(ctx, stripX + (i + 0.5) * token - w / 2, bottom - 9, w, 3, 1.5);
  });
}

// Single characters: keys heavy, values plain, filler as dots; a bracket under each pair, a frame around the chosen one.
function drawSequence(view, ctx, run, bottom) {
  const { strip, theme } = view.header;
  const { stripX, tokens, labels, token, fonts, width } = view.plan;
  const middle = (i) => Math.min(stripX + (i + 0.5) * token, width - 4);
  ctx.textAlign = "center";
  labels.groups.forEach((group) => {
    const i = group.start;
    const role = strip.roles[i];
    const y = bottom - 15 - LINE * (labels.lines - 1 - (i % labels.lines));
    const chosen = touches(group, run);
    if (chosen) {
      ctx.fillStyle = tint(theme.accent, theme.card, 0.13);
      ctx.strokeStyle = theme.accent;
      ctx.lineWidth = 1.25;
      outline(ctx, middle(i) - 6, y - 8, 12, 15, 4);
    }
    if (!chosen && (role === "filler" || (role === "other" && labels.lines > 1))) {
      ctx.fillStyle = alpha(theme.muted, 0.55);
      return round(ctx, middle(i) - 0.75, bottom - 15, 1.5, 1.5, 0.75);
    }
    ctx.font = role === "key" || chosen ? fonts.tokenBold : fonts.token;
    ctx.fillStyle = role === "other" && !chosen ? theme.muted : theme.ink;
    ctx.fillText(group.label, middle(i), y);
  });
  ctx.textAlign = "left";
  ctx.strokeStyle = theme.muted;
  ctx.lineWidth = 1;
  ctx.beginPath();
  for (const [first, last] of strip.pairs) {
    if (first < tokens[0] || last >= tokens[1]) continue;
    const [from, to] = [middle(first) - Math.min(2, token * 0.2), middle(last) + Math.min(2, token * 0.2)];
    ctx.moveTo(from, bottom - 6.5);
    ctx.lineTo(from, bottom - 3.5);
    ctx.lineTo(to, bottom - 3.5);
    ctx.lineTo(to, bottom - 6.5);
  }
  ctx.stroke();
}

// Of a film the token of its frame; null for other pictures.
function frameRun(view) {
  const token = view.header.strip.role === "frames" ? frameToken(view) : null;
  return token === null ? null : [token, token + 1];
}

const touches = (group, [first, after]) => first < group.start + group.span && after > group.start;

// A token without room for its label, or with one that stands for those around it.
// taken: labels of the upper layer that stay there.
function drawTick(view, ctx, group, x, bottom, chosen, taken) {
  const { accent, muted } = view.header.theme;
  if (group.named && taken.every(({ at, room }) => Math.abs(at - x) >= (Math.min(group.width, TICK_LABEL) + room) / 2 + TICK_GAP)) {
    ctx.font = view.plan.fonts.token;
    drawTokenText(ctx, fit(ctx, group.label, TICK_LABEL), x, view.plan.stripY + 11, muted, "center", muted);
  }
  ctx.fillStyle = chosen ? accent : alpha(muted, group.named ? 0.9 : 0.45);
  const tall = chosen || group.named ? 6 : 4;
  round(ctx, x - (chosen ? 1 : 0.5), bottom - 11 - tall, chosen ? 2 : 1, tall, 0);
}

// Above the ticks of the upper layer: the labels of the shown and of the hovered token, apart and within the picture.
function drawTickLabels(view, ctx) {
  const { strip, theme } = view.header;
  const { labels } = view.plan ?? {};
  if (!strip || !labels?.ticks) return;
  const { stripY, fonts } = view.plan;
  ctx.font = fonts.tokenBold;
  ctx.textBaseline = "middle";
  for (const { text, at, chosen, room } of tickLabels(view, (text) => ctx.measureText(text).width)) {
    ctx.font = chosen ? fonts.tokenBold : fonts.token;
    ctx.fillStyle = chosen ? tint(theme.accent, theme.card, 0.13) : theme.card;
    ctx.strokeStyle = chosen ? theme.accent : theme.hairline;
    ctx.lineWidth = chosen ? 1.25 : 1;
    outline(ctx, at - room / 2 - 5, stripY + 1, room + 10, 19, 6);
    drawTokenText(ctx, text, at, stripY + 11, theme.ink, "center", theme.muted);
  }
}

// Where these labels stand: their middle and their room, from left to right.
function tickLabels(view, measure) {
  const { stripX, width, token, labels } = view.plan;
  const run = frameRun(view) ?? shownRun(view);
  const under = pointedToken(view);
  const chosen = labels.groups.filter((group) => touches(group, run)).slice(0, 1);
  const hovered = labels.groups.filter((group) => under !== null && touches(group, [under, under + 1]) && !chosen.includes(group));
  const most = (width - 4 * EDGE - 14) / 2;
  const shown = [...chosen, ...hovered]
    .map((group) => {
      const text = shorten(group.label, most, measure);
      return { group, text, chosen: chosen.includes(group), room: measure(text), start: group.start, span: group.span };
    })
    .sort((a, b) => a.start - b.start);
  shown.forEach((one) => (one.width = one.room + 10));
  spread(shown, token, 4, 1 - stripX, width - stripX - 1, Infinity);
  return shown.map((one) => ({ ...one, at: stripX + (one.start + one.span / 2) * token + one.shift }));
}

// The token of the strip under the pointer, here or in another picture; null for none.
function pointedToken(view) {
  return view.cursor ? tokenAt(view, view.cursor) : hoveredToken(view);
}

function drawToken(view, ctx, group, x, width, bottom, font) {
  const { labels } = view.plan;
  const { ink, muted } = view.header.theme;
  ctx.font = font;
  if (!labels.lean) {
    drawTokenText(ctx, group.label, x + width / 2 + group.shift, bottom - 22, ink, "center", muted);
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
    const room = Math.max(width - 1, ctx.measureText(group.label).width + 12);
    const middle = Math.max(room / 2 + 1, Math.min(all - room / 2 - 1, x + width / 2 + group.shift));
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
