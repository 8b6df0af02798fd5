// The selection of the page: one store for all components of a document, which each take the text of this file.
//
// selectionStore() returns it. get(): {page, reading, token, span, hover, frame, range, rows, layer, head, playing}. token, hover: indices
// into the tokens of the reading, the text that the first trace of the page reads, null for none; span: the characters
// [start, end) of the token, by which figures of other tokens find it, null where unknown; frame: the token after which
// states are shown while time is moved, null else; playing: whether time moves by itself, which the component that set
// it does, until it is false. range: the tokens [first, after) that pictures show, null for all; rows: those along the rows
// of a map, null for the same. A token or time outside both moves the range as far as needed.
// set(change, source) takes token, span, hover, frame, range, rows and playing; on(listener) calls
// listener({state, changed, source}) after each change and returns a function that ends it. open(told, source) takes
// what the server says: {reading, page, token, span, layer, head}. Another reading or page lets go of hover, frame, playing
// and of the range. Charts (viz/look/vega.py) read the chosen token in a hidden field of the document.

const OWN = ["token", "span", "hover", "frame", "range", "rows", "playing"]; // what set() takes
const SHOWN = "contextscope-shown"; // the id of that field
const AT_REST = { hover: null, frame: null, range: null, rows: null, playing: false };

function selectionStore() {
  window.contextscope ??= {};
  window.contextscope.selection ??= newSelection();
  return window.contextscope.selection;
}

function newSelection() {
  const listeners = new Set();
  let state = Object.freeze({ page: null, reading: null, token: null, span: null, layer: null, head: null, ...AT_REST });
  let said = {}; // the token that the server named last, with its span

  // Take over a change; listeners hear of what differs, and what they change in turn is told after it.
  function change(next, source) {
    const changed = new Set(Object.keys(next).filter((name) => !equal(next[name], state[name])));
    if (!changed.size) return;
    state = Object.freeze({ ...state, ...next });
    const now = state;
    if (changed.has("token")) leaveShown(now.token);
    for (const listener of [...listeners]) {
      try {
        listener({ state: now, changed, source });
      } catch (error) {
        console.error(error); // one figure in trouble must not keep the others from hearing
      }
    }
  }

  return {
    get: () => state,

    set(values, source = "") {
      const next = Object.fromEntries(OWN.filter((name) => values[name] !== undefined).map((name) => [name, values[name]]));
      if (next.token !== undefined && next.span === undefined && next.token !== state.token) next.span = null;
      if (next.token !== undefined && next.frame === undefined && next.token !== null && !state.playing) next.frame = null;
      change({ ...next, ...scrolled(state, next) }, source);
    },

    on(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },

    // The server's token counts where the reading is new or where it names another than before: it may not know yet
    // what was chosen here, and then repeats itself.
    open({ reading, page = state.page, layer = null, head = null, token = null, span = null }, source = "server") {
      const other = reading !== state.reading || page !== state.page;
      const told = { token, span };
      const moved = !equal(told.token, said.token) || !equal(told.span, said.span);
      said = told;
      const range = moved && !other ? scrolled(state, { token }) : {};
      change({ reading, page, layer, head, ...(other ? AT_REST : {}), ...(other || moved ? told : {}), ...range }, source);
    },
  };
}

// Write the chosen token where charts read it, "" for none.
function leaveShown(token) {
  const field = document.getElementById(SHOWN);
  if (!field) return;
  field.value = token ?? "";
  field.dispatchEvent(new Event("input"));
}

// The range that holds the token or the time which a change shows: moved as little as possible, {} where it holds it.
function scrolled({ range, rows }, { token, frame, range: asked }) {
  const shown = frame ?? token ?? null;
  if (shown === null || !range || asked !== undefined) return {};
  const held = [range, rows].some((one) => one && shown >= one[0] && shown < one[1]);
  if (held) return {};
  return rows ? { rows: holding(rows, shown) } : { range: holding(range, shown) };
}

// A range moved as little as possible so that an index lies in it.
function holding([first, after], index) {
  if (index >= first && index < after) return [first, after];
  return index < first ? [index, index + after - first] : [index + 1 + first - after, index + 1];
}

// Whether two values of the store are the same: numbers, texts, null or pairs of numbers.
function equal(a, b) {
  return Array.isArray(a) && Array.isArray(b) ? a.length === b.length && a.every((value, i) => value === b[i]) : a === b;
}
