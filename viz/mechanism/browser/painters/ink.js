// RWKV's memory as ink: the words, each as dark as the weight that a channel still gives it; a slider over the channels
// by half-life; the weights as a curve with a guide at one half; WKV and what stands around it in numbers. Planes:
// viz/trace/ink.py.

PAINTERS.ink = (() => {
  const FAINT = 0.14; // of the ink that is left of a word without weight, so that it can be read
  const TERMS = 3; // of a sum that are written out
  const AHEAD = 4; // tokens after the chosen one in a window of a long text
  const HALF = 0.5;
  const [BESIDE, TRACK, FLOW, GAP] = [960, 74, 74, 18]; // pixels: width from which the curve stands beside the words; heights
  const EQUAL = "equal";
  const AROUND = "block";

  // ---- numbers

  const rate = (state, c) => state.value("rate", c);
  const halfLife = (state, c) => state.value("half_life", c);
  const keyOf = (state, i, c) => state.value("key", i, c);

  // The exponent of the weight of token i at token t, with the keys of the text.
  const exponent = (state, t, i, c) => keyOf(state, i, c) + (i === t ? state.value("bonus", c) : (i + 1 - t) * rate(state, c));

  // What a weight keeps of itself so many steps back, were all keys equal: 1 one step back, and e^u of the token itself.
  const kept = (state, t, i, c) => Math.exp(i === t ? state.value("bonus", c) : (i + 1 - t) * rate(state, c));

  // The row of a token: the largest exponent, the weights relative to it, their sum, and the weighted sum of the values.
  function rowOfToken(state, t, c) {
    const scores = Array.from({ length: t + 1 }, (_, i) => exponent(state, t, i, c));
    const top = Math.max(...scores);
    const weights = scores.map((score) => Math.exp(score - top));
    const den = weights.reduce((sum, weight) => sum + weight, 0);
    const num = weights.reduce((sum, weight, i) => sum + weight * state.value("value", i, c), 0);
    return { top, scores, weights, den, num, wkv: num / den, share: (i) => weights[i] / den };
  }

  // How dark each word is, from 0 to 1, where the step asks for equal keys or for those of the text.
  function inkOf(state) {
    const { token, step, cell: { channel } } = state;
    if (step === EQUAL) return (i) => (i > token ? 0 : Math.min(1, kept(state, token, i, channel)));
    const row = rowOfToken(state, token, channel);
    const most = Math.max(...row.weights);
    return (i) => (i > token ? 0 : row.weights[i] / most);
  }

  const count = (state) => state.shape("rate")[0];

  function cell(state, wanted) {
    const known = Number.isInteger(wanted?.channel) && wanted.channel >= 0 && wanted.channel < count(state);
    return { channel: known ? wanted.channel : state.settings.start };
  }

  const moved = (state, right, down) => ({ channel: Math.min(count(state) - 1, Math.max(0, state.cell.channel + right + down)) });

  // ---- where everything lies

  function lay(state) {
    const { width, height, small } = state;
    const [first, after] = windowed(state.labels.length, state.token, Math.min(state.settings.window, small ? 36 : 1e9), AHEAD);
    const beside = width >= BESIDE;
    const flow = small ? FLOW + 46 : FLOW;
    const room = height - TRACK - flow - GAP;
    const words = beside ? { x: 6, y: 0, width: Math.round(width * 0.52), height: room } : { x: 6, y: 0, width: width - 12, height: Math.round(room * (small ? 0.55 : 0.5)) };
    const sentence = sentenceOf(state, words, first, after);
    const top = beside ? 24 : sentence.end + 28;
    const chart = { x: beside ? words.width + 60 : 30, y: top, width: beside ? width - words.width - 72 : width - 40, height: room - top - 32 };
    const track = { x: 14, y: room + 44, width: width - 28 };
    const ink = inkOf(state);
    const shares = state.labels.map((_, i) => ink(i));
    return { ...sentence, first, after, shares, chart, track, flow: { x: 0, y: room + TRACK + GAP, width, height: flow - 4 } };
  }

  // Words in the largest type in which they fit.
  function sentenceOf(state, box, first, after) {
    const note = first > 0 || after < state.labels.length ? 22 : 0;
    for (let size = state.small ? 20 : 30; ; size--) {
      const options = { ...box, first, after, font: `650 ${size}px ${state.theme.font}` };
      const lines = wordBoxes(state, { ...options, line: 10 }).at(-1).line + 1;
      if (size > 10 && lines * size * 1.75 > box.height - note) continue;
      const line = Math.min(size * 2.2, (box.height - note) / lines);
      return { size, boxes: wordBoxes(state, { ...options, line }), noteY: lines * line + 10, end: lines * line + note };
    }
  }

  const placeOfHalfLife = (state, value) => {
    const { track } = state.plan;
    const [low, high] = [Math.log(halfLife(state, count(state) - 1)), Math.log(halfLife(state, 0))];
    return track.x + track.width * (high > low ? (Math.log(value) - low) / (high - low) : 0.5);
  };

  // ---- drawing

  function draw(ctx, state) {
    drawInk(ctx, state);
    drawCurve(ctx, state);
    drawTrack(ctx, state);
    if (state.step === AROUND) drawBlock(ctx, state);
    else drawFlow(ctx, state);
  }

  function drawInk(ctx, state) {
    const { plan, token, theme, words } = state;
    const own = boxOf(plan.boxes, token);
    const told = new Set(terms(state).map(({ i }) => i));
    const dark = (box) => Math.max(...box.tokens.map((i) => plan.shares[i]));
    const color = (box) => (box.tokens[0] > token ? alpha(theme.muted, 0.35) : alpha(theme.ink, FAINT + (1 - FAINT) * dark(box) * state.part + (1 - FAINT) * (1 - state.part) * 0.5));
    const look = (box) => {
      if (box === own) return { bold: true, color: theme.ink, edge: theme.accent, ground: tint(theme.accent, theme.card, 0.14) };
      return { bold: true, color: color(box), line: inNumbers(state) && box.tokens.some((i) => told.has(i)) };
    };
    drawWords(ctx, state, plan.boxes, { size: plan.size, look });
    if (plan.first === 0 && plan.after === state.labels.length) return;
    drawLine(ctx, state, fill(words.window, { first: plan.first, last: plan.after - 1 }), 6, plan.noteY, state.width - 12);
  }

  const inNumbers = (state) => ["num", "den", "wkv", "gate"].includes(state.step);

  // The tokens with the largest weights, which the arithmetic writes out.
  function terms(state) {
    const { token, cell: { channel } } = state;
    const row = rowOfToken(state, token, channel);
    return row.weights.map((weight, i) => ({ i, weight })).sort((a, b) => b.weight - a.weight).slice(0, TERMS);
  }

  // A bar per token in the order of the text, the curve of equal keys, and the guide at one half.
  function drawCurve(ctx, state) {
    const { plan, theme, token, step, words, cell: { channel }, snap } = state;
    const { chart, first, after, shares } = plan;
    const wide = chart.width / (after - first);
    const y = (share) => chart.y + chart.height * (1 - share);
    const x = (i) => chart.x + (i - first + 0.5) * wide;
    for (const share of [0, HALF, 1]) {
      ctx.fillStyle = theme.hairline;
      if (share !== HALF) ctx.fillRect(chart.x, snap(y(share)), chart.width, 1);
      drawLine(ctx, state, share === HALF ? "½" : String(share), chart.x - 8, y(share), 30, { size: 12, align: "right" });
    }
    for (let i = first; i < Math.min(after, token + 1); i++) {
      const tall = chart.height * shares[i] * state.part;
      ctx.fillStyle = i === token ? theme.accent : alpha(theme.accent, 0.62);
      const gap = wide > 6 ? 1.5 : 0.25;
      round(ctx, x(i) - wide / 2 + gap, y(0) - Math.max(tall, 1), wide - 2 * gap, Math.max(tall, 1), Math.min(3, wide / 4));
    }
    dashed(ctx, theme.muted, () => {
      ctx.moveTo(chart.x, y(HALF));
      ctx.lineTo(chart.x + chart.width, y(HALF));
    });
    drawDecay(ctx, state, x, y);
    nameBars(ctx, state, x, wide);
    const title = step === EQUAL ? words.equal_title : words.keys_title;
    drawLine(ctx, state, title, chart.x, chart.y - 12, chart.width, { size: 12 });
    if (step === EQUAL) drawLine(ctx, state, fill(words.now, { value: computed(state, "kept", kept(state, token, token, channel), [token, token, channel]) }), chart.x + chart.width, chart.y - 12, 120, { size: 12, align: "right" });
    const crosses = token - 1 - halfLife(state, channel);
    if (crosses < first || step !== EQUAL) return;
    ctx.fillStyle = theme.ink;
    ctx.beginPath();
    ctx.arc(x(crosses), y(HALF), 4.5, 0, 2 * Math.PI);
    ctx.fill();
    const left = x(crosses) > chart.x + chart.width * 0.6;
    const text = fill(words.half_life, { value: numeral(state, "half_life", [channel]) });
    drawLine(ctx, state, text, x(crosses) + (left ? -10 : 10), y(HALF) - 12, chart.width * 0.7, { size: 13, weight: 650, color: theme.ink, align: left ? "right" : "left" });
  }

  function dashed(ctx, color, path) {
    ctx.strokeStyle = color;
    ctx.lineWidth = 1;
    ctx.setLineDash([4, 4]);
    ctx.beginPath();
    path();
    ctx.stroke();
    ctx.setLineDash([]);
  }

  // exp(-(n - 1) w) from one step back on; under real keys it is only there to compare.
  function drawDecay(ctx, state, x, y) {
    const { plan: { first }, theme, token, step, cell: { channel } } = state;
    if (token < 1) return;
    ctx.strokeStyle = step === EQUAL ? theme.ink : alpha(theme.ink, 0.35);
    ctx.lineWidth = step === EQUAL ? 2 : 1.25;
    ctx.beginPath();
    for (let n = 0; n <= 160; n++) {
      const back = ((token - 1 - first) * n) / 160;
      const at = token - 1 - back;
      ctx[n ? "lineTo" : "moveTo"](x(at), y(Math.exp(-back * rate(state, channel))));
    }
    ctx.stroke();
  }

  // The words under the bars, as many as there is room for, the shown one and the largest first.
  function nameBars(ctx, state, x, wide) {
    const { plan: { chart, first, after, shares }, labels, theme, token } = state;
    const placed = [];
    const order = Array.from({ length: after - first }, (_, n) => first + n).filter((i) => i <= token && state.piece[i] === 1);
    order.sort((a, b) => (b === token) - (a === token) || shares[b] - shares[a] || b - a);
    for (const i of order) {
      const text = plain(labels[i]);
      const half = Math.min(state.measure(`400 12px ${theme.font}`, text), 90) / 2 + 4;
      const middle = Math.min(Math.max(x(i), chart.x + half - 4), chart.x + chart.width - half + 4);
      if (placed.some(([at, room]) => Math.abs(at - middle) < half + room)) continue;
      placed.push([middle, half]);
      drawLine(ctx, state, text, middle, chart.y + chart.height + 14, 90, { size: 12, align: "center", weight: i === token ? 650 : 400, color: i === token ? theme.ink : theme.muted });
    }
  }

  // The slider: a tick per channel over its half-life, and a knob.
  function drawTrack(ctx, state) {
    const { plan: { track }, theme, words, cell: { channel }, settings } = state;
    const text = fill(words.channel, { channel: settings.channels[channel], value: numeral(state, "half_life", [channel]) });
    drawLine(ctx, state, text, track.x, track.y - 22, track.width, { size: 13, weight: 650, color: theme.ink });
    ctx.fillStyle = theme.chip;
    round(ctx, track.x, track.y - 3, track.width, 6, 3);
    for (let c = 0; c < count(state); c++) {
      ctx.fillStyle = alpha(theme.accent, 0.45);
      ctx.fillRect(placeOfHalfLife(state, halfLife(state, c)) - 0.5, track.y - 8, 1, 16);
    }
    const knob = placeOfHalfLife(state, halfLife(state, channel));
    ctx.fillStyle = theme.accent;
    ctx.strokeStyle = theme.card;
    ctx.lineWidth = 2;
    ctx.beginPath();
    ctx.arc(knob, track.y, 9, 0, 2 * Math.PI);
    ctx.fill();
    ctx.stroke();
    const ends = [halfLife(state, count(state) - 1), halfLife(state, 0)];
    for (const mark of [0.1, 1, 10, 100, 1000]) {
      if (mark < ends[0] * 1.3 || mark > ends[1] / 1.3) continue;
      drawLine(ctx, state, String(mark), placeOfHalfLife(state, mark), track.y + 20, 40, { size: 11.5, align: "center" });
    }
    drawLine(ctx, state, words.slow, track.x + track.width, track.y - 22, 130, { size: 11.5, align: "right" });
  }

  // Numerator, denominator, quotient, receptance and output as boxes; that of the step stands out.
  function drawFlow(ctx, state) {
    const { token, cell: { channel }, words, step } = state;
    const row = rowOfToken(state, token, channel);
    const at = [token, channel];
    const boxes = [
      { key: "num", title: words.num, text: computed(state, "num", row.num, at) },
      { key: "den", title: words.den, text: computed(state, "den", row.den, at), sign: "÷" },
      { key: "wkv", title: words.wkv, text: computed(state, "wkv", row.wkv, at), sign: "=" },
      { key: "gate", title: words.gate, text: numeral(state, "receptance", at), sign: "×" },
      { key: "output", title: words.output, text: numeral(state, "output", at), sign: "=" },
    ];
    drawBoxes(ctx, state, boxes, (box) => box.key === step || (box.key === "output" && step === "gate"));
  }

  // What the block does around it: the stream before, time mixing, channel mixing with its zeros, the stream after.
  function drawBlock(ctx, state) {
    const { token, words } = state;
    const boxes = [
      { title: words.stream_before, text: numeral(state, "stream", [0, token]) },
      { title: words.time_mixing, text: numeral(state, "stream", [1, token]), sign: "+" },
      { title: words.channel_mixing, text: numeral(state, "stream", [2, token]), sign: "+" },
      { title: words.stream_after, text: numeral(state, "stream", [3, token]), sign: "→" },
      { title: words.zeros, text: shareOf(state, "zeros", state.value("zeros", token), [token]) },
    ];
    drawBoxes(ctx, state, boxes, ({ title }) => title === words.zeros);
  }

  function drawBoxes(ctx, state, boxes, active) {
    const { plan: { flow }, theme, small } = state;
    const columns = small ? 3 : boxes.length;
    const rows = Math.ceil(boxes.length / columns);
    const [wide, tall] = [flow.width / columns, flow.height / rows];
    boxes.forEach((box, n) => {
      const x = (n % columns) * wide + (box.sign ? 18 : 2);
      const y = flow.y + Math.floor(n / columns) * tall;
      const width = wide - (box.sign ? 24 : 8);
      const on = active(box);
      ctx.fillStyle = on ? tint(theme.accent, theme.card, 0.13) : theme.chip;
      ctx.strokeStyle = on ? theme.accent : theme.hairline;
      ctx.lineWidth = on ? 1.75 : 1;
      outline(ctx, x, y + 2, width, tall - 8, 8);
      if (box.sign) drawLine(ctx, state, box.sign, x - 10, y + tall / 2 - 2, 14, { size: 15, weight: 600, color: theme.ink, align: "center" });
      drawLine(ctx, state, box.title, x + width / 2, y + tall * 0.3, width - 8, { size: small ? 11 : 12, align: "center" });
      drawLine(ctx, state, box.text, x + width / 2, y + tall * 0.64, width - 8, { size: 15, weight: 650, color: theme.ink, align: "center", mono: true });
    });
  }

  // ---- pointing

  function hit(state, x, y) {
    const { plan } = state;
    const word = boxAt(plan.boxes, x, y);
    if (word) return { hover: word.tokens[0], token: word.tokens[0], word: word.tokens[0] };
    const { track, chart, first, after } = plan;
    if (Math.abs(y - track.y) <= 18 && x >= track.x - 14 && x <= track.x + track.width + 14) {
      const near = nearest(state, x);
      return { track: near, point: { channel: near }, cell: { channel: near } };
    }
    if (x >= chart.x && x < chart.x + chart.width && y >= chart.y && y <= chart.y + chart.height + 24) {
      const i = first + Math.floor(((x - chart.x) / chart.width) * (after - first));
      return i <= state.token ? { bar: i, token: i } : null;
    }
    return null;
  }

  function nearest(state, x) {
    let best = 0;
    for (let c = 1; c < count(state); c++) {
      const far = (one) => Math.abs(placeOfHalfLife(state, halfLife(state, one)) - x);
      if (far(c) < far(best)) best = c;
    }
    return best;
  }

  function tips(state, target) {
    const { words, labels, token, cell: { channel } } = state;
    const i = target.bar ?? target.word;
    if (i !== undefined) {
      if (i > token) return [plain(labels[i])];
      const row = rowOfToken(state, token, channel);
      const lines = [plain(labels[i]), fill(words.tip_keys, { share: written(row.share(i)), k: written(keyOf(state, i, channel)) })];
      return i < token ? [...lines, fill(words.tip_equal, { value: written(kept(state, token, i, channel)), back: token - i })] : lines;
    }
    if (target.track !== undefined) return [fill(words.channel, { channel: state.settings.channels[target.track], value: written(halfLife(state, target.track)) })];
    return [];
  }

  // ---- words and arithmetic

  function says(state) {
    const { token, labels, cell: { channel }, settings } = state;
    const row = rowOfToken(state, token, channel);
    const best = terms(state)[0].i;
    let dark = 0;
    for (let i = 0; i < token; i++) if (kept(state, token, i, channel) > HALF) dark += 1;
    return {
      reader: plain(labels[token]), channel: settings.channels[channel], half_life: written(halfLife(state, channel)), dark, past: token,
      best: plain(labels[best]), share: written(100 * row.share(best), 2), top: plain(labels[row.scores.indexOf(row.top)]),
    };
  }

  // The exponent of a token, as it is put together.
  const exponentOf = (state, t, i, c) =>
    i === t
      ? [{ plane: "key", at: [i, c] }, " + ", { plane: "bonus", at: [c] }]
      : [{ plane: "key", at: [i, c] }, ` − ${t - 1 - i} × `, { plane: "rate", at: [c] }];

  function added(state, list, rest, whole) {
    const { token, cell: { channel } } = state;
    const others = token + 1 - list.length;
    const pieces = between(list.map(({ pieces: one }) => one), " + ");
    const left = whole.value - list.reduce((sum, { value }) => sum + value, 0);
    if (others > 0) pieces.push(" + ", { name: rest, value: left, at: [token, channel] }, ` (${fill(state.words.others, { count: others })})`);
    return [...pieces, " = ", { strong: { ...whole, at: [token, channel] } }];
  }

  const weightPiece = (t, i, c, value) => ({ name: "weight", value, at: [t, i, c] });

  const SUMS = {
    equal(state, t, c) {
      const marks = [1, 2, 4, 8, 16].filter((n) => n <= t);
      return marks.length ? [between(marks.map((n) => [{ word: t - n }, " ", { name: "kept", value: kept(state, t, t - n, c), at: [t, t - n, c] }]), "   ")] : [];
    },
    keys(state, t, c) {
      const row = rowOfToken(state, t, c);
      return terms(state).map(({ i, weight }) => [
        { word: i }, "  e^(", ...exponentOf(state, t, i, c), " − ", { name: "top", value: row.top, at: [t, c] }, ") = ", weightPiece(t, i, c, weight),
        "   ", { share: "share", value: row.share(i), at: [t, i, c] },
      ]);
    },
    num(state, t, c) {
      const row = rowOfToken(state, t, c);
      const list = terms(state).map(({ i, weight }) => ({ value: weight * state.value("value", i, c), pieces: [{ word: i }, " ", weightPiece(t, i, c, weight), " × ", { plane: "value", at: [i, c] }] }));
      return [["Σ e^… v = ", ...added(state, list, "rest_num", { name: "num", value: row.num })]];
    },
    den(state, t, c) {
      const row = rowOfToken(state, t, c);
      const list = terms(state).map(({ i, weight }) => ({ value: weight, pieces: [{ word: i }, " ", weightPiece(t, i, c, weight)] }));
      return [["Σ e^… = ", ...added(state, list, "rest_den", { name: "den", value: row.den })]];
    },
    wkv(state, t, c) {
      const row = rowOfToken(state, t, c);
      const at = [t, c];
      return [[{ name: "num", value: row.num, at }, " ÷ ", { name: "den", value: row.den, at }, " = ", { strong: { name: "wkv", value: row.wkv, at } }]];
    },
    gate(state, t, c) {
      const row = rowOfToken(state, t, c);
      const at = [t, c];
      return [
        [{ plane: "receptance", at }, " × ", { name: "wkv", value: row.wkv, at }, " = ", { strong: { name: "gated", value: state.value("receptance", t, c) * row.wkv, at } }],
        [`${state.words.captured}  `, { plane: "output", at }],
      ];
    },
    block: () => [],
  };

  const sums = (state) => SUMS[state.step](state, state.token, state.cell.channel);

  return { lay, cell, moved, draw, hit, tips, says, sums };
})();
