// Time: which token has been read, which is guessed, and who moves on. The store of the selection holds the frame.
//
// view.shown is the last token of the text that has been read, view.asked the one whose guesses are shown: the same, or
// while the next word is still veiled the one after it.

const STEP_MS = 520; // for a token, at speed 1: the guess is shown for half of it, then the word
const LONGEST_MS = 24000; // for a text at speed 1
const SHORTEST_MS = 130; // for a token
const SPEEDS = [1, 2, 4, 0.5];
const SOURCE = "hero";
const PLAYED = "contextscope.hero.played"; // in sessionStorage: the first visit of this tab has been shown
const SETTLE_MS = 700; // the page may still be opening, and then lets go of the time

const still = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;

const lastToken = (view) => view.header.labels.length - 1;

// Take what the store says, and show it.
function follow(view) {
  if (!view.header) return;
  const { token, hover, frame, playing } = view.store.get();
  const last = lastToken(view);
  const known = (value) => (Number.isInteger(value) && value >= 0 && value <= last ? value : null);
  const asked = playing ? known(frame) : (known(hover) ?? known(frame) ?? known(token));
  view.pinned = known(token);
  view.playing = playing;
  view.shown = asked ?? last;
  view.asked = view.veiled && playing ? Math.min(view.shown + 1, last) : view.shown;
  show(view);
}

// Move on: show the guess for the next token, then the token; at the last one rest.
function tick(view) {
  const last = lastToken(view);
  const pace = Math.max(SHORTEST_MS, Math.min(STEP_MS, LONGEST_MS / (last + 1)) / view.speed);
  if (view.veiled || still()) {
    view.veiled = false;
    const next = Math.min(view.shown + 1, last);
    view.store.set({ frame: next, playing: next < last }, SOURCE);
    if (next >= last) return stop(view);
    view.timer = setTimeout(() => tick(view), still() ? pace : pace / 2);
  } else {
    view.veiled = true;
    follow(view);
    view.timer = setTimeout(() => tick(view), pace / 2);
  }
}

function play(view) {
  clearTimeout(view.timer);
  const from = view.shown >= lastToken(view) ? 0 : view.shown;
  view.veiled = false;
  view.moves = true;
  view.store.set({ hover: null, frame: from, playing: true }, SOURCE);
  follow(view);
  view.timer = setTimeout(() => tick(view), SHORTEST_MS);
}

// Stop the time, whoever moves it.
function stop(view) {
  clearTimeout(view.timer);
  view.timer = 0;
  view.veiled = false;
  view.moves = false;
  view.auto = false;
  if (view.store.get().playing) view.store.set({ playing: false }, SOURCE);
  follow(view);
}

function toggle(view) {
  if (view.store.get().playing) stop(view);
  else play(view);
}

// Go to a token, and stay there.
function go(view, token) {
  stop(view);
  view.store.set({ hover: null, frame: Math.max(0, Math.min(lastToken(view), token)) }, SOURCE);
  speak(view);
}

// Pin a token for every figure of the page, or let go of it.
function pin(view, token) {
  stop(view);
  const again = view.store.get().token === token;
  view.store.set({ token: again ? null : token, span: again ? null : view.header.spans[token], hover: null, frame: null }, SOURCE);
}

// The first visit of a tab plays by itself, once, where motion is welcome and nothing has been chosen.
function playFirst(view) {
  if (view.offered || still() || played()) return;
  view.offered = true;
  const watcher = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    watcher.disconnect();
    view.wait = setTimeout(() => {
      if (!free(view) || still() || played()) return;
      sessionStorage.setItem(PLAYED, "1");
      view.auto = true;
      play(view);
    }, SETTLE_MS);
  }, { threshold: 0.4 });
  watcher.observe(view.root);
  view.watcher = watcher;
}

// Whether nobody has chosen a token, and nobody moves the time.
function free(view) {
  const { token, frame, playing } = view.store.get();
  return token === null && frame === null && !playing;
}

function played() {
  try {
    return sessionStorage.getItem(PLAYED) !== null;
  } catch {
    return true; // no storage: nobody could say that it has been shown
  }
}

// Hear the store. What stops this component's play from outside ends its timer; a page that was still opening does not:
// the play begins again where nobody has chosen meanwhile.
function hear(view, { state, changed }) {
  if (view.moves && changed.has("playing") && !state.playing) {
    const opening = view.auto && changed.has("reading");
    clearTimeout(view.timer);
    view.veiled = false;
    view.moves = false;
    if (opening) view.timer = setTimeout(() => free(view) && play(view), SETTLE_MS);
    else view.auto = false;
  }
  if (["token", "hover", "frame", "playing"].some((name) => changed.has(name))) follow(view);
}
