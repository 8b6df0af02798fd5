// A closer look by buttons and keys: half as many tokens, twice as many, all of them.

const SMALL_TOKEN = 14; // pixels; where all tokens are narrower, a picture has the buttons (viz/canvas/height.py knows it)
const ZOOM_ICONS = { in: "M6 3h2v3h3v2H8v3H6V8H3V6h3z", out: "M3 6h8v2H3z", whole: "M1 3h2v8H1z M11 3h2v8h-2z M4 7l2.5-2.5v1.6h1V4.5L10 7 7.5 9.5V7.9h-1v1.6z" };
const ZOOM_KEYS = { "+": "in", "=": "in", "-": "out", "_": "out", 0: "whole" };

function buildZoom(view) {
  const { zoom } = view;
  zoom.setAttribute("role", "group");
  const words = element("span", "range", zoom);
  view.zoomers = { words };
  for (const [name, path] of Object.entries(ZOOM_ICONS)) {
    const button = element("button", name, zoom);
    button.type = "button";
    drawIcon(button, path);
    button.onclick = () => button.getAttribute("aria-disabled") === "true" || lookCloser(view, name);
    view.zoomers[name] = button;
  }
}

// Whether a picture has the buttons: its tokens are too small where all are shown, or it shows a range, which must have a
// way back in a window that has grown. A film shows one token after the other.
function zoomable(view) {
  const { strip } = view.header;
  return Boolean(strip && strip.role !== "frames" && strip.labels.length > LEAST_RANGE && (view.plan.whole < SMALL_TOKEN || view.plan.zoomed));
}

function writeZoom(view) {
  view.zoom.hidden = !zoomable(view);
  if (view.zoom.hidden) return;
  const { words } = view.header;
  const { across, down, zoomed } = view.plan;
  view.zoom.setAttribute("aria-label", words.zoom);
  view.zoomers.words.textContent = rangeWords(view);
  const off = { in: [across, down].every(([first, after]) => after - first <= LEAST_RANGE), out: !zoomed, whole: !zoomed };
  for (const name of Object.keys(ZOOM_ICONS)) {
    const button = view.zoomers[name];
    button.title = words[`zoom_${name}`];
    button.setAttribute("aria-label", words[`zoom_${name}`]);
    button.setAttribute("aria-disabled", String(off[name])); // a disabled one would lose the focus
  }
}

// Which tokens are shown: by their indices, as the read-out of a token gives them.
function rangeWords(view) {
  const { words, strip } = view.header;
  const { across, down, tokens, zoomed } = view.plan;
  const count = strip.labels.length;
  const drags = !view.plan.small && !window.matchMedia("(pointer: coarse)").matches; // on a phone there is no room for more
  if (!zoomed) return fill(words[drags ? "zoom_hint" : "zoom_all"], { count });
  if (!hasRows(view) || equal(across, down)) return fill(words.zoom_range, { first: tokens[0], last: tokens[1] - 1, count });
  return fill(words.zoom_rows, { first: across[0], last: across[1] - 1, top: down[0], bottom: down[1] - 1, count });
}

// name: in, out or whole. What is pointed at keeps its place, else the shown token where it is in sight, else the middle.
function lookCloser(view, name) {
  const count = view.header.strip.labels.length;
  const { across, down } = view.plan;
  const at = pointedAt(view);
  const sized = (range, place) => {
    if (name === "whole") return [0, count];
    const [first, after] = range;
    const size = Math.max(LEAST_RANGE, (after - first) * (name === "in" ? 0.5 : 2));
    const still = place ?? middleOf(view, range);
    return rangeAround(still + size * (0.5 - (still - first) / (after - first)), size, count);
  };
  const columns = sized(across, at.column);
  setRange(view, columns, equal(across, down) && equal(at.column, at.row) ? columns : sized(down, at.row));
  view.heard.textContent = rangeWords(view);
}

function middleOf(view, [first, after]) {
  const token = shownToken(view);
  return token !== null && token >= first && token < after ? token + 0.5 : (first + after) / 2;
}

// The places along the tokens that the cursor is at, null for none; where rows are no tokens, both are the column's. A
// cell of the future is empty, as all around it: its row counts for both.
function pointedAt(view) {
  const { cursor: at } = view;
  const { grid } = view.header;
  if (!at) return { column: null, row: null };
  if (at.zone === "strip") return { column: at.token + 0.5, row: at.token + 0.5 };
  const column = hasColumns(view) ? (at.column + 0.5) * grid.pool[1] : null;
  const row = hasRows(view) ? (at.row + 0.5) * grid.pool[0] : column;
  return { column: hasRows(view) && column > row ? row : column, row };
}

// Whether a key of the picture has changed the range.
function zoomKey(view, event) {
  const name = ZOOM_KEYS[event.key];
  if (!name || event.ctrlKey || event.metaKey || event.altKey || view.zoom.hidden) return false;
  event.preventDefault();
  lookCloser(view, name);
  return true;
}
