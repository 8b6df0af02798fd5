// One picture: token strip, bars and heatmap on a canvas, with hover, keyboard cursor, frames and mosaic.
// Input: bytes written by spec.py. Output: trigger "picked" {row, column, tile, token}. Everything else (hover, frame,
// play) stays in the browser and survives new data. The files of this folder are one module, joined by viz/canvas.

const views = new WeakMap();

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  let view = views.get(parentElement);
  if (!view) {
    view = new View(parentElement.querySelector(".root"));
    views.set(parentElement, view);
  }
  view.pick = (value) => setTriggerValue("picked", value);
  view.update(data);
  return () => {
    view.destroy();
    views.delete(parentElement);
  };
}
