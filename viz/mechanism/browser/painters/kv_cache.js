// The cache of keys and values: an area for each layer over the tokens, a line for each number of key-value heads, and
// the place where the prompt ends. Planes: viz/trace/kv_cache.py.

PAINTERS.kv_cache = (() => {
  const [TOP, BOTTOM, LEFT, RIGHT] = [26, 40, 66, 74]; // pixels around the areas

  const options = (state) => Array.from(state.all("kv_heads"));
  const count = (state) => Number(state.step); // key-value heads of the step
  const place = (state) => options(state).indexOf(count(state));
  const layers = (state) => state.shape("kept")[0];
  const perToken = (state, heads) => 2 * heads * state.settings.width * state.settings.element; // of one layer
  const layerBytes = (state, layer, token) => state.value("kept", layer, token) * perToken(state, count(state));

  function lay(state) {
    const { width, height, labels } = state;
    const right = state.small ? 58 : RIGHT;
    const box = { x: LEFT, y: TOP, width: width - LEFT - right, height: height - TOP - BOTTOM };
    const slot = box.width / labels.length;
    const high = state.value("bytes", options(state).length - 1, labels.length - 1);
    return { box, slot, high, x: (token) => box.x + (token + 1) * slot, y: (bytes) => box.y + box.height * (1 - bytes / high) };
  }

  // ---- drawing

  function draw(ctx, state) {
    drawAxis(ctx, state);
    drawAreas(ctx, state);
    drawLines(ctx, state);
    drawPrompt(ctx, state);
    drawTokens(ctx, state);
  }

  function drawAxis(ctx, state) {
    const { plan: { box, y, high }, theme } = state;
    for (const part of [0, 0.5, 1]) {
      const at = state.snap(y(part * high));
      ctx.fillStyle = theme.hairline;
      ctx.fillRect(box.x, at, box.width, 1);
      drawLine(ctx, state, part ? bytesOf(state, "axis", part * high) : "0", box.x - 8, at, LEFT - 10, { size: 11.5, align: "right", mono: true });
    }
  }

  // The areas of the layers, the first at the bottom: steps, since a token adds all of its bytes at once.
  function drawAreas(ctx, state) {
    const { plan: { box, slot, y }, labels } = state;
    const number = layers(state);
    for (let token = 0; token < labels.length; token++) {
      let below = 0;
      const [left, right] = [state.snap(box.x + token * slot), state.snap(box.x + (token + 1) * slot)];
      const tokenPart = token > state.token ? 0.45 : 1;
      for (let layer = 0; layer < number; layer++) {
        const bytes = layerBytes(state, layer, token) * state.part;
        ctx.globalAlpha = tokenPart;
        const [top, bottom] = [y(below + bytes), y(below)];
        const air = bottom - top > 4 ? 0.75 : 0; // between layers
        ctx.fillStyle = state.color("layer", 0.35 + 0.6 * (number > 1 ? layer / (number - 1) : 1));
        ctx.fillRect(left, top + air, right - left, bottom - top - air);
        below += bytes;
      }
    }
    ctx.globalAlpha = 1;
  }

  // The whole cache for every number of key-value heads, named at its end.
  function drawLines(ctx, state) {
    const { plan: { box, slot, y }, labels, theme, settings, words } = state;
    const ends = [];
    options(state).forEach((heads, n) => {
      const chosen = n === place(state);
      ctx.strokeStyle = chosen ? theme.ink : theme.muted;
      ctx.lineWidth = chosen ? 2 : 1;
      ctx.setLineDash(heads === settings.own || chosen ? [] : [4, 4]);
      ctx.beginPath();
      for (let token = 0; token < labels.length; token++) {
        const at = y(state.value("bytes", n, token));
        ctx.lineTo(box.x + token * slot, at);
        ctx.lineTo(box.x + (token + 1) * slot, at);
      }
      ctx.stroke();
      ctx.setLineDash([]);
      ends.push({ heads, chosen, at: y(state.value("bytes", n, labels.length - 1)) });
    });
    const placed = [];
    for (const { heads, chosen, at } of ends.sort((a, b) => b.chosen - a.chosen)) {
      if (placed.some((other) => Math.abs(other - at) < 13)) continue;
      placed.push(at);
      drawLine(ctx, state, fill(words.line, { count: heads }), box.x + box.width + 6, at, RIGHT - 8, { size: 12, weight: chosen ? 700 : 400, color: chosen ? theme.ink : theme.muted });
    }
  }

  // Up to the chosen token the prompt is read at once; from there on every token is read alone.
  function drawPrompt(ctx, state) {
    const { plan: { box, x, y }, theme, token, words, labels } = state;
    const at = x(token);
    ctx.fillStyle = theme.ink;
    ctx.fillRect(state.snap(at) - 0.75, box.y - 6, 1.5, box.height + 6);
    const bytes = state.value("bytes", place(state), token);
    ctx.beginPath();
    ctx.arc(at, y(bytes), 4, 0, 2 * Math.PI);
    ctx.fill();
    const room = (side) => Math.max(0, side - 10);
    drawLine(ctx, state, words.prefill, at - 8, box.y - 14, room(at - box.x + LEFT), { size: 12, weight: 600, align: "right" });
    if (token < labels.length - 1) drawLine(ctx, state, words.decode, at + 8, box.y - 14, room(state.width - at), { size: 12, weight: 600 });
    const right = at > box.x + box.width * 0.5;
    drawLine(ctx, state, bytesOf(state, "bytes", bytes, [place(state), token]), at + (right ? -10 : 10), y(bytes) - 12, 120, { size: 13, weight: 700, color: theme.ink, align: right ? "right" : "left", mono: true });
  }

  // Words under the axis where they have room: the chosen one first.
  function drawTokens(ctx, state) {
    const { plan: { box, slot }, labels, token, theme } = state;
    const taken = [];
    const middle = (i) => box.x + (i + 0.5) * slot;
    for (const i of [token, 0, labels.length - 1, ...labels.keys()]) {
      const text = shorten(plain(labels[i]), 90, (part) => state.measure(`500 12px ${theme.font}`, part));
      const half = state.measure(`${i === token ? 650 : 500} 12px ${theme.font}`, text) / 2;
      const at = Math.max(half + 2, Math.min(state.width - half - 2, middle(i)));
      if (taken.some((one) => Math.abs(one.at - at) < one.half + half + 8)) continue;
      taken.push({ at, half });
      drawLine(ctx, state, text, at, box.y + box.height + 14, 96, { size: 12, weight: i === token ? 650 : 500, color: i === token ? theme.ink : theme.muted, align: "center" });
    }
  }

  // ---- pointing

  function hit(state, px, py) {
    const { box, slot, y } = state.plan;
    const token = Math.floor((px - box.x) / slot);
    if (token < 0 || token >= state.labels.length || py < 0) return null;
    let below = 0;
    for (let layer = 0; layer < layers(state); layer++) {
      const above = below + layerBytes(state, layer, token);
      if (py <= y(below) && py > y(above)) return { hover: token, token, layer, at: token };
      below = above;
    }
    return { hover: token, token };
  }

  function tips(state, target) {
    if (target.layer === undefined) return [];
    const { words, settings } = state;
    const bytes = inBytes(layerBytes(state, target.layer, target.at));
    return [fill(words.tip, { layer: settings.layers[target.layer], tokens: state.value("kept", target.layer, target.at), bytes })];
  }

  // ---- words and arithmetic

  function says(state) {
    const total = state.value("bytes", place(state), state.token);
    const before = state.token ? state.value("bytes", place(state), state.token - 1) : 0;
    return { tokens: state.token + 1, bytes: inBytes(total), more: inBytes(total - before) };
  }

  function sums(state) {
    const { token, settings: { own, width, element, live, formula }, words } = state;
    const kept = Array.from({ length: layers(state) }, (_, layer) => state.value("kept", layer, token));
    const alike = kept.every((one) => one === kept[0]);
    const at = [place(state), token];
    const number = (name, value) => ({ whole: name, value, at });
    const tokens = alike ? [number("layers", kept.length), " × ", number("kept", kept[0])] : [number("kept_all", kept.reduce((sum, one) => sum + one, 0)), ` (${words.layer_sum})`];
    const total = state.value("bytes", ...at);
    const lines = [
      ["2 · L · T · H_kv · d_head · b = 2 × ", ...tokens, " × ", number("heads", count(state)), " × ", number("width", width), " × ", number("element", element), " B"],
      ["= ", number("bytes", total), " B = ", { strong: { bytes: "size", value: total, at } }],
    ];
    if (count(state) !== own) return lines;
    return [...lines, [`${words.live} `, number("live", live), ` B · ${words.formula} `, number("formula", formula), " B"]];
  }

  return { lay, draw, hit, tips, says, sums };
})();
