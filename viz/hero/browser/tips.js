// What a mark is: the token, the quantity with its layer, and the number.

function showTip(view, event, lines) {
  const { tip, root } = view;
  tip.replaceChildren();
  for (const line of lines) element("div", "", tip).textContent = line;
  const home = root.getBoundingClientRect();
  const zoom = home.width / root.offsetWidth || 1;
  const [x, y] = [(event.clientX - home.left) / zoom, (event.clientY - home.top) / zoom];
  tip.style.transform = `translate(${Math.max(0, Math.min(root.offsetWidth - tip.offsetWidth, x + 14))}px, ${y + 18}px)`;
  tip.classList.add("on");
}

const hideTip = (view) => view.tip.classList.remove("on");

// The place of the pointer in a canvas, in its own pixels.
function within(canvas, event) {
  const box = canvas.getBoundingClientRect();
  const zoom = box.width / canvas.clientWidth || 1;
  return [(event.clientX - box.left) / zoom, (event.clientY - box.top) / zoom];
}

function tipOfMark(view, own, kind, event) {
  const token = readBy(view, own.lane);
  const [x, y] = within(event.currentTarget, event);
  const lines = token < 0 ? null : { cells: cellLines, tile: tileLines, ink: inkLines, doors: doorLines }[kind](view, own, token, x, y, event.currentTarget);
  if (lines) showTip(view, event, lines);
  else hideTip(view);
}

// The name of tokens first to last of a lane.
function named(view, own, first, last) {
  const [a, b] = [own.labels[first], own.labels[Math.min(last, own.labels.length - 1)]];
  return first >= last ? a : fill(view.header.words.range, { first: a, last: b });
}

function cellLines(view, own, token, x) {
  const { pool, about } = own.lane.cells;
  const cell = Math.floor(x / cellWidth(own, own.cells.clientWidth));
  if (cell < 0 || cell > Math.floor(token / pool)) return null;
  const label = named(view, own, cell * pool, Math.min(token, cell * pool + pool - 1));
  return [fill(view.header.words.cell, { label, value: three(cellWeight(view, own, token, cell)) }), about];
}

function tileLines(view, own, token, x, y) {
  const [rows, columns] = own.lane.tile.size;
  const row = Math.min(rows - 1, Math.max(0, Math.floor((x / own.tile.clientWidth) * rows)));
  const column = Math.min(columns - 1, Math.max(0, Math.floor((y / own.tile.clientHeight) * columns)));
  const { words } = view.header;
  const value = fill(words.value, { value: three(tileValue(view, own, token, row, column)) });
  return [value, fill(words.row, { name: own.lane.tile.rows[row], column }), own.lane.tile.about];
}

function inkLines(view, own, token, x, y, canvas) {
  const ink = own.ink[Number(canvas.dataset.band)];
  const word = ink.plan?.words.find((one) => x >= one.x - 2 && x <= one.x + one.wide + 2 && y <= one.y + 4 && y >= one.y - one.tall - 2);
  if (!word || word.tokens[0] > token) return null;
  const share = word.tokens.reduce((sum, t) => sum + inkShare(view, own, token, ink.band, token - t), 0);
  return [`${word.text} · ${percent(share)}`, own.lane.ink.about[ink.band]];
}

function doorLines(view, own, token, x, y) {
  const { count, layers, about } = own.lane.doors;
  const expert = Math.min(count - 1, Math.max(0, Math.floor((x / own.doors.clientWidth) * count)));
  const layer = Math.min(layers.length - 1, Math.max(0, Math.floor((y / own.doors.clientHeight) * layers.length)));
  const weight = doorWeight(view, own, token, layer, expert);
  const { words } = view.header;
  const first = weight === null ? fill(words.door_shut, { expert }) : fill(words.door_open, { expert, value: three(weight) });
  return [first, about[layer]];
}

function tipOfShare(view, own, event) {
  const token = readBy(view, own.lane);
  if (token < 0) return hideTip(view);
  const written = view.planes[own.lane.tile.written][token];
  showTip(view, event, [fill(view.header.words.value, { value: three(written) }), own.lane.tile.share]);
}

// Three digits: what half precision holds.
function three(value) {
  if (!value) return "0";
  return Math.abs(value) < 1e-4 ? value.toExponential(2) : String(Number(value.toPrecision(3)));
}
