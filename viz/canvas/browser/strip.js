// The tokens on top and the bars under them.

class Strip extends Tiles {
  activeFrameToken() {
    return this.frame === null ? null : this.frame * this.header.grid.frame_pool;
  }

  drawStrip(ctx) {
    const { strip, grid, theme } = this.header;
    const { left, labels, token } = this.plan;
    const selected = strip.role === "frames" && this.frame !== null ? this.activeFrameToken() : strip.selected;
    const bottom = this.plan.stripY + labels.height;
    ctx.textBaseline = "middle";
    labels.groups.forEach((group) => {
      const [first, after] = strip.chosen ?? [selected, selected + 1];
      const chosen = selected !== null && first < group.start + group.span && after > group.start;
      const x = left + group.start * token;
      const width = group.span * token;
      if (chosen) this.chosenLabel(ctx, group, x, width, bottom);
      else if (!group.hidden) this.label(ctx, group, x, width, bottom, theme.ink, this.fonts.token);
      if (group.span > 1) this.bracket(ctx, x, width, bottom);
    });
    if (strip.surprisal === null) return;
    const bits = this.planes[strip.surprisal];
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

  label(ctx, group, x, width, bottom, color, font) {
    const { labels } = this.plan;
    ctx.font = font;
    if (!labels.lean) {
      const text = labels.loose ? group.label : fit(ctx, group.label, width - 4);
      const half = ctx.measureText(text).width / 2;
      const middle = Math.max(half, Math.min(this.plan.width - half, x + width / 2 + (labels.loose ? group.shift : 0)));
      this.tokenText(ctx, text, middle, bottom - 22, color, "center");
      return;
    }
    ctx.save();
    ctx.translate(x + width / 2, bottom - 15);
    ctx.rotate(-labels.lean);
    this.tokenText(ctx, fit(ctx, group.label, labels.longest), 0, 0, color, "left");
    ctx.restore();
  }

  chosenLabel(ctx, group, x, width, bottom) {
    const { theme } = this.header;
    const { labels } = this.plan;
    ctx.fillStyle = alpha(theme.accent, 0.13);
    ctx.strokeStyle = theme.accent;
    ctx.lineWidth = 1.25;
    ctx.font = this.fonts.tokenBold;
    if (!labels.lean) {
      const room = Math.max(width - 1, labels.loose ? ctx.measureText(group.label).width + 12 : 0);
      const middle = Math.max(room / 2 + 1, Math.min(this.plan.width - room / 2 - 1, x + width / 2 + (labels.loose ? group.shift : 0)));
      outline(ctx, middle - room / 2, bottom - 35, room, 32, 8);
      this.label(ctx, group, x, width, bottom, theme.ink, this.fonts.tokenBold);
      return;
    }
    const text = fit(ctx, group.label, labels.longest);
    ctx.save();
    ctx.translate(x + width / 2, bottom - 15);
    ctx.rotate(-labels.lean);
    outline(ctx, -5, -9, Math.min(ctx.measureText(text).width, labels.longest) + 10, 18, 6);
    this.tokenText(ctx, text, 0, 0, theme.ink, "left");
    ctx.restore();
  }

  bracket(ctx, x, width, bottom) {
    ctx.strokeStyle = this.header.theme.muted;
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

  drawBars(ctx, bar, at, values, name) {
    const { theme } = this.header;
    const { left, token } = this.plan;
    let high = 0;
    let low = 0;
    for (const v of values) {
      if (v > high) high = v;
      if (v < low) low = v;
    }
    const span = high - low || 1;
    const zero = at.y + at.height * (high / span);
    const gap = token >= 6 ? Math.min(4, token * 0.12) : 0;
    const signed = low < 0;
    values.forEach((v, i) => {
      if (!Number.isFinite(v)) return;
      const x = this.snap(left + i * token + gap / 2);
      const w = Math.max(1 / this.dpr, this.snap(left + (i + 1) * token - gap / 2) - x);
      const h = Math.max(1, (Math.abs(v) / span) * at.height);
      ctx.fillStyle = alpha(signed && v < 0 ? this.negative() : bar.color, 0.86);
      round(ctx, x, v >= 0 ? zero - h : zero, w, h, Math.min(2, w / 3));
    });
    ctx.font = this.fonts.text;
    ctx.textBaseline = "middle";
    ctx.fillStyle = theme.muted;
    ctx.textAlign = "left";
    const max = `${shown(Number(low.toPrecision(2)))} – ${shown(Number(high.toPrecision(2)))}`;
    ctx.font = this.fonts.number;
    const room = token * values.length;
    const maxWidth = ctx.measureText(max).width;
    ctx.textAlign = "right";
    ctx.fillText(max, left + room, at.y + at.height + 13);
    ctx.textAlign = "left";
    ctx.font = this.fonts.text;
    ctx.fillText(fit(ctx, fill(bar.label, { row: name ?? "" }), room - maxWidth - 12), left, at.y + at.height + 13);
  }

  negative() {
    const ramp = this.header.grid?.ramps[0];
    return ramp ? "#" + ramp.slice(0, 6) : this.header.theme.muted;
  }
}
