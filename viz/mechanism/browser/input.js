// Pointer and keyboard: a word is shown while it is pointed at and chosen by a click; a cell likewise; keys walk.

function listen(view) {
  const { stage } = view;
  stage.onpointermove = (event) => pointAt(view, event);
  stage.onpointerleave = () => letGoOf(view);
  stage.onblur = () => letGoOf(view);
  stage.onclick = (event) => click(view, event);
  stage.onkeydown = (event) => key(view, event);
}

// The place of a pointer on the drawing, in its own pixels.
function placeOf(view, event) {
  const box = view.board.getBoundingClientRect();
  const zoom = box.width / view.width || 1;
  return [(event.clientX - box.left) / zoom, (event.clientY - box.top) / zoom];
}

function pointAt(view, event) {
  if (!view.header || !view.plan) return;
  const [x, y] = placeOf(view, event);
  const target = painterOf(view).hit(stateOf(view), x, y);
  const touched = event.pointerType === "touch";
  const hover = touched ? null : target?.hover ?? null;
  const point = target?.point ?? null;
  const moved = JSON.stringify(point) !== JSON.stringify(view.pointed);
  view.target = target;
  view.pointed = point;
  if (hover !== view.store.get().hover && !view.store.get().playing) view.store.set({ hover }, view.header.id);
  else if (moved) show(view);
  else paintBoard(view);
  writeTip(view, x, y);
}

function letGoOf(view) {
  if (!view.header) return;
  view.target = view.pointed = null;
  view.tip.classList.remove("on");
  if (view.store.get().hover !== null) view.store.set({ hover: null }, view.header.id);
  show(view);
}

function click(view, event) {
  if (!view.header || !view.plan) return;
  const target = painterOf(view).hit(stateOf(view), ...placeOf(view, event));
  if (!target) return;
  stop(view);
  if (target.cell !== undefined) view.cell = target.cell;
  if (target.token !== undefined) choose(view, target.token, { keep: target.cell !== undefined });
  show(view);
}

// Choose a token for every figure of the page, or let go of it. keep: a token that is chosen already stays.
function choose(view, token, { keep = false } = {}) {
  const again = view.store.get().token === token && !keep;
  view.store.set({ token: again ? null : token, span: again ? null : view.header.spans[token], hover: null, frame: null }, view.header.id);
}

function key(view, event) {
  if (!view.header || event.altKey || event.ctrlKey || event.metaKey) return;
  const arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  const last = view.header.labels.length - 1;
  if (arrow && event.shiftKey) moveCell(view, arrow);
  else if (arrow?.[0]) goTo(view, view.token + arrow[0]);
  else if (arrow) turn(view, view.index + arrow[1]);
  else if (event.key === "Home" || event.key === "End") goTo(view, event.key === "Home" ? 0 : last);
  else if (event.key === " ") view.playing ? stop(view) : playOn(view);
  else if (event.key === "Escape") {
    stop(view);
    view.cell = view.pointed = null;
    view.store.set({ token: null, span: null, hover: null, frame: null }, view.header.id);
    show(view);
  } else return;
  event.preventDefault();
}

function goTo(view, token) {
  const next = Math.max(0, Math.min(view.header.labels.length - 1, token));
  view.store.set({ token: next, span: view.header.spans[next], hover: null, frame: null, playing: false }, view.header.id);
  view.heard.textContent = `${plain(view.header.labels[next])}. ${view.says.textContent}`;
}

function moveCell(view, [right, down]) {
  const moved = painterOf(view).moved;
  if (!moved) return;
  view.pointed = null;
  view.cell = moved(stateOf(view), right, down);
  show(view);
  view.heard.textContent = view.sums.textContent;
}

// What is under the pointer, beside it.
function writeTip(view, x, y) {
  const { tip, target } = view;
  const lines = target ? painterOf(view).tips?.(stateOf(view), target) ?? [] : [];
  tip.classList.toggle("on", lines.length > 0);
  if (!lines.length) return;
  tip.replaceChildren();
  for (const line of lines) element("div", "", tip).textContent = line;
  const left = x + 16 + tip.offsetWidth > view.width ? Math.max(0, x - tip.offsetWidth - 14) : x + 16;
  tip.style.transform = `translate(${Math.round(left)}px, ${Math.round(y + 18)}px)`;
}
