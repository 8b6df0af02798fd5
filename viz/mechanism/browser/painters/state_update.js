// One step of a selective state space: h before x keep + write = h after, the read, and what is left of the write later.
// Planes: state (token, channel, d_state), dt (token, channel), rates (channel, d_state), write and read (token, d_state),
// skip (channel), input and output (token, channel), left (word, token). Settings: channels, the number of each drawn one;
// cell, the row and component worked out at first; color, negative.
PAINTERS.state_update = (() => {
  const TOP = 6;
  const WORD = 26; // a line of the text
  const ENDS = 74; // pixels left and right of the number line, for its ends
  const ORDER = ["before", "keep", "write", "films", "read", "left"];
  const FILMS = ["before", "keep", "write", "after"];

  const components = (state) => state.shape("rates")[1];
  const before = (state, row, n, token = state.token) => (token > 0 ? state.value("state", token - 1, row, n) : 0);
  const after = (state, row, n, token = state.token) => state.value("state", token, row, n);
  const keep = (state, row, n, token = state.token) => Math.exp(state.value("dt", token, row) * state.value("rates", row, n));
  const write = (state, row, n, token = state.token) =>
    state.value("dt", token, row) * state.value("write", token, n) * state.value("input", token, row);
  const term = (state, row, n) => state.value("read", state.token, n) * after(state, row, n);
  const valueOf = { before, keep, write, after };

  // What is left of the write of the shown token in a channel after every later one: shares, null of nothing.
  function leftOf(state, row) {
    const parts = Array.from({ length: components(state) }, (_, n) => Math.abs(write(state, row, n)));
    const total = parts.reduce((sum, part) => sum + part, 0);
    if (!(total > 0)) return null;
    const found = [1];
    for (let token = state.token + 1; token < state.labels.length; token++) {
      parts.forEach((part, n) => (parts[n] = part * keep(state, row, n, token)));
      found.push(parts.reduce((sum, part) => sum + part, 0) / total);
    }
    return found;
  }

  const largest = (list) => list.reduce((high, value) => Math.max(high, Math.abs(value)), 0);
  const cellsOf = (state, kind) => {
    const [, rows, count] = state.shape("state");
    return Array.from({ length: rows * count }, (_, at) => valueOf[kind](state, Math.floor(at / count), at % count));
  };

  function lay(state) {
    const { width, small } = state;
    const font = `500 ${small ? 14 : 15}px ${state.theme.font}`;
    const lines = small ? 3 : 2;
    const boxes = fitted(state, { x: 4, y: TOP, width: width - 8, font, line: WORD }, lines);
    let y = TOP + lines * WORD + 10;
    const line = { x: 8, y: y + 20, width: width - 16, height: small ? 104 : 96 };
    y = line.y + line.height + 12;
    const across = small ? 2 : 4;
    const sign = small ? 26 : 34; // between two films
    const wide = (width - 8 - sign * (across - 1)) / across;
    const tall = small ? 118 : 168;
    const [, rows, columns] = state.shape("state");
    const films = FILMS.map((kind, n) => {
      const place = { x: 4 + (n % across) * (wide + sign), y: y + 20 + Math.floor(n / across) * (tall + 34) };
      return { kind, box: matrixBox({ ...place, width: wide, height: tall, rows, columns }) };
    });
    y += 20 + (small ? 2 * tall + 34 : tall) + 16;
    const half = small ? width - 16 : (width - 16) * 0.42;
    const read = { x: 8, y: y + 22, width: half, height: small ? 74 : 84 };
    const left = small
      ? { x: 8, y: read.y + read.height + 38, width: width - 16, height: 74 }
      : { x: 8 + half + 40, y: read.y, width: width - 16 - half - 40, height: 84 };
    return { boxes, line, films, read, left, sign };
  }

  // The words of a text in so many lines: all of them, or a part around the shown one.
  function fitted(state, room, lines) {
    const count = state.labels.length;
    for (let most = count; ; most = Math.max(1, Math.floor(most * 0.85))) {
      const [first, last] = windowed(count, state.token, most, Math.ceil(most / 4));
      const boxes = wordBoxes(state, { ...room, first, after: last });
      if (boxes.every((box) => box.line < lines) || most === 1) return boxes;
    }
  }

  function cell(state, wanted) {
    const [, rows, count] = state.shape("state");
    const [row, n] = wanted ?? state.settings.cell;
    return [Math.max(0, Math.min(rows - 1, row)), Math.max(0, Math.min(count - 1, n))];
  }
  const reached = (state, key) => state.index >= ORDER.indexOf(key);
  const now = (state, key) => state.step === key;
  const strength = (state, key) => (reached(state, key) ? 1 : 0.3);

  function draw(ctx, state) {
    drawText(ctx, state);
    drawNumberLine(ctx, state);
    faint(ctx, strength(state, "films"), () => drawFilms(ctx, state));
    faint(ctx, strength(state, "read"), () => drawRead(ctx, state));
    faint(ctx, strength(state, "left"), () => drawLeft(ctx, state));
  }

  function faint(ctx, share, act) {
    ctx.save();
    ctx.globalAlpha = share;
    act();
    ctx.restore();
  }

  function drawText(ctx, state) {
    const share = now(state, "left") ? leftOf(state, state.cell[0]) : null;
    const look = ({ tokens }) => {
      const chosen = tokens.includes(state.token);
      if (chosen) return { bold: true, ground: tint(state.theme.accent, state.theme.card, 0.14), edge: state.theme.accent };
      return { color: tokens[0] > state.token && !now(state, "left") ? state.theme.muted : state.theme.ink };
    };
    for (const box of share ? state.plan.boxes.filter(({ tokens }) => tokens[0] > state.token) : []) {
      ctx.fillStyle = tint(state.settings.color, state.theme.card, 0.5 * share[box.tokens[0] - state.token]);
      ctx.fillRect(box.x, box.y - 11, box.width, 22); // before the words, which may stand close
    }
    drawWords(ctx, state, state.plan.boxes, { size: state.small ? 14 : 15, look });
  }
  const titled = (ctx, state, text, x, y, width, on) =>
    drawLine(ctx, state, text, x, y, width, { size: 13, weight: on ? 650 : 500, color: on ? state.theme.ink : state.theme.muted });

  function drawNumberLine(ctx, state) {
    const { line } = state.plan;
    const [row, n] = state.cell;
    const [old, kept, next] = [before(state, row, n), before(state, row, n) * keep(state, row, n), after(state, row, n)];
    const on = ["before", "keep", "write"].includes(state.step);
    const named = fill(state.words.cell, { channel: state.settings.channels[row], component: n });
    titled(ctx, state, `${state.words.line} · ${named}`, line.x, line.y - 14, line.width, on);
    const reach = rangeOf(state, row, n);
    const x = (value) => line.x + ENDS + (line.width - 2 * ENDS) * (0.5 + (0.5 * value) / reach);
    const y = line.y + line.height * 0.58;
    axis(ctx, state, line, x, y, reach);
    const moving = (key) => (now(state, key) ? state.part : reached(state, key) ? 1 : 0);
    const [fading, adding] = [moving("keep"), moving("write")];
    if (fading > 0) leap(ctx, x(old), x(old + (kept - old) * fading), y, state.theme.muted, -1);
    if (adding > 0) leap(ctx, x(kept), x(kept + (next - kept) * adding), y, state.settings.color, 1);
    dot(ctx, state, x(old), y, { hollow: true });
    if (fading === 1) dot(ctx, state, x(kept), y, { hollow: true, small: true });
    if (adding > 0) dot(ctx, state, x(kept + (next - kept) * adding), y, {});
    signs(ctx, state, { x, y, line, old, kept, next, fading, adding, row, n });
  }

  // The largest |h| that this component has along the text.
  function rangeOf(state, row, n) {
    const all = Array.from({ length: state.labels.length }, (_, token) => state.value("state", token, row, n));
    return largest(all) * 1.08 || 1;
  }

  function axis(ctx, state, line, x, y, reach) {
    ctx.strokeStyle = state.theme.hairline;
    ctx.lineWidth = 2;
    ctx.beginPath();
    ctx.moveTo(x(-reach), y);
    ctx.lineTo(x(reach), y);
    ctx.stroke();
    for (const [at, text] of [[-reach / 1.08, null], [0, "0"], [reach / 1.08, null]]) {
      ctx.fillStyle = at === 0 ? state.theme.muted : state.theme.hairline;
      ctx.fillRect(x(at) - 0.75, y - (at === 0 ? 9 : 5), 1.5, at === 0 ? 18 : 10);
      if (at === 0) drawLine(ctx, state, text, x(0), y + 20, 40, { size: 11, align: "center", mono: true });
      else drawLine(ctx, state, computed(state, "end of the line", at, state.cell, 2), at < 0 ? x(-reach) - 8 : x(reach) + 8, y, ENDS - 8, { size: 11, align: at < 0 ? "right" : "left", mono: true });
    }
  }

  function leap(ctx, from, to, y, color, side) {
    const height = Math.min(26, 8 + Math.abs(to - from) * 0.3);
    ctx.strokeStyle = color;
    ctx.lineWidth = 2;
    ctx.beginPath();
    ctx.moveTo(from, y + side * 6);
    ctx.quadraticCurveTo((from + to) / 2, y + side * (6 + height), to, y + side * 6);
    ctx.stroke();
    const way = Math.sign(to - from) || 1;
    ctx.beginPath();
    ctx.moveTo(to, y + side * 5);
    ctx.lineTo(to - way * 4, y + side * 12);
    ctx.lineTo(to + way * 3, y + side * 12);
    ctx.closePath();
    ctx.fillStyle = color;
    if (Math.abs(to - from) > 3) ctx.fill();
  }

  function dot(ctx, state, x, y, { hollow = false, small = false }) {
    ctx.beginPath();
    ctx.arc(x, y, small ? 4 : 6, 0, 2 * Math.PI);
    ctx.fillStyle = hollow ? state.theme.card : state.settings.color;
    ctx.strokeStyle = hollow ? state.theme.muted : state.settings.color;
    ctx.lineWidth = 2;
    ctx.fill();
    ctx.stroke();
  }

  // The words of both leaps stand above and below the line, apart from each other, each over its own end.
  function signs(ctx, state, { x, y, line, old, kept, next, fading, adding, row, n }) {
    const put = (text, at, dy, color, weight = 500) => {
      const half = state.measure(`${weight} 12px ${state.theme.mono}`, text) / 2 + 2;
      const place = Math.max(line.x + half, Math.min(line.x + line.width - half, at));
      drawLine(ctx, state, text, place, y + dy, 2 * half + 40, { size: 12, weight, color, align: "center", mono: true });
    };
    if (fading > 0) put(`× ${computed(state, "keep", keep(state, row, n), [state.token, row, n])}`, (x(old) + x(kept)) / 2, -42, state.theme.muted);
    else put(beforeText(state, row, n), x(old), -22, state.theme.ink);
    if (adding > 0) put(signed(computed(state, "write", write(state, row, n), [state.token, row, n])), (x(kept) + x(next)) / 2, 42, state.settings.color, 650);
    if (adding === 1) put(`= ${numeral(state, "state", [state.token, row, n])}`, x(next), -24, state.theme.ink, 650);
  }
  const signed = (text) => (text.startsWith("−") ? `− ${text.slice(1)}` : `+ ${text}`);
  const beforeText = (state, row, n) => (state.token > 0 ? numeral(state, "state", [state.token - 1, row, n]) : "0");

  function drawFilms(ctx, state) {
    const held = Math.max(largest(cellsOf(state, "before")), largest(cellsOf(state, "after")));
    const added = largest(cellsOf(state, "write"));
    const [row, n] = state.cell;
    for (const { kind, box } of state.plan.films) {
      titled(ctx, state, state.words[`film_${kind}`], box.x, box.y - 11, box.width, now(state, "films"));
      drawMatrix(ctx, state, box, (r, c) => {
        const value = valueOf[kind](state, r, c);
        if (kind === "keep") return state.color("share", value);
        return state.color("signed", signedPlace(value, kind === "write" ? added : held));
      });
      drawFrame(ctx, box, state.theme.hairline, 1);
      drawFrame(ctx, box.cell(row, n), kind === "keep" ? state.theme.ink : state.theme.accent, 2);
      if (reached(state, "films")) drawLine(ctx, state, cellText(state, kind, row, n), box.x + box.width, box.y - 11, box.width * 0.5, { size: 12, align: "right", color: state.theme.ink, mono: true });
    }
  }

  function cellText(state, kind, row, n) {
    if (kind === "before") return beforeText(state, row, n);
    if (kind === "after") return numeral(state, "state", [state.token, row, n]);
    return computed(state, kind, valueOf[kind](state, row, n), [state.token, row, n]);
  }

  function drawRead(ctx, state) {
    const { read } = state.plan;
    const [row] = state.cell;
    const count = components(state);
    const terms = Array.from({ length: count }, (_, n) => term(state, row, n));
    const skip = state.value("skip", row) * state.value("input", state.token, row);
    titled(ctx, state, state.words.reading, read.x, read.y - 12, read.width - 90, now(state, "read"));
    if (reached(state, "read")) drawLine(ctx, state, `y = ${numeral(state, "output", [state.token, row])}`, read.x + read.width, read.y - 12, 120, { size: 12, align: "right", color: state.theme.ink, mono: true });
    const high = largest([...terms, skip]) || 1;
    const wide = read.width / (count + 2);
    const zero = read.y + (read.height - 16) / 2;
    const scale = ((read.height - 16) / 2 - 2) / high;
    [...terms, null, skip].forEach((value, at) => {
      if (value === null) return;
      ctx.fillStyle = value < 0 ? state.settings.negative : state.settings.color;
      const tall = Math.max(1, Math.abs(value) * scale);
      ctx.fillRect(read.x + at * wide + wide * 0.14, value < 0 ? zero : zero - tall, wide * 0.72, tall);
    });
    ctx.fillStyle = state.theme.hairline;
    ctx.fillRect(read.x, zero - 0.5, read.width, 1);
    drawLine(ctx, state, state.words.terms, read.x, read.y + read.height - 4, wide * count, { size: 11.5 });
    drawLine(ctx, state, "D·u", read.x + wide * (count + 1.5), read.y + read.height - 4, 60, { size: 11.5, align: "center" });
  }

  function drawLeft(ctx, state) {
    const { left } = state.plan;
    const [[row], count] = [state.cell, state.labels.length];
    titled(ctx, state, state.words.leaves, left.x, left.y - 12, left.width - 120, now(state, "left"));
    const share = leftOf(state, row);
    const wide = left.width / count;
    const tall = left.height - 16;
    ctx.fillStyle = state.theme.hairline;
    ctx.fillRect(left.x, left.y + tall, left.width, 1);
    ctx.fillRect(left.x, left.y, left.width, 1);
    for (let token = state.token; token < count; token++) {
      const x = left.x + token * wide;
      if (share) {
        ctx.fillStyle = state.settings.color;
        const high = share[token - state.token] * tall;
        ctx.fillRect(x + Math.min(1, wide * 0.1), left.y + tall - high, wide - Math.min(2, wide * 0.2), high);
      }
      ctx.fillStyle = state.theme.ink;
      ctx.fillRect(x, left.y + tall - state.value("left", state.token, token) * tall - 0.75, wide, 1.5);
    }
    if (reached(state, "left")) {
      const end = share ? shareOf(state, "left at the end", share.at(-1), [state.token, row]) : state.words.nothing;
      drawLine(ctx, state, end, left.x + left.width, left.y - 12, 120, { size: 12, align: "right", color: state.theme.ink, mono: true });
    }
    key(ctx, state, left);
  }

  // What bars and ticks are.
  function key(ctx, state, left) {
    const y = left.y + left.height - 4;
    ctx.fillStyle = state.settings.color;
    ctx.fillRect(left.x, y - 4, 8, 8);
    drawLine(ctx, state, state.words.this_channel, left.x + 13, y, 110, { size: 11.5 });
    const from = left.x + 27 + state.measure(`400 11.5px ${state.theme.font}`, state.words.this_channel);
    ctx.fillStyle = state.theme.ink;
    ctx.fillRect(from, y - 0.75, 12, 1.5);
    drawLine(ctx, state, state.words.all_channels, from + 17, y, 130, { size: 11.5 });
  }

  function hit(state, x, y) {
    const box = boxAt(state.plan.boxes, x, y);
    if (box) return { hover: box.tokens[0], token: box.tokens[0] };
    for (const { box: film } of state.plan.films) {
      const at = film.at(x, y);
      if (at) return { point: at, cell: at };
    }
    const { left } = state.plan;
    if (x >= left.x && x < left.x + left.width && y >= left.y && y < left.y + left.height) {
      const token = Math.floor(((x - left.x) / left.width) * state.labels.length);
      if (token >= state.token) return { later: token };
    }
    return null;
  }

  function tips(state, target) {
    if (target.later !== undefined) {
      const share = leftOf(state, state.cell[0]);
      if (!share) return [state.words.nothing];
      const told = { ...state, told: [] };
      const text = shareOf(told, "left", share[target.later - state.token]);
      return [fill(state.words.left_at, { word: plain(state.labels[target.later]), share: text })];
    }
    if (!target.point) return [];
    const [[row, n], told] = [target.point, { ...state, told: [] }];
    const parts = FILMS.map((kind) => cellText(told, kind, row, n));
    return [fill(state.words.cell, { channel: state.settings.channels[row], component: n }), `${parts[0]} × ${parts[1]} ${signed(parts[2])} = ${parts[3]}`];
  }
  const moved = (state, right, down) => cell(state, [state.cell[0] + down, state.cell[1] + right]);
  function says(state) {
    const [row, n] = state.cell;
    const share = leftOf(state, row);
    const kept = before(state, row, n) * keep(state, row, n);
    return {
      word: plain(state.labels[state.token]), channel: state.settings.channels[row], component: n,
      before: beforeText(state, row, n), keep: computed(state, "keep", keep(state, row, n)), kept: computed(state, "kept", kept),
      write: computed(state, "write", write(state, row, n)), after: numeral(state, "state", [state.token, row, n]),
      output: numeral(state, "output", [state.token, row]),
      end: share ? shareOf(state, "end", share.at(-1)) : state.words.nothing,
      layer: shareOf(state, "layer", state.value("left", state.token, state.labels.length - 1)),
    };
  }

  function sums(state) {
    const { token, cell: [row, n] } = state;
    const at = [token, row, n];
    const old = token > 0 ? { plane: "state", at: [token - 1, row, n] } : "0";
    const lines = [[`h[${state.settings.channels[row]}, ${n}] = `, old, " × ", { name: "keep", value: keep(state, row, n), at }, " + ",
      { name: "write", value: write(state, row, n), at }, " = ", { strong: { plane: "state", at } }]];
    if (reached(state, "keep")) {
      lines.push(["keep = exp(Δ·A) = exp(", { plane: "dt", at: [token, row] }, " × ", { plane: "rates", at: [row, n] }, ")   write = Δ·B·u = ",
        { plane: "dt", at: [token, row] }, " × ", { plane: "write", at: [token, n] }, " × ", { plane: "input", at: [token, row] }]);
    }
    if (reached(state, "read")) {
      const skip = state.value("skip", row) * state.value("input", token, row);
      const read = state.value("output", token, row) - skip;
      lines.push(["y = C·h + D·u = ", { name: "read", value: read, at: [token, row] }, " + ", { name: "skip", value: skip, at: [token, row] }, " = ",
        { strong: { plane: "output", at: [token, row] } }]);
    }
    return lines;
  }

  return { lay, cell, draw, hit, tips, moved, says, sums };
})();
