// A model as stations from left to right, the words as threads: attention draws arcs back, a state is handed on as a tile,
// and at layers with experts each thread runs through the doors of those it is sent to. Steps are layers. Where they are
// many, only the group of the shown one is drawn, under a strip of all. Planes: viz/trace/layer_flow.py.

PAINTERS.stations = (() => {
  const [MIXER, ARCS, DOORS] = [58, 78, 112]; // pixels of a station at least: its mixer, one with arcs, its doors
  const [STRIP, HEAD, FOOT] = [24, 58, 20]; // pixels: of the strip of all layers, over the stations, of the note below
  const MOST = 8; // stations of a group
  const ROW = 13; // pixels of a word at least
  const [THIN, THICK] = [2, 14]; // pixels of a thread of weight 1, in the background and of the shown word
  const ARC = 30; // pixels of an arc of weight 1
  const CELL = 6; // pixels of a cell of a tile
  const AHEAD = 6; // words after the shown one in a window of a long text
  const NAMED = 12; // words that took a door which are named

  const stations = (state) => state.settings.stations;
  const choices = (state) => state.shape("chosen_experts")[2];
  const chosen = (state, layer, token) => Array.from({ length: choices(state) }, (_, n) => state.value("chosen_experts", layer, token, n));
  const weight = (state, layer, token, n) => state.value("chosen_weights", layer, token, n);
  const reads = (state, layer, token) =>
    Array.from({ length: state.shape("read_key")[2] }, (_, n) => ({ key: state.value("read_key", layer, token, n), weight: state.value("read_weight", layer, token, n), rank: n })).filter(({ key }) => !Number.isNaN(key));

  function cell(state, wanted) {
    const station = stations(state)[wanted?.layer];
    return station && station.routed >= 0 && wanted.expert >= 0 && wanted.expert < state.settings.experts ? wanted : null;
  }

  // The door beside the chosen one: up and down in its layer, left and right in the layers with experts.
  function moved(state, right, down) {
    const routed = [...stations(state).keys()].filter((n) => stations(state)[n].routed >= 0);
    const from = state.cell ?? { layer: routed.find((n) => n >= state.index) ?? routed[0], expert: -down };
    const at = Math.max(0, Math.min(routed.length - 1, routed.indexOf(from.layer) + right));
    return { layer: routed[at], expert: Math.max(0, Math.min(state.settings.experts - 1, from.expert + down)) };
  }

  // ---- where everything lies

  const mixing = (station) => (station.reads >= 0 ? ARCS : MIXER);
  const least = (station) => mixing(station) + (station.routed >= 0 ? DOORS : 0);

  // Equal runs of layers, each as long as fits beside the words.
  function groupsOf(state, room) {
    const all = stations(state);
    for (let size = Math.min(MOST, all.length); ; size--) {
      const groups = [];
      for (let n = 0; n < all.length; n += size) groups.push([n, Math.min(all.length, n + size)]);
      const widest = Math.max(...groups.map(([from, after]) => all.slice(from, after).reduce((sum, one) => sum + least(one), 0)));
      if (widest <= room || size === 1) return groups;
    }
  }

  function lay(state) {
    const { width, height, small, labels } = state;
    const names = small ? 76 : 128;
    const room = width - names - 8;
    const groups = groupsOf(state, room);
    const strip = groups.length > 1 ? STRIP : 0;
    const top = strip + HEAD;
    const most = Math.max(2, Math.floor((height - top - FOOT) / ROW));
    const [first, after] = windowed(labels.length, state.token, most, AHEAD);
    const tall = Math.min(30, (height - top - (after - first < labels.length ? FOOT : 6)) / (after - first));
    const [from, to] = groups.find(([begin, end]) => state.index >= begin && state.index < end);
    const shown = stations(state).slice(from, to);
    const scale = Math.min(small ? 4 : 1.5, room / shown.reduce((sum, one) => sum + least(one), 0));
    const plan = { names, top, first, after, tall, bottom: top + tall * (after - first), groups, from, to, strip, places: [] };
    plan.y = (token) => (token < first ? top - 8 : top + (token - first + 0.5) * tall);
    let x = names + 8;
    for (const [n, station] of shown.entries()) {
      const place = { n: from + n, station, x, mixer: mixing(station) * scale, width: least(station) * scale };
      if (station.routed >= 0) place.doors = doorsOf(state, plan, place, DOORS * scale);
      plan.places.push(place);
      x += place.width;
    }
    plan.end = x;
    return plan;
  }

  // The doors of a station from top to bottom, each with the words in sight that take it, in their order.
  function doorsOf(state, plan, place, wide) {
    const { experts } = state.settings;
    const span = Math.max(plan.bottom - plan.top, 120);
    const tall = Math.min(28, (span / experts) * 0.72);
    const side = Math.min(30, wide * 0.24);
    const doors = Array.from({ length: experts }, (_, expert) => ({
      expert, x: place.x + place.mixer + wide / 2 - side / 2, y: plan.top + ((expert + 0.5) * span) / experts - tall / 2, width: side, height: tall, takers: [],
    }));
    for (let token = plan.first; token < plan.after; token++) for (const expert of chosen(state, place.station.routed, token)) doors[expert].takers.push(token);
    return doors;
  }

  // Where a thread goes through a door: its words lie one below the other.
  function through(door, token) {
    const at = door.takers.indexOf(token);
    const share = door.takers.length > 1 ? at / (door.takers.length - 1) - 0.5 : 0;
    return door.y + door.height * (0.5 + 0.66 * share);
  }

  // ---- drawing

  function draw(ctx, state) {
    const { plan } = state;
    if (plan.strip) drawStrip(ctx, state);
    for (const place of plan.places) drawGround(ctx, state, place);
    for (const place of plan.places) drawThreads(ctx, state, place);
    for (const place of plan.places) if (place.doors) drawDoors(ctx, state, place);
    drawTakers(ctx, state);
    for (const place of plan.places) drawRoute(ctx, state, place);
    for (const place of plan.places) drawMixer(ctx, state, place);
    drawNames(ctx, state);
  }

  // All layers, those with experts marked, the drawn group outlined.
  function drawStrip(ctx, state) {
    const { plan, theme, words, index } = state;
    const all = stations(state);
    const side = Math.min(16, (plan.end - plan.names - 8) / all.length);
    const left = plan.names + 8;
    all.forEach((station, n) => {
      ctx.fillStyle = n === index ? station.color : tint(station.color, theme.card, 0.35);
      ctx.fillRect(left + n * side + 0.5, 2, side - 1.5, 10);
      if (station.routed < 0) return;
      ctx.fillStyle = theme.muted;
      ctx.fillRect(left + (n + 0.5) * side - 1.5, 14, 3, 3);
    });
    drawFrame(ctx, { x: left + plan.from * side, y: 1, width: (plan.to - plan.from) * side - 1, height: 12 }, theme.ink, 1.2);
    const [first, last] = [all[plan.from], all[plan.to - 1]];
    const said = first === last ? fill(words.station, { layer: first.index, name: first.name }) : fill(words.group, { first: first.index, last: last.index });
    drawLine(ctx, state, said, 0, 8, plan.names, { size: 11 });
  }

  function drawGround(ctx, state, place) {
    const { plan, theme, words, index, small } = state;
    const { station, n } = place;
    const active = n === index;
    ctx.fillStyle = active ? tint(station.color, theme.card, theme.mode === "dark" ? 0.1 : 0.08) : theme.card;
    ctx.strokeStyle = active ? station.color : theme.hairline;
    ctx.lineWidth = active ? 1.5 : 1;
    outline(ctx, place.x + 1, plan.top - HEAD + 4, place.width - 4, plan.bottom - plan.top + HEAD, 8);
    ctx.fillStyle = station.color;
    ctx.fillRect(place.x + 7, plan.top - HEAD + 11, 7, 7);
    const wide = (place.doors ? place.mixer : place.width - 4) - 9;
    const top = plan.top - HEAD + 15;
    drawLine(ctx, state, String(station.index), place.x + 18, top, wide - 10, { size: 12.5, weight: 700, color: theme.ink });
    drawLine(ctx, state, station.name, place.x + 7, top + 15, wide, { size: small ? 10.5 : 11.5, weight: active ? 700 : 600, color: theme.ink });
    const carried = station.holds >= 0 ? station.carries : fill(words.per_word, { bytes: station.carries });
    if (station.carries) drawLine(ctx, state, carried, place.x + 7, top + 30, wide, { size: 10 });
    if (place.doors) drawLine(ctx, state, words.doors, place.x + place.width - 10, top, place.width - 44, { size: 10.5, align: "right" });
  }

  // The way of one word through a station: straight through the mixer, then through its doors or straight on.
  function way(ctx, state, place, token, { color, thin, thick }) {
    const { plan } = state;
    const y = plan.y(token);
    ctx.strokeStyle = color;
    ctx.lineWidth = thin;
    line(ctx, place.x, y, place.x + (place.doors ? place.mixer : place.width), y);
    if (!place.doors) return;
    const [left, right] = [place.x + place.mixer, place.x + place.width];
    chosen(state, place.station.routed, token).forEach((expert, n) => {
      const door = place.doors[expert];
      const at = through(door, token);
      const [near, far] = [(left + door.x) / 2, (right + door.x + door.width) / 2];
      ctx.lineWidth = Math.max(0.5, thick * weight(state, place.station.routed, token, n));
      ctx.beginPath();
      ctx.moveTo(left, y);
      ctx.bezierCurveTo(near, y, near, at, door.x, at);
      ctx.lineTo(door.x + door.width, at);
      ctx.bezierCurveTo(far, at, far, y, right, y);
      ctx.stroke();
    });
  }

  function line(ctx, x1, y1, x2, y2) {
    ctx.beginPath();
    ctx.moveTo(x1, y1);
    ctx.lineTo(x2, y2);
    ctx.stroke();
  }

  function drawThreads(ctx, state, place) {
    const color = alpha(state.theme.muted, 0.32);
    for (let token = state.plan.first; token < state.plan.after; token++) if (token !== state.token) way(ctx, state, place, token, { color, thin: 0.7, thick: THIN });
  }

  function drawDoors(ctx, state, place) {
    const { theme, settings, token, cell: picked } = state;
    const open = chosen(state, place.station.routed, token);
    for (const door of place.doors) {
      const taken = open.includes(door.expert);
      const own = settings.doors[door.expert];
      ctx.fillStyle = taken ? own : tint(own, theme.card, door.takers.length ? 0.32 : 0.1);
      const named = picked && picked.layer === place.n && picked.expert === door.expert;
      ctx.strokeStyle = named ? theme.ink : taken ? own : tint(own, theme.card, 0.6);
      ctx.lineWidth = named ? 2.5 : 1;
      outline(ctx, door.x, door.y, door.width, door.height, 4);
    }
  }

  // The words that took the door which is pointed at or chosen.
  function drawTakers(ctx, state) {
    const { plan, theme, cell: picked } = state;
    if (!picked) return;
    const door = plan.places.find(({ n }) => n === picked.layer)?.doors[picked.expert];
    for (const token of door?.takers ?? []) for (const place of plan.places) way(ctx, state, place, token, { color: alpha(theme.ink, 0.5), thin: 1.4, thick: THICK * 0.6 });
  }

  // The way of the shown word: drawn in as far as the step has been shown, fainter beyond it unless it is pointed at.
  function drawRoute(ctx, state, place) {
    const { theme, token, index, part, target, plan } = state;
    if (token < plan.first || token >= plan.after) return;
    const whole = target?.hover !== undefined;
    const options = (share) => ({ color: alpha(theme.accent, share), thin: 2.2, thick: THICK });
    if (place.n !== index || part >= 1 || whole) return way(ctx, state, place, token, options(place.n <= index || whole ? 0.9 : 0.5));
    ctx.save();
    ctx.beginPath();
    ctx.rect(place.x, 0, place.width * part, state.height);
    ctx.clip();
    way(ctx, state, place, token, options(0.9));
    ctx.restore();
  }

  function drawMixer(ctx, state, place) {
    const { station } = place;
    if (place.doors) for (const door of place.doors) nameDoor(ctx, state, place, door);
    if (station.reads >= 0) drawArcs(ctx, state, place);
    else if (station.holds >= 0) drawTile(ctx, state, place);
  }

  function nameDoor(ctx, state, place, door) {
    if (door.height < 10) return;
    const { theme, settings, token } = state;
    const taken = chosen(state, place.station.routed, token).includes(door.expert);
    const ground = rgb(settings.doors[door.expert]);
    const color = taken ? (0.2126 * ground[0] + 0.7152 * ground[1] + 0.0722 * ground[2] > 140 ? "#14181D" : "#FFFFFF") : theme.muted;
    drawLine(ctx, state, String(door.expert), door.x + door.width / 2, door.y + door.height / 2 + 0.5, door.width, { size: Math.min(12, door.height * 0.8), weight: taken ? 700 : 500, color, align: "center", mono: true });
  }

  // Arcs from the shown word to those that it reads most; words above the drawn ones lie at the upper edge.
  function drawArcs(ctx, state, place) {
    const { plan, token, part, index } = state;
    const { station } = place;
    const x = place.x + place.mixer * 0.32;
    const y = plan.y(token);
    ctx.strokeStyle = alpha(station.color, 0.8);
    for (const read of reads(state, station.reads, token)) {
      ctx.lineWidth = Math.max(0.6, ARC * read.weight * (place.n === index ? part : 1));
      const end = plan.y(read.key);
      const out = Math.min(place.mixer * 0.86, 12 + Math.abs(y - end) * 0.34);
      ctx.beginPath();
      if (read.key === token) ctx.arc(x + 5, y, 5, Math.PI * 0.75, Math.PI * 2.75);
      else {
        ctx.moveTo(x, y);
        ctx.bezierCurveTo(x + out, y, x + out, end, x, end);
      }
      ctx.stroke();
    }
    ctx.fillStyle = station.color;
    ctx.beginPath();
    ctx.arc(x, y, 3.5, 0, 2 * Math.PI);
    ctx.fill();
  }

  // The state after the shown word, on the rail along which each word hands it to the next.
  function drawTile(ctx, state, place) {
    const { plan, theme, token, settings } = state;
    const { station } = place;
    const [rows, columns] = settings.tile;
    const [wide, tall] = state.shape("tile").slice(2);
    const x = place.x + place.mixer / 2;
    const y = Math.max(plan.top + (CELL * rows) / 2, Math.min(plan.bottom - (CELL * rows) / 2, plan.y(token)));
    ctx.strokeStyle = tint(station.color, theme.card, 0.45);
    ctx.lineWidth = 1.5;
    line(ctx, x, plan.top, x, plan.y(token));
    const high = highOfTile(state, station.holds);
    const box = matrixBox({ x: x - (CELL * columns) / 2, y: y - (CELL * rows) / 2, width: CELL * columns, height: CELL * rows, rows: wide, columns: tall });
    ctx.fillStyle = theme.card;
    ctx.fillRect(box.x, box.y, box.width, box.height);
    drawMatrix(ctx, state, box, (row, column) => state.color(station.mixer, rootPlace(state.value("tile", station.holds, token, row, column), high)));
    drawFrame(ctx, box, station.color, 1.5);
  }

  function highOfTile(state, layer) {
    const [, tokens, rows, columns] = state.shape("tile");
    const size = tokens * rows * columns;
    return state.all("tile").subarray(layer * size, (layer + 1) * size).reduce((high, value) => Math.max(high, value), 0);
  }

  // The words on the left: the shown one, those that it reads at this step, those of the door that is pointed at.
  function drawNames(ctx, state) {
    const { plan, theme, labels, token, piece, index, cell: picked } = state;
    const place = plan.places.find(({ n }) => n === index);
    const read = new Map(place && place.station.reads >= 0 ? reads(state, place.station.reads, token).map((one) => [one.key, one.weight]) : []);
    const takers = new Set(picked ? (plan.places.find(({ n }) => n === picked.layer)?.doors[picked.expert].takers ?? []) : []);
    const size = Math.max(10, Math.min(14, plan.tall * 0.74));
    for (let n = plan.first; n < plan.after; n++) {
      const y = plan.y(n);
      const own = n === token;
      const text = piece[n] > 1 ? "·" : plain(labels[n]);
      ctx.font = `${own || takers.has(n) ? 700 : 500} ${size}px ${theme.font}`;
      const wide = Math.min(plan.names - 10, ctx.measureText(text).width);
      const ground = own ? tint(theme.accent, theme.card, 0.18) : read.has(n) ? alpha(place.station.color, 0.08 + 0.6 * read.get(n)) : null;
      if (ground) {
        ctx.fillStyle = ground;
        round(ctx, plan.names - wide - 9, y - Math.min(plan.tall, size * 1.5) / 2, wide + 10, Math.min(plan.tall, size * 1.5), 4);
      }
      const color = own || takers.has(n) ? theme.ink : picked && !takers.has(n) ? theme.muted : n > token ? theme.muted : theme.ink;
      drawLine(ctx, state, text, plan.names - 4, y, plan.names - 8, { size, weight: own || takers.has(n) ? 700 : 500, color, align: "right" });
    }
    if (plan.after - plan.first < labels.length) {
      const note = fill(state.words.window, { first: plan.first, last: plan.after - 1, count: labels.length });
      drawLine(ctx, state, note, plan.names + 8, plan.bottom + 12, state.width - plan.names, { size: 11 });
    }
  }

  // ---- pointing

  function hit(state, x, y) {
    const { plan } = state;
    for (const place of plan.places) {
      const door = (place.doors ?? []).find((one) => x >= one.x - 4 && x <= one.x + one.width + 4 && y >= one.y - 2 && y <= one.y + one.height + 2);
      if (door) return { door: true, point: { layer: place.n, expert: door.expert }, cell: { layer: place.n, expert: door.expert } };
    }
    const token = plan.first + Math.floor((y - plan.top) / plan.tall);
    if (y < plan.top || token >= plan.after) return { cell: null };
    const place = plan.places.find((one) => x >= one.x && x < one.x + one.width);
    if (x > plan.names + 8 && !place) return { cell: null };
    if (place?.doors && x > place.x + place.mixer) return { cell: null };
    return { hover: token, token, place: place?.n };
  }

  function tips(state, target) {
    const { words, labels, plan } = state;
    if (target.door) {
      const { layer, expert } = target.point;
      const { routed, index } = stations(state)[layer];
      const takers = labels.map((_, token) => token).filter((token) => chosen(state, routed, token).includes(expert));
      const list = takers.slice(0, NAMED).map((token) => plain(labels[token])).join(" · ");
      const more = takers.length > NAMED ? ` ${fill(words.more, { count: takers.length - NAMED })}` : "";
      return [fill(words.door, { expert, layer: index }), takers.length ? fill(words.took, { count: takers.length, list: list + more }) : words.nobody];
    }
    if (target.token === undefined) return [];
    const place = plan.places.find(({ n }) => n === target.place);
    const lines = [plain(labels[target.token])];
    if (place) lines.push(fill(words.station, { layer: place.station.index, name: place.station.name }));
    if (place?.station.routed >= 0) chosen(state, place.station.routed, target.token).forEach((expert, n) => lines.push(`${fill(words.to, { expert })} · ${fill(words.weight, { value: written(weight(state, place.station.routed, target.token, n)) })}`));
    return lines;
  }

  // ---- words and arithmetic

  function says(state) {
    const { labels, token, words } = state;
    const station = stations(state)[state.index];
    const found = { word: plain(labels[token]) };
    if (station.reads >= 0) {
      const [most] = reads(state, station.reads, token);
      Object.assign(found, { count: token + 1, read: most ? plain(labels[most.key]) : "–", share: most ? shareOf(state, "read", most.weight, [station.reads, token, 0]) : "–" });
    }
    if (station.holds >= 0) found.share = shareOf(state, "written", state.value("written", station.holds, token), [station.holds, token]);
    if (station.routed >= 0) found.doors = chosen(state, station.routed, token).map((expert, n) => `${fill(words.to, { expert })} (${numeral(state, "chosen_weights", [station.routed, token, n])})`).join(", ");
    return found;
  }

  function sums(state) {
    const { token, words } = state;
    const { reads: reading, routed } = stations(state)[state.index];
    const lines = [];
    if (reading >= 0) {
      const found = reads(state, reading, token);
      const rest = Math.max(0, 1 - found.reduce((sum, one) => sum + one.weight, 0));
      const terms = found.map(({ key, rank }) => [{ word: key }, " ", { plane: "read_weight", at: [reading, token, rank] }]);
      if (rest > 5e-4) terms.push([`${words.others} `, { name: "rest", value: rest, at: [reading, token] }]);
      lines.push([...between(terms, " + "), " = 1"]);
    }
    if (routed >= 0) {
      const experts = chosen(state, routed, token);
      const terms = experts.map((expert, n) => [{ plane: "chosen_weights", at: [routed, token, n] }, `·E${expert}(x)`]);
      const total = experts.reduce((sum, _, n) => sum + weight(state, routed, token, n), 0);
      lines.push(["y = ", ...between(terms, " + "), "   Σ w = ", { strong: { name: "total", value: total, at: [routed, token] } }]);
    }
    return lines;
  }

  return { lay, cell, draw, hit, tips, moved, says, sums };
})();
