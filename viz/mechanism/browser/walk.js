// Steps: which one is shown, the buttons, and play, which walks them one by one.

const PACE_MS = 2400; // for a step
const ON_MS = 1100; // for a step where play goes on with the next token
const TURN_MS = 420; // in which a step is drawn in

const still = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;
const lastStep = (view) => view.header.steps.length - 1;

function buildWalk(view) {
  const button = (name, path, act) => {
    const made = element("button", name, view.walk);
    made.type = "button";
    made.onclick = act;
    return { button: made, icon: drawIcon(made, path) };
  };
  const back = button("back", "M11 2 5 7l6 5z M3 2h2v10H3z", () => turn(view, view.index - 1));
  const play = button("play", "", () => (view.playing ? stop(view) : playOn(view)));
  const on = button("on", "M3 2l6 5-6 5z M9 2h2v10H9z", () => turn(view, view.index + 1));
  const list = element("ol", "steps", view.walk);
  view.controls = { back, play, on, list, steps: [] };
}

// Make a button for each step of new data.
function fillWalk(view) {
  const { controls, header } = view;
  const { words, steps } = header;
  view.walk.setAttribute("role", "group");
  view.walk.setAttribute("aria-label", words.steps);
  for (const [name, text] of [["back", words.back], ["on", words.on]]) {
    controls[name].button.setAttribute("aria-label", text);
    controls[name].button.title = text;
  }
  controls.list.replaceChildren();
  controls.steps = steps.map(({ title }, index) => {
    const button = element("button", "step", element("li", "", controls.list));
    button.type = "button";
    button.textContent = title;
    button.onclick = () => turn(view, index);
    return button;
  });
}

function writeWalk(view) {
  const { controls, header, playing, index } = view;
  const named = playing ? header.words.pause : header.words.play;
  controls.play.button.setAttribute("aria-label", named);
  controls.play.button.title = named;
  controls.play.icon.setAttribute("d", playing ? "M3 2h3v10H3z M8 2h3v10H8z" : "M3.5 1.5 12 7l-8.5 5.5z");
  controls.back.button.setAttribute("aria-disabled", String(index === 0));
  controls.on.button.setAttribute("aria-disabled", String(index === lastStep(view)));
  controls.steps.forEach((button, n) => {
    if (n === index) button.setAttribute("aria-current", "step");
    else button.removeAttribute("aria-current");
    button.classList.toggle("done", n < index);
  });
}

// Go to a step because the visitor asks for it, and say it.
function turn(view, index) {
  stop(view);
  showStep(view, index);
  speak(view);
}

function showStep(view, index) {
  const next = Math.max(0, Math.min(lastStep(view), index));
  const moved = next !== view.index;
  view.index = next;
  if (moved) scrollSteps(view);
  if (moved && !still()) return drawIn(view);
  view.part = 1;
  show(view);
}

// A step beside the others on a narrow screen comes into sight.
function scrollSteps({ controls, index }) {
  const { list, steps } = controls;
  const { offsetLeft, offsetWidth } = steps[index];
  if (list.scrollWidth > list.clientWidth) list.scrollLeft = offsetLeft - list.offsetLeft - (list.clientWidth - offsetWidth) / 2;
}

// Draw a step from its beginning to its end.
function drawIn(view) {
  cancelAnimationFrame(view.moving);
  view.part = 0;
  show(view);
  let begun = null;
  const frame = (now) => {
    begun ??= now;
    view.part = Math.min(1, (now - begun) / TURN_MS);
    paintBoard(view);
    if (view.part < 1) view.moving = requestAnimationFrame(frame);
  };
  view.moving = requestAnimationFrame(frame);
}

function playOn(view) {
  clearTimeout(view.timer);
  view.playing = true;
  const goesOn = view.header.on && view.token < view.header.labels.length - 1;
  if (view.index === lastStep(view) && !goesOn) showStep(view, 0);
  else show(view);
  view.timer = setTimeout(() => tick(view), pace(view) / 2);
}

const pace = (view) => (view.header.on ? ON_MS : PACE_MS);

function tick(view) {
  const last = view.header.labels.length - 1;
  if (view.index < lastStep(view)) showStep(view, view.index + 1);
  else if (view.header.on && view.token < last) {
    view.index = 0;
    view.store.set({ hover: null, frame: view.token + 1 }, view.header.id);
  } else return stop(view);
  view.timer = setTimeout(() => tick(view), pace(view));
}

function stop(view) {
  clearTimeout(view.timer);
  if (!view.playing) return;
  view.playing = false;
  writeWalk(view);
}

// Say the step with its sentence.
function speak(view) {
  const { words, steps } = view.header;
  const at = fill(words.at, { index: view.index + 1, count: steps.length, title: steps[view.index].title });
  view.heard.textContent = `${at}. ${view.says.textContent}`;
}
