// What a view shows of the selection: it follows the store of the page where it draws the text that the page reads, and
// a store of its own elsewhere. Indices of tokens are those of the reading; an aligned strip has segments instead.

// Choose the store of a view for the text of its header.
function attach(view) {
  const page = selectionStore();
  const { reading } = view.header;
  view.store = reading && reading === page.get().reading ? page : view.own;
}

// Hear of every change in either store; returns a function that ends it.
function followStores(view) {
  view.own = newSelection();
  const hear = (store) => ({ state, changed }) => {
    if (!view.header) return;
    const before = view.store;
    if (changed.has("reading")) attach(view);
    if (before !== view.store) changed = new Set(["token", "frame", "hover", "layer", "range"]);
    else if (view.store !== store) return;
    showSelection(view, changed);
  };
  const ends = [selectionStore(), view.own].map((store) => store.on(hear(store)));
  return () => ends.forEach((end) => end());
}

// Draw what has changed: another token or time both layers, a pointer elsewhere the upper one alone.
function showSelection(view, changed) {
  const frame = view.frame;
  placeFrame(view);
  writePlayer(view);
  if (!view.plan) return;
  if (frame !== view.frame) {
    view.images.clear();
    if (view.byFrame) writeFrameScale(view);
  }
  const shown = ["token", "span", "frame", "layer", "head"].some((name) => changed.has(name));
  if (shown) writeNote(view);
  if (changed.has("range") || changed.has("rows")) return showRange(view);
  if (shown) paintBase(view);
  paintOver(view);
}

const said = (view) => view.store?.get() ?? { token: null, span: null, frame: null, hover: null, range: null, rows: null, layer: null, head: null, playing: false };

// The token that is shown: that of the time while it moves, else the chosen one, else the header's own; null for none.
function shownToken(view) {
  const { strip, grid } = view.header;
  if (grid?.follows) return followedRow(view);
  const [first, after] = shownRun(view);
  if (after > first) return first;
  return strip?.selected ?? grid?.selected_row ?? null;
}

// The row of the token of the reading that is shown, of a map whose rows are these tokens.
function followedRow(view) {
  const { grid } = view.header;
  const { token, frame } = said(view);
  const at = frame ?? token;
  return at !== null && at >= 0 && at < grid.rows ? at : grid.selected_row;
}

// The first and last + 1 of the strip's tokens that are shown.
function shownRun(view) {
  const { strip } = view.header;
  const { token, span, frame } = said(view);
  const at = frame ?? token;
  const found = strip && at !== null ? runOf(view, at, frame === null ? span : null) : null;
  if (found) return found;
  if (strip?.chosen) return strip.chosen;
  return Number.isInteger(strip?.selected) ? [strip.selected, strip.selected + 1] : [0, 0];
}

// The strip's tokens that a token of the reading is, or that lie in a span of characters; null where there is none.
function runOf(view, token, span) {
  const { strip, grid } = view.header;
  if (!grid?.owners?.length) return token >= 0 && token < strip.labels.length ? [token, token + 1] : null;
  return extent(grid.owners[0].map((own, i) => (span ? meets(strip.spans[i], span) : own === token)));
}

// The token of the reading that a token of the strip is, with its characters: as a tile cuts the text where it is given.
function meant(view, index, tile) {
  const { strip, grid } = view.header;
  if (!grid?.owners?.length) return { token: index, span: strip?.spans?.[index] ?? null };
  const own = grid.owners[tile ?? 0];
  const places = own.map((token, i) => (own[index] >= 0 ? token === own[index] : i === index));
  const [first, after] = extent(places);
  return { token: strip.index[index], span: [strip.spans[first][0], strip.spans[after - 1][1]] };
}

// The rows of the shown token in every tile: of each token there that shares a character with it; null for none.
function shownRows(view, tile) {
  const { grid, strip } = view.header;
  const { token, frame } = said(view);
  if (!strip || (frame ?? token) === null || !runOf(view, frame ?? token, frame === null ? said(view).span : null)) return grid.marks[tile] ?? null;
  const [first, after] = shownRun(view);
  if (!grid.owners.length) return [first, after];
  const own = grid.owners[tile];
  const touched = new Set(own.slice(first, after).filter((one) => one >= 0));
  return extent(own.map((one) => touched.has(one)));
}

// The tile of the layer and head that the page shows, else the header's own.
function shownTile(view) {
  const { places, selected_tile: own } = view.header.grid;
  const { layer, head } = said(view);
  const found = places ? places.findIndex(([l, h]) => l === layer && h === head) : -1;
  return found >= 0 ? found : own;
}

// Whether a span of characters lies in another: pieces without characters only where they are the same.
const meets = ([start, end], [from, to]) => (start < to && from < end) || (start === from && end === to);

// The first and last + 1 of what is true; null for nothing.
function extent(flags) {
  const first = flags.indexOf(true);
  return first < 0 ? null : [first, flags.lastIndexOf(true) + 1];
}
