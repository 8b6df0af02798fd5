// A finder: all heads, channels or experts of a model as a table of real text, sorted and filtered in the browser.
// Input: bytes written by viz/finder/spec.py. Output: trigger "picked" {layer, item} when a row is opened.

const FIRST = 12; // rows until more are asked for
const MORE = 48;
const boards = new WeakMap();

export default function ({ data, parentElement, setTriggerValue }) {
  let board = boards.get(parentElement);
  if (!board) {
    board = { root: parentElement.querySelector(".root"), bytes: null, header: null, choice: null, limit: FIRST, marked: null };
    boards.set(parentElement, board);
  }
  board.root.still = (on) => setStill(board, on);
  board.pick = (value) => setTriggerValue("picked", value);
  if (data && data.length && !(board.bytes && alike(board.bytes, data))) show(board, data);
  return () => boards.delete(parentElement);
}

// For a picture: names in place of what one presses, and no filters.
function setStill(board, on) {
  board.still = on;
  board.root.classList.toggle("still", on);
  if (board.header) write(board);
}

const alike = (a, b) => a.length === b.length && a.every((value, i) => value === b[i]);

// Read new bytes. What was chosen in the table stays where it still exists.
function show(board, bytes) {
  const { header, planes } = decode(bytes);
  for (const metric of header.metrics) for (const name of Object.keys(metric.columns)) metric.columns[name] = planes[metric.columns[name]];
  const { root } = board;
  Object.assign(board, { bytes, header, marked: header.marked });
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", header.alt);
  for (const name of ["card", "hairline", "ink", "muted", "chip", "font", "mono", "own"]) root.style.setProperty(`--${name}`, header.theme[name]);
  root.style.colorScheme = header.theme.mode;
  const metric = board.choice ? header.metrics.findIndex(({ key }) => key === board.choice.key) : -1;
  if (metric < 0 || (board.choice.layer !== null && !header.layers.includes(board.choice.layer))) choose(board, header.shown);
  else board.choice.metric = metric;
  build(board);
}

// Show a metric, its best rows first; the filters stay.
function choose(board, metric) {
  const { columns, smallest_first: smallest, key } = board.header.metrics[metric];
  const { layer = null, item = "", above = false } = board.choice ?? {};
  board.choice = { metric, key, sort: columns.here ? "here" : "there", down: !smallest, layer, item, above };
  board.limit = FIRST;
}

function build(board) {
  const { root, header, choice } = board;
  const { words } = header;
  const metrics = make("div", "metrics");
  metrics.setAttribute("role", "group");
  metrics.setAttribute("aria-label", words.metric);
  if (header.metrics.length > 1) {
    metrics.append(...header.metrics.map(({ name }, at) => pressed(name, at === choice.metric, () => {
      choose(board, at);
      build(board);
      root.querySelectorAll(".metrics button")[at].focus();
    })));
  }
  const { name: shown, meaning: told } = header.metrics[choice.metric];
  const meaning = make("p", "meaning");
  meaning.append(make("strong", "", shown), ` · ${told}`);
  board.table = make("div", "list");
  root.replaceChildren(metrics, meaning, filtersOf(board), board.table);
  write(board);
}

function pressed(name, on, act) {
  const button = make("button", "", name);
  button.type = "button";
  button.setAttribute("aria-pressed", String(on));
  button.onclick = act;
  return button;
}

function filtersOf(board) {
  const { header, choice } = board;
  const { words } = header;
  const bar = make("div", "filters");
  const layers = [...new Set(header.layers)].sort((a, b) => a - b);
  if (layers.length > 1) {
    const select = make("select");
    select.append(new Option(words.every_layer, ""), ...layers.map((layer) => new Option(fill(words.layer, { layer }), String(layer), false, layer === choice.layer)));
    select.onchange = () => changed(board, { layer: select.value === "" ? null : Number(select.value) });
    bar.append(labelled(words.layer.replace("{layer}", "").trim(), select));
  }
  const number = make("input");
  Object.assign(number, { type: "search", inputMode: "numeric", maxLength: 6, value: choice.item, placeholder: words.number });
  number.oninput = () => changed(board, { item: number.value.replace(/\D/g, "") });
  bar.append(labelled(words.item, number));
  const metric = header.metrics[choice.metric];
  if (metric.columns.chance_here || metric.columns.chance_there) {
    const box = make("input");
    Object.assign(box, { type: "checkbox", checked: choice.above });
    box.onchange = () => changed(board, { above: box.checked });
    const label = make("label", "check");
    label.append(box, words.above);
    bar.append(label);
  }
  return bar;
}

function labelled(name, field) {
  const label = make("label");
  label.append(make("span", "", name), field);
  return label;
}

function changed(board, change) {
  Object.assign(board.choice, change);
  board.limit = FIRST;
  write(board);
}

function write(board) {
  const { header, choice, table } = board;
  const { words } = header;
  const metric = header.metrics[choice.metric];
  const rows = rowsOf(header, choice);
  const shown = rows.slice(0, board.limit);
  const sides = ["here", "there"].filter((side) => metric.columns[side]);
  const made = make("table");
  const body = make("tbody");
  body.append(...shown.map((row) => rowOf(board, metric, sides, row)));
  made.append(headOf(board, metric, sides), body);
  const foot = make("p", "count", shown.length ? fill(words.count, { shown: count(shown.length), rows: count(rows.length) }) : words.no_rows);
  table.replaceChildren(made, foot);
  if (rows.length <= shown.length) return;
  const more = make("button", "more", words.more);
  more.type = "button";
  more.onclick = () => {
    board.limit += MORE;
    write(board);
    board.table.querySelectorAll("tbody button")[shown.length]?.focus();
  };
  if (!board.still) foot.append(" ", more);
}

function headOf(board, metric, sides) {
  const { words } = board.header;
  const line = make("tr");
  line.append(sorted(board, "row", words.item));
  for (const side of sides) {
    line.append(sorted(board, side, words[side]));
    if (metric.columns[`chance_${side}`]) line.append(headCell(words.chance, "number"));
  }
  const head = make("thead");
  head.append(line);
  return head;
}

function headCell(text, kind) {
  const cell = make("th", kind, text);
  cell.scope = "col";
  return cell;
}

// A heading that sorts: the same again turns the order.
function sorted(board, sort, name) {
  const { choice, header } = board;
  const on = choice.sort === sort;
  const cell = headCell(board.still ? name : "", sort === "row" ? "" : "value");
  if (board.still) return cell;
  const button = make("button", "", name);
  button.type = "button";
  cell.setAttribute("aria-sort", on ? (choice.down ? "descending" : "ascending") : "none");
  button.title = header.words[on && choice.down ? "sorted_up" : "sorted_down"];
  const arrow = make("span", "arrow", on ? (choice.down ? "↓" : "↑") : "");
  arrow.setAttribute("aria-hidden", "true");
  button.append(arrow);
  button.onclick = () => {
    const down = on ? !choice.down : sort !== "row" && !header.metrics[choice.metric].smallest_first;
    changed(board, { sort, down });
    [...board.table.querySelectorAll("thead button")].find((one) => one.textContent.startsWith(name))?.focus();
  };
  cell.append(button);
  return cell;
}

function rowOf(board, metric, sides, row) {
  const { header } = board;
  const { words } = header;
  const [layer, item] = [header.layers[row], header.items[row]];
  const line = make("tr", board.marked && board.marked[0] === layer && board.marked[1] === item ? "marked" : "");
  const name = fill(words.row, { layer, item });
  if (board.still) {
    const plain = headCell(name, "");
    plain.scope = "row";
    line.append(plain);
    for (const side of sides) line.append(...cellsOf(metric, side, row, words));
    return line;
  }
  const open = make("button", "", name);
  open.type = "button";
  open.setAttribute("aria-label", fill(words.open, { row: name }));
  if (line.className) open.setAttribute("aria-current", "true");
  open.onclick = () => {
    board.marked = [layer, item];
    board.pick({ layer, item });
    write(board);
    [...board.table.querySelectorAll("tbody button")].find((one) => one.textContent === name)?.focus();
  };
  const head = headCell("", "");
  head.scope = "row";
  head.append(open);
  line.append(head);
  for (const side of sides) line.append(...cellsOf(metric, side, row, words));
  return line;
}

// The bar of a value with a tick at chance, its number, and the number of chance.
function cellsOf(metric, side, row, words) {
  const value = metric.columns[side][row];
  const chance = metric.columns[`chance_${side}`]?.[row];
  const cell = make("td", "value");
  const track = make("span", "track");
  const bar = make("span", "fill");
  bar.style.width = Number.isNaN(value) ? "0" : `${100 * shareOf(metric, value)}%`;
  track.append(bar);
  if (chance !== undefined && Number.isFinite(chance)) {
    const tick = make("span", "tick");
    tick.style.left = `${100 * shareOf(metric, chance)}%`;
    track.append(tick);
  }
  cell.append(track, make("span", "number", writtenOf(metric, value, words.no_value)));
  return chance === undefined ? [cell] : [cell, make("td", "number chance", writtenOf(metric, chance, words.no_value))];
}

function make(tag, className = "", text = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text; // text is never read as markup
  return made;
}

const fill = (text, values) => text.replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all);
const count = (value) => value.toLocaleString("en-US");
