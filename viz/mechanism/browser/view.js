// The state of one mechanism and the elements it is shown in. What happens to it are the functions of the other files.

const SMALL = 560; // pixels of width; spec.py knows it

class View {
  constructor(root) {
    this.root = root;
    root.classList.add("mechanism");
    root.replaceChildren();
    this.stage = element("div", "stage", root);
    this.board = element("canvas", "board", this.stage);
    this.tip = element("div", "tip", this.stage);
    this.walk = element("div", "player", root);
    this.below = element("div", "below", root);
    this.says = element("p", "says", this.below);
    this.sums = element("div", "sums", this.below);
    this.heard = element("div", "heard", root);
    this.stage.tabIndex = 0;
    this.stage.setAttribute("role", "application"); // a screen reader passes the keys on
    this.board.setAttribute("aria-hidden", "true");
    this.tip.setAttribute("aria-hidden", "true");
    this.heard.setAttribute("aria-live", "polite");
    this.bytes = null; // the payload shown
    this.header = null; // its header, its planes and its ramps
    this.planes = [];
    this.ramps = {};
    this.width = 0;
    this.dpr = 1;
    this.token = 0; // the token that is shown
    this.pinned = null; // the one that was chosen
    this.index = 0; // the step that is shown
    this.part = 1; // how much of the step has been shown, from 0 to 1
    this.cell = null; // what the visitor chose to see worked out, as the painter names it
    this.pointed = null; // the same while the pointer is on it
    this.target = null; // what is under the pointer
    this.plan = null; // where everything lies, as the painter laid it out
    this.told = []; // every number that is drawn (numbers.js)
    this.playing = false;
    this.timer = 0;
    this.moving = 0; // the animation frame that is asked for
    this.store = null; // of the page, or of this figure alone
    this.own = newSelection();
    root.told = () => this.told;
    root.plan = () => this.plan;
  }
}

// What each painter is: an entry of a file in painters/, by its name. Its functions get a state, which they do not change:
//   lay(state)             where everything lies in state.width x state.height; kept as state.plan. May be left out
//   cell(state, wanted)    what is worked out, null for the painter's own choice where none is wanted. May be left out
//   draw(ctx, state)       the drawing
//   hit(state, x, y)       what is at a place, null for nothing: {hover: token to show while pointed at, token: token to
//                          choose by a click, point: cell to work out while pointed at, cell: cell to choose}, and more
//   tips(state, target)    the lines that say what that is
//   moved(state, right, down)  the cell beside state.cell. May be left out
//   says(state)            texts for the {name} in the sentence of the step. May be left out
//   sums(state)            lines of arithmetic below it (sums.js). May be left out
const PAINTERS = {};

const painterOf = (view) => PAINTERS[view.header.painter];

// What painters see of a view.
function stateOf(view) {
  const { header } = view;
  const [, drawing] = sizeOf(view);
  const state = {
    settings: header.settings,
    words: header.words,
    theme: header.theme,
    labels: header.labels,
    titles: header.steps.map(({ title }) => title),
    piece: header.piece,
    spans: header.spans,
    width: view.width,
    height: drawing,
    small: view.width < SMALL,
    token: view.token,
    pinned: view.pinned,
    step: header.steps[view.index].key,
    index: view.index,
    part: view.part,
    target: view.target,
    plan: view.plan,
    cell: null,
    told: view.told,
    value: (name, ...place) => valueAt(view, name, place),
    shape: (name) => header.named[name].shape,
    all: (name) => view.planes[header.named[name].plane],
    color: (name, share) => colorAt(view.ramps[name], share),
    measure: (font, text) => measured(view, font, text),
    snap: (length) => Math.round(length * view.dpr) / view.dpr,
  };
  state.cell = painterOf(view).cell?.(state, view.pointed ?? view.cell) ?? null;
  return state;
}

// The room that the header gives in this width: [from width, height of the drawing, of the words].
const sizeOf = (view) => view.header.sizes.findLast(([least]) => least <= view.width) ?? view.header.sizes[0];

function valueAt(view, name, place) {
  const { plane, shape } = view.header.named[name];
  let at = 0;
  place.forEach((index, axis) => {
    if (!(index >= 0 && index < shape[axis])) throw new RangeError(`${name} has no ${place} in ${shape}`);
    at = at * shape[axis] + index;
  });
  return view.planes[plane][at];
}

// The colour of a share of a ramp, from 0 to 1.
function colorAt(ramp, share) {
  const at = Math.round(Math.min(1, Math.max(0, share)) * (ramp.length / 3 - 1)) * 3;
  return `rgb(${ramp[at]},${ramp[at + 1]},${ramp[at + 2]})`;
}

function measured(view, font, text) {
  const ctx = view.board.getContext("2d");
  ctx.font = font;
  return ctx.measureText(text).width;
}
