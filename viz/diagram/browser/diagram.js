// A block diagram as boxes of real text, laid out by CSS. Input: bytes written by viz/diagram/spec.py.

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".root");
  if (!data || !data.length) return;
  const { header } = decode(data);
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", header.alt);
  for (const name of ["card", "hairline", "ink", "muted", "chip", "font", "mono"]) root.style.setProperty(`--${name}`, header.theme[name]);
  root.style.colorScheme = header.theme.mode;
  const columns = make("div", "columns");
  columns.append(...header.columns.map(columnOf));
  root.replaceChildren(rowOf(header.before), down(), columns, down(), rowOf(header.after), make("p", "total", header.total));
}

function columnOf(column) {
  const made = make("section", "column");
  made.append(make("h4", "", column.title), make("p", "note", column.note), streamOf(column.enters));
  const branches = column.branches.map(branchOf);
  if (column.parallel) {
    const both = make("div", "both");
    both.append(...branches);
    made.append(both);
  } else made.append(...branches);
  made.append(streamOf(column.leaves));
  return made;
}

function streamOf(words) {
  const made = make("div", "stream");
  made.append(make("span", "dot"), make("span", "", words));
  return made;
}

// A branch: its steps from top to bottom between two places of the stream.
function branchOf(branch) {
  const made = make("div", "branch");
  made.style.setProperty("--own", branch.color);
  const card = make("div", "steps");
  const head = make("p", "name", branch.name);
  if (branch.worth) head.append(make("span", "worth", branch.worth));
  card.append(head);
  branch.steps.forEach((step, at) => {
    if (at) card.append(down());
    card.append(rowOf(step));
  });
  const sum = make("div", "sum");
  sum.append(make("span", "plus", "+"), make("span", "", branch.adds));
  made.append(card, sum);
  return made;
}

function rowOf(boxes) {
  const row = make("div", "row");
  row.append(...boxes.map(boxOf));
  return row;
}

function boxOf(box) {
  const made = make("div", box.weights ? "box" : "box bare");
  made.append(make("strong", "", box.name));
  if (box.detail) made.append(make("span", "detail", box.detail));
  if (box.live) made.append(make("span", "live", box.live));
  return made;
}

function down() {
  const arrow = make("span", "down", "↓");
  arrow.setAttribute("aria-hidden", "true");
  return arrow;
}

function make(tag, className = "", text = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text; // text is never read as markup
  return made;
}
