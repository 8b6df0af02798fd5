// Time: the step at which the decoder writes. The store of the selection holds it, so that the other pictures follow.

const SOURCE = "exchange";
const STEP_MS = 900; // of a step, at speed 1
const SPEEDS = [1, 2, 4, 0.5];

const lastStep = (view) => view.header.written.length - 1;

// The step that the store says, where it draws what this view draws; else the one of the header.
function stepOf(view) {
  const { reading, token, hover, frame, playing } = view.store.get();
  const { rest } = view.header;
  if (reading !== view.header.reading) return rest;
  const known = (value) => (Number.isInteger(value) && value >= 0 && value <= lastStep(view) ? value : null);
  return (playing ? known(frame) : (known(hover) ?? known(frame) ?? known(token))) ?? rest;
}

// Take what the store says, and show it.
function follow(view) {
  if (!view.header) return;
  const { reading, token, playing } = view.store.get();
  const own = reading === view.header.reading;
  view.playing = own && playing;
  view.pinned = own ? token : null;
  view.step = stepOf(view);
  show(view);
}

function tick(view) {
  const next = Math.min(view.step + 1, lastStep(view));
  const going = next < lastStep(view);
  view.store.set({ frame: next, playing: going }, SOURCE);
  if (going) view.timer = setTimeout(() => tick(view), STEP_MS / view.speed);
  else view.moves = false;
}

function play(view) {
  clearTimeout(view.timer);
  view.moves = true;
  const { frame, token } = view.store.get();
  const chosen = frame ?? token;
  const from = chosen === null || chosen >= lastStep(view) ? 0 : view.step;
  view.store.set({ hover: null, frame: from, playing: true }, SOURCE);
  view.timer = setTimeout(() => tick(view), STEP_MS / view.speed);
}

function stop(view) {
  clearTimeout(view.timer);
  view.moves = false;
  if (view.store.get().playing) view.store.set({ playing: false }, SOURCE);
}

function toggle(view) {
  if (view.store.get().playing) stop(view);
  else play(view);
}

// Go to a step, and stay there.
function go(view, step) {
  stop(view);
  view.store.set({ hover: null, frame: Math.max(0, Math.min(lastStep(view), step)) }, SOURCE);
  speak(view);
}

// Choose a step for every picture of the page, or let go of it.
function pin(view, step) {
  stop(view);
  view.store.set({ token: view.store.get().token === step ? null : step, span: null, hover: null, frame: null }, SOURCE);
  speak(view);
}

// Hear the store: what others stop ends the timer of this view.
function hear(view, { state, changed }) {
  if (view.moves && changed.has("playing") && !state.playing) {
    clearTimeout(view.timer);
    view.moves = false;
  }
  if (["token", "hover", "frame", "playing", "reading"].some((name) => changed.has(name))) follow(view);
}
