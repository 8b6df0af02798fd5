// Ranked lists of next tokens, one column per model, as tables of real text. Input: bytes written by viz/ranking/spec.py.
// The lists follow the selection of the page (viz/canvas/browser/store.js) without the server: the time while it moves,
// else the chosen token, else the token that the header names.

const NAMES = ["places", "label", "rank", "logit", "own", "scaled", "drawn", "kept", "mass"];
const boards = new WeakMap();

export default function ({ data, parentElement }) {
  let board = boards.get(parentElement);
  if (!board) {
    board = openBoard(parentElement.querySelector(".root"));
    boards.set(parentElement, board);
  }
  if (data && data.length) showBytes(board, data);
  return () => {
    board.close();
    boards.delete(parentElement);
  };
}

function openBoard(root) {
  const store = typeof selectionStore === "function" ? selectionStore() : window.contextscope?.selection;
  const board = { root, store, header: null, shown: "", close: () => {} };
  if (store) {
    board.close = store.on(({ changed }) => {
      if (["token", "span", "frame", "reading"].some((name) => changed.has(name))) drawBoard(board);
    });
  }
  return board;
}

// Read new bytes; each column gets its arrays under their names.
function showBytes(board, bytes) {
  const { header, planes } = decode(bytes);
  for (const column of header.columns) for (const name of [...NAMES, "before"]) column[name] = planes[column[name]] ?? null;
  board.header = header;
  board.shown = "";
  board.root.setAttribute("role", "group");
  board.root.setAttribute("aria-label", header.alt);
  for (const name of ["card", "hairline", "ink", "muted", "chip", "font", "mono"]) board.root.style.setProperty(`--${name}`, header.theme[name]);
  board.root.style.colorScheme = header.theme.mode;
  drawBoard(board);
}

function drawBoard(board) {
  const { header, root } = board;
  if (!header) return;
  const at = header.columns.map((column) => placeOf(column, board.store?.get()));
  if (board.shown === String(at)) return; // the pointer moved, not the place
  board.shown = String(at);
  root.classList.toggle("several", header.columns.length > 1);
  const key = header.changed ? [make("p", "key", header.words.bars)] : [];
  root.replaceChildren(...header.columns.map((column, i) => drawColumn(header, column, at[i])), ...key);
}

// The list of a column that is shown: the index into its places.
function placeOf(column, state) {
  let token = state?.frame ?? state?.token ?? null;
  if (column.steps && token !== null) token = column.steps[token] ?? -1; // a version of the reading
  else if (token !== null && state.frame === null && state.span) token = column.spans.findIndex(([start, end]) => start < state.span[1] && state.span[0] < end);
  const wanted = column.places.indexOf(token ?? -1);
  return wanted >= 0 ? wanted : column.places.indexOf(column.at);
}

function drawColumn(header, column, place) {
  const { words } = header;
  const token = column.places[place];
  const row = (n) => Object.fromEntries(["label", "rank", "logit", "own", "scaled", "drawn", "before"].map((name) => [name, column[name]?.[place * column.rows + n]]));
  const all = [...Array(column.rows).keys()].map(row);
  const came = all[column.rows - 1];
  const best = all.slice(0, -1).filter((one) => !Number.isNaN(one.label));
  const most = Math.max(...best.map((one) => Math.max(one.own, one.drawn)), 1e-9);
  const box = make("section", "column");
  box.style.setProperty("--own", column.color);
  if (header.columns.length > 1) box.append(make("h4", "name", column.name));
  box.append(make("p", "after", fill(words.after, { token: quoted(column.tokens[token]) })));
  const table = make("table", header.changed ? "changed" : "");
  const head = make("tr");
  const titles = header.changed ? [words.token, words.probability, words.own, words.drawn, words.logit] : [words.token, words.probability, words.own, words.logit];
  for (const title of titles) head.append(cell("th", title));
  head.children[1].textContent = "";
  head.children[1].append(make("span", "heard", words.probability));
  const thead = make("thead");
  thead.append(head);
  const body = make("tbody");
  for (const one of best) body.append(drawRow(header, column, one, most, one.label === came.label));
  table.append(thead, body);
  box.append(table);
  box.append(make("p", "came", Number.isNaN(came.label) ? words.end : sentenceOf(words.came, column, came)));
  if (header.changed) {
    const share = percent(column.mass[place]);
    box.append(make("p", "kept", fill(words.kept, { kept: count(column.kept[place]), vocabulary: count(column.vocabulary), share })));
  }
  if (column.guess && token === column.at) {
    const [label, rank, own] = column.guess;
    box.append(make("p", "guess", fill(words.guess, { token: quoted(label), rank: count(rank), share: percent(own) })));
  }
  return box;
}

function drawRow(header, column, one, most, came) {
  const { words } = header;
  const out = Number.isNaN(one.scaled);
  const line = make("tr", [came ? "real" : "", out ? "out" : ""].filter(Boolean).join(" "));
  const name = cell("th", column.labels[one.label]);
  name.scope = "row";
  if (one.before !== undefined && !Number.isNaN(one.before) && one.before !== one.rank) {
    const fresh = one.before > column.rows - 1; // it is not in the list of the first version
    name.append(make("span", fresh ? "moved fresh" : "moved", fill(fresh ? words.new : words.was, { rank: count(one.before) })));
  }
  const bar = cell("td", "");
  bar.className = "bar";
  const track = make("span", "track");
  const fillBar = make("span", "fill");
  fillBar.style.width = out ? 0 : `${(100 * (header.changed ? one.drawn : one.own)) / most}%`;
  track.append(fillBar);
  if (header.changed) {
    const tick = make("span", "tick");
    tick.style.left = `${(100 * one.own) / most}%`;
    track.append(tick);
  }
  bar.append(track);
  line.append(name, bar, cell("td", percent(one.own), "number"));
  if (header.changed) line.append(cell("td", out ? words.left_out : percent(one.drawn), "number"));
  const scaled = header.changed && !out && one.scaled !== one.logit ? ` → ${one.scaled.toFixed(2)}` : "";
  line.append(cell("td", one.logit.toFixed(2) + scaled, "number logit"));
  return line;
}

const sentenceOf = (text, column, one) =>
  fill(text, { token: quoted(column.labels[one.label]), rank: count(one.rank), share: percent(one.own), bits: (-Math.log2(one.own)).toFixed(2) });

function make(tag, className = "", text = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text; // text is never read as markup
  return made;
}

const cell = (tag, text, className = "") => make(tag, className, text);
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all);
const quoted = (label) => `“${label}”`;
const count = (value) => Math.round(value).toLocaleString("en-US");

function percent(share) {
  if (share > 0 && share < 0.0005) return "<0.1%";
  return `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)}%`;
}
