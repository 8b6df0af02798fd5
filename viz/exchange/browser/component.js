// Encoder and decoder side by side: lines of cross-attention while words are written, or both stacks of layers.
// Input: bytes written by viz/hero/payload.py; header.kind says which picture. The step is that of the store
// (viz/canvas/browser/store.js), so that all pictures of the page follow; nothing is sent to the server. The files of this
// folder are one module, joined by viz/exchange/source.py.

const BUILD = { lines: buildLines, stacks: buildStacks };
const SHOW = { lines: showLines, stacks: showStacks };

export default mounting(open, update, release);

function open(root) {
  const view = { root, store: selectionStore(), bytes: null, header: null, planes: [], step: 0, speed: 1, playing: false, pinned: null, moves: false, timer: 0 };
  const leave = view.store.on((told) => hear(view, told));
  const again = () => view.header && show(view);
  const observer = new ResizeObserver(again);
  observer.observe(root);
  window.addEventListener("resize", again);
  document.fonts?.addEventListener("loadingdone", again);
  view.close = () => {
    if (view.moves) stop(view);
    clearTimeout(view.timer);
    leave();
    observer.disconnect();
    window.removeEventListener("resize", again);
    document.fonts?.removeEventListener("loadingdone", again);
  };
  return view;
}

// The server kept the place free at a height that it estimated; from now on it is as high as the picture.
function release(parentElement) {
  letGo(parentElement);
  const place = (parentElement.host ?? parentElement).closest('[data-testid="stElementContainer"]');
  if (place) place.style.flex = "0 0 auto";
}

// Show new data; the same bytes change nothing.
function update(view, data) {
  if (!data || !data.length || (view.bytes && same(view.bytes, data))) return;
  const { header, planes } = decode(data);
  if (view.moves && view.header?.reading !== header.reading) stop(view);
  Object.assign(view, { bytes: data, header, planes });
  for (const name of ["card", "hairline", "ink", "muted", "chip", "ground", "accent", "font", "mono"]) view.root.style.setProperty(`--${name}`, header.theme[name]);
  view.root.style.colorScheme = header.theme.mode;
  view.root.classList.add("exchange");
  view.root.setAttribute("role", "group");
  view.root.replaceChildren();
  view.body = element("div", "body", view.root);
  view.heard = element("div", "heard", view.root);
  view.heard.setAttribute("aria-live", "polite");
  BUILD[header.kind](view);
  if (header.kind === "lines") {
    const [layer, head] = header.place;
    view.store.open({ reading: header.reading, page: header.page, layer, head });
  }
  follow(view);
}

const show = (view) => SHOW[view.header.kind](view);
