// One attention head: the words with lines to those that the chosen one reads, four maps from q.k to the shares, the
// values and the output; below, the arithmetic of one cell. Planes: viz/trace/attention_steps.py.

PAINTERS.attention = (() => {
  const MAPS = ["dot", "scale", "mask", "softmax"];
  const [TITLE, VALUE, LEGEND, GAP] = [20, 22, 28, 20]; // pixels: above a map, below it, of the scales, between maps
  const AHEAD = 4; // tokens after the chosen one in a window of a long text
  const THICK = 13; // pixels of a line with all of the attention
  const NAMED = 0.05; // share from which it is written under the word
  const TERMS = 3; // of a sum that are written out

  // ---- numbers

  const scaled = (state, t, j) => state.value("scores", t, j);
  const raw = (state, t, j) => scaled(state, t, j) / state.settings.scale;
  const seen = (state, t, j) => state.value("visible", t, j) > 0;
  const masked = (state, t, j) => (seen(state, t, j) ? scaled(state, t, j) : -Infinity);
  const share = (state, t, j) => state.value("weights", t, j);
  const OF = { dot: raw, scale: scaled, mask: masked, softmax: share };

  const tokens = (state) => state.labels.map((_, token) => token);
  const readable = (state, t) => tokens(state).filter((j) => seen(state, t, j));
  const largest = (list, size) => list.reduce((best, one) => (size(one) > size(best) ? one : best), list[0]);
  const dims = (state, plane) => state.shape(plane)[1];
  const strongest = (state) => largest(tokens(state), (j) => share(state, state.token, j));
  const widest = (state) => largest([...Array(dims(state, "output")).keys()], (n) => Math.abs(state.value("output", state.token, n)));

  function cell(state, wanted) {
    const [first, after] = span(state);
    const inside = Number.isInteger(wanted?.key) && wanted.key >= first && wanted.key < after && (wanted.row === state.token || seen(state, state.token, wanted.key));
    const known = Number.isInteger(wanted?.dim) && wanted.dim >= 0 && wanted.dim < dims(state, "output");
    return { key: inside ? wanted.key : strongest(state), dim: known ? wanted.dim : widest(state) };
  }

  const moved = (state, right, down) => ({ row: state.token, key: state.cell.key + right, dim: state.cell.dim + down });

  // The tokens that are drawn.
  const span = (state) => windowed(state.labels.length, state.token, Math.min(state.settings.window, state.small ? 32 : 1e9), AHEAD);

  // ---- where everything lies

  function lay(state) {
    const { width, height, small } = state;
    const beside = width >= 960;
    const sentence = { x: 4, y: 0, width: beside ? Math.round(width * 0.35) : width - 8, height: beside ? height - 8 : small ? 250 : 170 };
    const area = beside ? { x: sentence.width + 44, y: 0, width: width - sentence.width - 46 } : { x: 2, y: sentence.height + 14, width: width - 4 };
    const [first, after] = span(state);
    const plan = { first, after, noteWidth: sentence.width, ...sentenceOf(state, sentence, first, after) };
    const columns = small ? 2 : 4;
    const most = small ? 170 : beside && height > 450 ? 210 : 160;
    const side = Math.min(most, Math.floor((area.width - GAP * (columns - 1)) / columns));
    const step = columns > 1 ? (area.width - side) / (columns - 1) : 0;
    plan.maps = MAPS.map((name, n) => ({
      name,
      ...matrixBox({
        x: area.x + step * (n % columns),
        y: area.y + TITLE + Math.floor(n / columns) * (TITLE + side + VALUE),
        width: side, height: side, rows: after - first, columns: after - first,
      }),
    }));
    plan.legendY = plan.maps.at(-1).y + side + VALUE + 8;
    const y = plan.legendY + LEGEND;
    const left = Math.round(Math.min(210, area.width * 0.34));
    const tall = height - y - 46;
    plan.values = matrixBox({ x: area.x + left, y: y + 10, width: area.width - left, height: tall, rows: after - first, columns: dims(state, "value") });
    plan.output = matrixBox({ x: area.x + left, y: y + tall + 22, width: area.width - left, height: 16, rows: 1, columns: dims(state, "output") });
    plan.bars = { x: area.x + left - Math.round(left * 0.42) - 8, width: Math.round(left * 0.42), names: area.x };
    return plan;
  }

  // Words in the largest type in which they fit, with as much room between lines as there is.
  function sentenceOf(state, box, first, after) {
    const note = first > 0 || after < state.labels.length ? 20 : 0;
    for (let size = state.small ? 17 : 22; ; size--) {
      const options = { ...box, first, after, font: `650 ${size}px ${state.theme.font}` };
      const lines = wordBoxes(state, { ...options, line: 10 }).at(-1).line + 1;
      if (size > 10 && (lines + 0.3) * size * 2.3 > box.height - note) continue;
      const line = Math.min(size * 3.6, (box.height - note) / (lines + 0.3));
      const boxes = wordBoxes(state, { ...options, y: line * 0.3, line });
      return { size, boxes, noteY: Math.min(box.height - 8, (lines + 0.3) * line + 14) };
    }
  }

  // ---- drawing

  function draw(ctx, state) {
    drawSentence(ctx, state);
    for (const map of state.plan.maps) drawMap(ctx, state, map);
    drawLegends(ctx, state);
    drawValues(ctx, state);
  }

  function drawSentence(ctx, state) {
    const { plan, token, theme } = state;
    const own = boxOf(plan.boxes, token);
    const shares = new Map(plan.boxes.map((box) => [box, box.tokens.reduce((sum, j) => sum + share(state, token, j), 0)]));
    const order = [...shares].sort((a, b) => a[1] - b[1]); // the strongest line above the others
    for (const [box, weight] of order) {
      if (weight > 0) drawArc(ctx, own, box, { width: THICK * weight * state.part, color: alpha(theme.accent, 0.75) });
    }
    const look = (box) => {
      if (box === own) return { bold: true, ground: tint(theme.accent, theme.card, 0.16), edge: theme.accent };
      const ahead = box.tokens[0] > token;
      const line = box.tokens.includes(state.cell.key);
      return { color: ahead || isSpecial(state, box.tokens[0]) ? theme.muted : theme.ink, line, ground: shares.get(box) > 0.005 ? alpha(theme.accent, 0.04 + 0.4 * shares.get(box)) : undefined };
    };
    drawWords(ctx, state, plan.boxes, { size: plan.size, look });
    nameShares(ctx, state, shares);
    if (plan.first === 0 && plan.after === state.labels.length) return;
    const inside = tokens(state).slice(plan.first, plan.after).reduce((sum, j) => sum + share(state, token, j), 0);
    const outside = shareOf(state, "outside", Math.max(0, 1 - inside), [token]);
    drawLine(ctx, state, fill(state.words.window, { first: plan.first, last: plan.after - 1, share: outside }), 4, plan.noteY, plan.noteWidth);
  }

  // Write the largest shares under their words, where they do not touch.
  function nameShares(ctx, state, shares) {
    const { plan, theme } = state;
    const placed = [];
    for (const [box, weight] of [...shares].sort((a, b) => b[1] - a[1]).slice(0, 5)) {
      const [x, y] = [box.x + box.width / 2, box.y + plan.size * 1.08];
      if (weight < NAMED || placed.some((one) => Math.abs(one.y - y) < 8 && Math.abs(one.x - x) < 36)) continue;
      placed.push({ x, y });
      drawLine(ctx, state, shareOf(state, "read", weight, [state.token, box.tokens[0]]), x, y, 60, { size: 11, weight: 600, color: tint(theme.accent, theme.ink, 0.7), align: "center" });
    }
  }

  function drawMap(ctx, state, map) {
    const { plan, theme, token, step, cell: { key } } = state;
    const active = step === map.name;
    const high = highOf(state, "scores") / Math.min(1, state.settings.scale);
    const { first } = plan;
    const of = OF[map.name];
    const color = (value) => (map.name === "softmax" ? state.color("weight", rootPlace(value, 1)) : state.color("signed", signedPlace(value, high)));
    ctx.fillStyle = theme.chip;
    ctx.fillRect(map.x, map.y, map.width, map.height);
    drawMatrix(ctx, state, map, (r, c) => {
      const hidden = (map.name === "mask" || map.name === "softmax") && !seen(state, r + first, c + first);
      return hidden ? null : color(of(state, r + first, c + first));
    });
    drawFrame(ctx, map, active ? theme.accent : theme.hairline, active ? 2 : 1);
    const line = { x: map.x, y: map.y + (token - first) * map.tall, width: map.width * (active ? state.part : 1), height: map.tall };
    drawFrame(ctx, line, theme.accent, active ? 2 : 1);
    drawFrame(ctx, map.cell(token - first, key - first), theme.ink, 2);
    const title = state.titles[MAPS.indexOf(map.name)];
    drawLine(ctx, state, title, map.x, map.y - 11, map.width, { size: 13, weight: active ? 700 : 600, color: active ? theme.ink : theme.muted });
    const value = of(state, token, key);
    const plane = { scale: "scores", softmax: "weights" }[map.name];
    const text = plane ? numeral(state, plane, [token, key]) : computed(state, map.name === "dot" ? "raw" : "masked", value, [token, key]);
    drawLine(ctx, state, text, map.x + map.width / 2, map.y + map.height + 13, map.width, { size: 13, weight: active ? 700 : 500, color: active ? theme.ink : theme.muted, align: "center", mono: true });
  }

  // The colours of the first three maps, and of the fourth.
  function drawLegends(ctx, state) {
    const { plan, words, theme, small } = state;
    const high = highOf(state, "scores") / Math.min(1, state.settings.scale);
    const signed = written(high, 2);
    const ramp = (name, x, low, top, width = 64) => {
      drawLine(ctx, state, low, x, plan.legendY, 60, { size: 11 });
      const left = x + state.measure(`400 11px ${theme.font}`, low) + 6;
      for (let n = 0; n < 32; n++) {
        ctx.fillStyle = state.color(name, n / 31);
        ctx.fillRect(left + (n * width) / 32, plan.legendY - 4, width / 32 + 0.5, 7);
      }
      drawLine(ctx, state, top, left + width + 6, plan.legendY, 60, { size: 11 });
      return left + width + 6 + state.measure(`400 11px ${theme.font}`, top) + 12;
    };
    const last = plan.maps.at(-1);
    const end = ramp("signed", plan.maps[0].x, `−${signed}`, `+${signed}`);
    if (!small) drawLine(ctx, state, words.scores_title, end, plan.legendY, last.x - end - 8, { size: 11 });
    ramp("weight", last.x, "0", "1");
  }

  function drawValues(ctx, state) {
    const { plan, theme, token, step, words, cell: { key, dim } } = state;
    const { values, output, bars, first } = plan;
    const summed = step === "values" || step === "output";
    const rows = [...Array(values.rows).keys()].map((r) => share(state, token, r + first));
    const most = Math.max(...rows, 1e-12);
    const high = highOf(state, "value");
    drawMatrix(ctx, state, values, (r, c) => {
      const value = state.value("value", r + first, c) * (summed ? rows[r] : 1);
      return state.color("signed", signedPlace(value, high));
    });
    drawMatrix(ctx, state, output, (_, c) => state.color("signed", signedPlace(state.value("output", token, c), highOf(state, "output"))));
    drawFrame(ctx, values, step === "values" ? theme.accent : theme.hairline, step === "values" ? 2 : 1);
    drawFrame(ctx, output, step === "output" ? theme.accent : theme.hairline, step === "output" ? 2 : 1);
    rows.forEach((weight, r) => {
      ctx.fillStyle = theme.accent;
      const tall = Math.max(0.75, values.tall - (values.tall > 4 ? 1 : 0));
      ctx.fillRect(bars.x + bars.width, values.y + r * values.tall, (-bars.width * weight) / most, tall);
    });
    nameRows(ctx, state, rows);
    drawFrame(ctx, { ...values.cell(key - first, 0), width: values.width }, theme.ink, 1.5);
    if (step === "output") drawFrame(ctx, { ...values.cell(0, dim), height: values.height }, theme.ink, 1.5);
    drawFrame(ctx, output.cell(0, dim), theme.ink, 1.5);
    drawLine(ctx, state, summed ? words.moved_title : words.value_title, values.x, values.y - 9, values.width, { size: 11 });
    drawLine(ctx, state, words.weights_title, bars.x + bars.width, values.y - 9, 90, { size: 11, align: "right" });
    const text = `${words.output_title} ${numeral(state, "output", [token, dim])}`;
    drawLine(ctx, state, text, output.x - 8, output.y + 8, output.x - bars.names - 8, { size: 12, weight: step === "output" ? 700 : 500, color: step === "output" ? theme.ink : theme.muted, align: "right" });
  }

  // The words of the rows that are read most, beside their bars and apart.
  function nameRows(ctx, state, rows) {
    const { plan: { values, bars, first }, labels, theme } = state;
    const placed = [];
    for (const r of [...rows.keys()].sort((a, b) => rows[b] - rows[a]).slice(0, 8)) {
      const y = values.y + (r + 0.5) * values.tall;
      if (rows[r] < 0.02 || placed.some((other) => Math.abs(other - y) < 12)) continue;
      placed.push(y);
      drawLine(ctx, state, plain(labels[r + first]), bars.x - 4, y, bars.x - 4 - bars.names, { size: 11.5, color: r + first === state.cell.key ? theme.ink : theme.muted, weight: r + first === state.cell.key ? 650 : 400, align: "right" });
    }
  }

  // ---- pointing

  function hit(state, x, y) {
    const { plan, token } = state;
    const word = boxAt(plan.boxes, x, y);
    if (word) return { hover: word.tokens[0], token: word.tokens[0] };
    for (const map of plan.maps) {
      const at = map.at(x, y);
      if (!at) continue;
      const [row, key] = [at[0] + plan.first, at[1] + plan.first];
      return { map: map.name, row, key, token: row, cell: { row, key }, ...(row === token ? { point: { row, key } } : {}) };
    }
    const value = plan.values.at(x, y);
    if (value) {
      const at = { row: token, key: value[0] + plan.first, dim: value[1] };
      return { value: true, ...at, point: at, cell: at };
    }
    const out = plan.output.at(x, y);
    if (out) {
      const at = { row: token, key: state.cell.key, dim: out[1] };
      return { output: true, dim: out[1], point: at, cell: at };
    }
    const { bars, values } = plan;
    if (x >= bars.names && x < bars.x + bars.width && y >= values.y && y < values.y + values.height) {
      const key = plan.first + Math.floor((y - values.y) / values.tall);
      return { bar: true, key, point: { row: token, key }, cell: { row: token, key } };
    }
    return null;
  }

  function tips(state, target) {
    const { words, labels, token } = state;
    if (target.map) {
      const value = written(OF[target.map](state, target.row, target.key));
      return [fill(words.pair, { reader: plain(labels[target.row]), read: plain(labels[target.key]) }), fill(words[`tip_${target.map}`], { value })];
    }
    if (target.value) return [plain(labels[target.key]), fill(words.tip_value, { dim: target.dim, value: written(state.value("value", target.key, target.dim)) })];
    if (target.output) return [fill(words.tip_output, { dim: target.dim, value: written(state.value("output", token, target.dim)) })];
    if (target.bar) return [plain(labels[target.key]), fill(words.tip_softmax, { value: written(share(state, token, target.key)) })];
    return [];
  }

  // ---- words and arithmetic

  function says(state) {
    const { labels, token, cell: { key, dim } } = state;
    const count = readable(state, token).length;
    return { reader: plain(labels[token]), read: plain(labels[key]), count, hidden: labels.length - count, dim };
  }

  // The largest terms of a sum, what the others add up to, and the whole: terms are {size, value, pieces}.
  function added(state, terms, { rest, name, at }) {
    const order = [...terms].sort((a, b) => b.size - a.size);
    const [first, others] = [order.slice(0, TERMS), order.slice(TERMS)];
    const parts = first.map(({ pieces }) => pieces);
    const sum = (list) => list.reduce((total, { value }) => total + value, 0);
    if (others.length) parts.push([{ name: rest, value: sum(others), at }, ` (${fill(state.words.terms, { count: others.length })})`]);
    return [...between(parts, " + "), " = ", { strong: { name, value: sum(terms), at } }];
  }

  const SUMS = {
    dot(state, t, j) {
      const count = dims(state, "query");
      const terms = Array.from({ length: count }, (_, n) => {
        const value = state.value("query", t, n) * state.value("key", j, n);
        return { size: Math.abs(value), value, pieces: [{ plane: "query", at: [t, n] }, " × ", { plane: "key", at: [j, n] }] };
      });
      return [
        ["q ", { word: t }, " = [", ...listed("query", [t], count), "]"],
        ["k ", { word: j }, " = [", ...listed("key", [j], count), "]"],
        ["q · k = ", ...added(state, terms, { rest: "rest_dot", name: "raw", at: [t, j] })],
      ];
    },

    scale(state, t, j) {
      const count = dims(state, "query");
      const by = state.settings.root ? [` ÷ √${count} = `, { name: "raw", value: raw(state, t, j), at: [t, j] }, " ÷ ", { name: "root", value: Math.sqrt(count) }] : [" × ", { name: "scale", value: state.settings.scale }];
      return [[{ name: "raw", value: raw(state, t, j), at: [t, j] }, ...by, " = ", { strong: { plane: "scores", at: [t, j] } }]];
    },

    mask(state, t, j) {
      const mask = seen(state, t, j) ? " + 0 = " : " + (−∞) = ";
      return [[{ word: j }, "  ", { plane: "scores", at: [t, j] }, mask, { strong: { name: "masked", value: masked(state, t, j), at: [t, j] } }, `  ${state.words[seen(state, t, j) ? "readable" : "masked"]}`]];
    },

    softmax(state, t, j) {
      const keys = readable(state, t);
      const top = largest(keys, (k) => scaled(state, t, k));
      const power = (k) => (seen(state, t, k) ? Math.exp(scaled(state, t, k) - scaled(state, t, top)) : 0);
      const terms = keys.map((k) => ({ size: power(k), value: power(k), pieces: [{ name: "exp", value: power(k), at: [t, k] }] }));
      const sum = terms.reduce((total, { value }) => total + value, 0);
      const own = { name: "exp", value: power(j), at: [t, j] };
      const score = seen(state, t, j) ? ["e^(", { plane: "scores", at: [t, j] }, " − ", { plane: "scores", at: [t, top] }, ") = "] : ["e^(−∞) = "];
      return [
        [{ word: j }, "  ", ...score, own, `  (${state.words.largest}: `, { word: top }, ")"],
        [`${state.words.sum}  `, ...added(state, terms, { rest: "rest_sum", name: "sum", at: [t] })],
        [{ word: j }, "  ", own, " ÷ ", { name: "sum", value: sum, at: [t] }, " = ", { strong: { plane: "weights", at: [t, j] } }, " = ", { share: "share", value: share(state, t, j), at: [t, j] }],
      ];
    },

    values(state, t, j) {
      const count = dims(state, "value");
      const product = (n) => ({ name: "moved", value: share(state, t, j) * state.value("value", j, n), at: [t, j, n], digits: 2 });
      const shownOnes = count > 5 ? [...between([0, 1, 2].map((n) => [product(n)]), ", "), ", …, ", product(count - 1)] : between([...Array(count).keys()].map((n) => [product(n)]), ", ");
      return [
        ["v ", { word: j }, " = [", ...listed("value", [j], count), "]"],
        [{ plane: "weights", at: [t, j] }, " × v = [", ...shownOnes, "]"],
      ];
    },

    output(state, t, j, dim) {
      const terms = readable(state, t).map((k) => {
        const value = share(state, t, k) * state.value("value", k, dim);
        return { size: Math.abs(value), value, pieces: [{ plane: "weights", at: [t, k] }, " × ", { plane: "value", at: [k, dim] }] };
      });
      return [added(state, terms, { rest: "rest_output", name: "added", at: [t, dim] }), [`${state.words.captured}  `, { plane: "output", at: [t, dim] }]];
    },
  };

  const sums = (state) => SUMS[state.step](state, state.token, state.cell.key, state.cell.dim);

  return { lay, cell, moved, draw, hit, tips, says, sums };
})();
