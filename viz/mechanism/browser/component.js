// A mechanism step by step: a drawing of words and numbers, the buttons that walk its steps, a sentence and arithmetic.
// Input: bytes written by viz/mechanism/spec.py. Token, hover and time are those of the page's store (canvas/browser/
// store.js); the step and the cell that is worked out are the figure's own. Nothing is sent to the server. The files of
// this folder are one module, joined by viz/mechanism/source.py: a View (view.js) holds the state, all else are functions
// of it; a painter (painters/) draws.

export default mounting(open, update);

function open(root) {
  const view = new View(root);
  buildWalk(view);
  listen(view);
  const page = selectionStore();
  const hear = (store) => ({ changed }) => {
    if (!view.header) return;
    if (changed.has("reading")) attach(view);
    if (view.store !== store && !changed.has("reading")) return;
    if (["token", "hover", "frame", "playing", "reading"].some((name) => changed.has(name))) follow(view);
  };
  const ends = [page, view.own].map((store) => store.on(hear(store)));
  const observer = new ResizeObserver(() => {
    const width = Math.floor(root.clientWidth);
    if (width > 0 && (width !== view.width || sharpness(view) !== view.dpr)) show(view);
  });
  const again = () => view.header && show(view);
  observer.observe(root);
  window.addEventListener("resize", again);
  document.fonts?.addEventListener("loadingdone", again);
  offerPicture(view);
  view.close = () => {
    stop(view);
    cancelAnimationFrame(view.moving);
    ends.forEach((end) => end());
    observer.disconnect();
    window.removeEventListener("resize", again);
    document.fonts?.removeEventListener("loadingdone", again);
  };
  return view;
}

// Choose the store of a view for the text of its header.
function attach(view) {
  const page = selectionStore();
  const { reading } = view.header;
  view.store = reading && reading === page.get().reading ? page : view.own;
}

// Show new data; the same bytes change nothing.
function update(view, data) {
  if (!data || !data.length || (view.bytes && same(view.bytes, data))) return;
  const before = view.header;
  const { header, planes } = decode(data);
  const ramps = Object.fromEntries(Object.entries(header.ramps).map(([name, ramp]) => [name, parseRamp(ramp)]));
  Object.assign(view, { bytes: data, header, planes, ramps, target: null, pointed: null });
  for (const name of ["card", "hairline", "ink", "muted", "chip", "accent", "font", "mono"]) view.root.style.setProperty(`--${name}`, header.theme[name]);
  view.root.style.colorScheme = header.theme.mode;
  view.stage.setAttribute("aria-label", `${header.alt} ${header.words.keys}`);
  view.stage.setAttribute("aria-roledescription", header.words.kind);
  if (!before || before.painter !== header.painter || !equal(before.steps.map(({ key }) => key), header.steps.map(({ key }) => key))) view.index = header.first;
  if (!before || before.id !== header.id || before.reading !== header.reading) {
    view.cell = null;
    view.own.set({ token: null, frame: null, hover: null });
  }
  fillWalk(view);
  attach(view);
  follow(view);
  scrollSteps(view);
  const glyphs = [...header.labels, ...header.steps.map(({ title }) => title), "0"].join("");
  for (const family of [header.theme.font, header.theme.mono]) document.fonts?.load(`500 13px ${family}`, glyphs).catch(() => {});
}

// Take the token that the store says: what is pointed at, else the time, else what is chosen.
function follow(view) {
  const { labels, selected } = view.header;
  const { token, hover, frame, playing } = view.store.get();
  const known = (value) => (Number.isInteger(value) && value >= 0 && value < labels.length ? value : null);
  view.pinned = known(token);
  view.token = (playing ? known(frame) : known(hover) ?? known(frame) ?? known(token)) ?? known(selected) ?? labels.length - 1;
  show(view);
}

// How many pixels of the screen lie along one of the page.
const sharpness = (view) => (window.devicePixelRatio || 1) * (view.root.currentCSSZoom ?? 1);

// Lay the drawing out in the width there is, and show everything.
function show(view) {
  const width = Math.floor(view.root.clientWidth);
  if (!view.header || width <= 0) return;
  view.width = width;
  view.dpr = sharpness(view);
  const [, drawing, words] = sizeOf(view);
  const [w, h] = [Math.round(width * view.dpr), Math.round(drawing * view.dpr)];
  if (view.board.width !== w || view.board.height !== h) Object.assign(view.board, { width: w, height: h });
  Object.assign(view.board.style, { width: `${width}px`, height: `${drawing}px` });
  view.root.classList.toggle("small", width < SMALL);
  view.below.style.minHeight = `${words}px`;
  view.plan = painterOf(view).lay?.(stateOf(view)) ?? {};
  paintBoard(view);
  writeBelow(view);
  writeWalk(view);
}

function paintBoard(view) {
  const ctx = view.board.getContext("2d");
  ctx.setTransform(view.dpr, 0, 0, view.dpr, 0, 0);
  ctx.clearRect(0, 0, view.width, view.board.height);
  view.told.length = 0;
  painterOf(view).draw(ctx, stateOf(view));
}

function writeBelow(view) {
  const painter = painterOf(view);
  const state = stateOf(view);
  state.told = []; // what is text on the page says itself where it comes from
  view.says.textContent = fill(view.header.steps[view.index].says, painter.says?.(state) ?? {});
  writeSums(view, state, painter.sums?.(state) ?? []);
}

// A picture of the card is drawn by assets/scripts/picture.js: it asks the root to stand still, and the canvas to draw
// itself on a context of another scale, which may write vectors.
function offerPicture(view) {
  view.root.still = (on) => {
    if (on) Object.assign(view, { target: null, pointed: null, part: 1 });
    cancelAnimationFrame(view.moving);
    show(view);
  };
  view.board.redraw = (ctx, scale) => {
    const { dpr } = view;
    view.dpr = scale;
    try {
      painterOf(view).draw(ctx, { ...stateOf(view), told: [] });
    } finally {
      view.dpr = dpr;
    }
  };
}
