// Several models read one text: what each carries and what it expects, token by token.
// Input: bytes written by viz/hero/payload.py. Time and choice are those of the store (viz/canvas/browser/store.js), so
// that the other figures of the page follow; nothing is sent to the server. The files of this folder are one module,
// joined by viz/hero/source.py: a View (build.js) holds the state, all else are functions of it.

export default mounting(open, update, (place, view) => view.header?.waiting.length || letGo(place)); // else the place stays as high as it will be

function open(root) {
  const view = new View(root);
  listen(view);
  const leave = view.store.on((told) => hear(view, told));
  const observer = new ResizeObserver(() => view.header && show(view));
  const onFonts = () => {
    for (const own of view.lanes) for (const ink of own.ink) ink.plan = null;
    if (view.header) show(view);
  };
  const onScale = () => view.header && show(view);
  observer.observe(root);
  window.addEventListener("resize", onScale);
  document.fonts?.addEventListener("loadingdone", onFonts);
  view.close = () => {
    if (view.moves) stop(view);
    clearTimeout(view.timer);
    clearTimeout(view.wait);
    view.watcher?.disconnect();
    leave();
    observer.disconnect();
    window.removeEventListener("resize", onScale);
    document.fonts?.removeEventListener("loadingdone", onFonts);
  };
  return view;
}

// Show new data; the same bytes change nothing.
function update(view, data) {
  if (!data || !data.length || (view.bytes && same(view.bytes, data))) return;
  const before = view.header;
  const { header, planes } = decode(data);
  Object.assign(view, { bytes: data, header, planes });
  for (const name of ["card", "hairline", "ink", "muted", "chip", "ground", "font", "mono"]) view.root.style.setProperty(`--${name}`, header.theme[name]);
  view.root.style.colorScheme = header.theme.mode;
  view.finding.textContent = header.finding;
  view.foot.textContent = header.note;
  buildLanes(view);
  buildText(view);
  buildPlayer(view);
  if (before && before.prompt !== header.prompt) {
    if (view.moves) stop(view);
    view.store.set({ frame: null, hover: null }, SOURCE);
  }
  follow(view);
  const glyphs = header.prompt;
  document.fonts?.load(`500 13px ${header.theme.font}`, glyphs).catch(() => {});
  if (!header.waiting.length) playFirst(view);
}

// Show everything that depends on the time: first the canvases, whose sizes are read, then what is written, so that the
// page is laid out once.
function show(view) {
  if (!view.header) return;
  for (const own of view.lanes) drawCarried(view, own);
  for (const own of view.lanes) {
    writeCarried(view, own);
    writeGuesses(view, own);
  }
  writePlayer(view);
  writeText(view);
}
