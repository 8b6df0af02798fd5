// One picture: token strip, bars and heatmap on a canvas, with hover, keyboard cursor, frames and mosaic.
// Input: bytes written by viz/canvas/payload.py. Output: trigger "picked" {row, column, tile, token}, of pictures whose
// header asks for it. Token, hover and time stay in the browser, in the store of the page (store.js), and survive new
// data. The files of this folder are one module, joined by viz/canvas/source.py: a View (view.js) holds the state, all
// else are functions of it.

const views = new WeakMap();

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  let view = views.get(parentElement);
  if (!view) {
    view = open(parentElement.querySelector(".root"));
    views.set(parentElement, view);
  }
  view.pick = (value) => setTriggerValue("picked", value);
  update(view, data);
  letGo(parentElement);
  return () => {
    view.close();
    views.delete(parentElement);
  };
}

// Make a view that draws itself again when its width, the fonts or the selection change, and for print.
function open(root) {
  const view = new View(root);
  buildPlayer(view);
  buildZoom(view);
  listen(view);
  const unfollow = followStores(view);
  const observer = new ResizeObserver(() => {
    const width = Math.floor(root.clientWidth);
    if (width > 0 && (width !== view.width || sharpness(view) !== view.dpr)) paint(view);
  });
  const onFonts = () => paint(view);
  const onScale = () => (sharpness(view) !== view.dpr || (root.roof ?? null) !== view.roof) && paint(view);
  const onPrint = ({ type }) => {
    view.print = type === "beforeprint";
    paint(view);
  };
  observer.observe(root);
  offerPicture(view);
  window.addEventListener("resize", onScale);
  document.fonts?.addEventListener("loadingdone", onFonts);
  for (const name of ["beforeprint", "afterprint"]) window.addEventListener(name, onPrint);
  view.close = () => {
    if (view.store === view.own) stop(view);
    unfollow();
    observer.disconnect();
    window.removeEventListener("resize", onScale);
    document.fonts?.removeEventListener("loadingdone", onFonts);
    for (const name of ["beforeprint", "afterprint"]) window.removeEventListener(name, onPrint);
  };
  return view;
}

// Show new data; the same bytes change nothing.
function update(view, data) {
  if (!data || !data.length || (view.bytes && same(view.bytes, data))) return;
  const before = view.header;
  view.pressed = view.brush = null; // drawn over what is no longer there
  const { header, planes } = decode(data);
  const { grid, strip, theme, words, alt } = header;
  Object.assign(view, { bytes: data, header, planes, ramps: grid ? grid.ramps.map(parseRamp) : [] });
  for (const name of ["card", "hairline", "ink", "muted", "chip", "accent", "font", "mono"]) view.root.style.setProperty(`--${name}`, theme[name]);
  view.root.style.colorScheme = theme.mode;
  view.stage.setAttribute("aria-label", [alt, words.keys].filter(Boolean).join(" "));
  view.stage.setAttribute("aria-roledescription", words.picture);
  view.stage.classList.toggle("pickable", Boolean((strip && strip.labels.length) || (grid && (grid.picks !== "none" || grid.reports))));
  if (!before || before.id !== header.id || before.reading !== header.reading || before.strip?.selected !== strip?.selected || !equal(before.strip?.labels ?? null, strip?.labels ?? null)) {
    view.own.set({ token: null, frame: null, hover: null, range: null, rows: null }, "data");
  }
  attach(view);
  placeFrame(view);
  writePlayer(view);
  if (view.cursor && !exists(header, view.cursor)) view.cursor = null;
  writeFoot(view);
  loadFonts(header);
  paint(view);
}

function exists({ grid, strip }, at) {
  if (at.zone === "strip") return strip && at.token < strip.labels.length;
  return grid && at.row < grid.rows && at.column < grid.columns && at.tile < grid.count;
}

// Ask for the glyphs that will be drawn: a canvas does not wait for them.
function loadFonts({ theme, strip, grid }) {
  const text = [...(strip?.labels ?? []), ...(grid?.texts?.flat() ?? []), "0"].join("");
  for (const family of [theme.font, theme.mono]) document.fonts?.load(`500 13px ${family}`, text).catch(() => {});
}
