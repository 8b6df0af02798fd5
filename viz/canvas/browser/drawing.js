// Small drawing and writing that knows nothing of the picture.

const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.substr(i, 2), 16));
// A colour laid over another, as one that hides what is under it.
const tint = (hex, ground, a) => `rgb(${rgb(hex).map((v, i) => Math.round(v * a + rgb(ground)[i] * (1 - a))).join(",")})`;
const alpha = (hex, a) => `rgba(${rgb(hex).join(",")},${a})`;

// Write a number, to so many digits.
function shown(value, digits = 5) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 1e5 || size < 1e-4) return value.toExponential(Math.min(digits, 4) - 1);
  return String(Number(value.toPrecision(digits)));
}

const fill = (template, values) => template.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? values[name] : whole));

function element(tag, className, parent) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  parent.append(node);
  return node;
}

// Give a button its picture, and return the path of it.
function drawIcon(button, path) {
  const [svg, icon] = ["svg", "path"].map((tag) => document.createElementNS("http://www.w3.org/2000/svg", tag));
  svg.setAttribute("viewBox", "0 0 14 14");
  svg.setAttribute("aria-hidden", "true");
  icon.setAttribute("d", path);
  svg.append(icon);
  button.append(svg);
  return icon;
}

function same(a, b) {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function round(ctx, x, y, width, height, radius) {
  ctx.beginPath();
  ctx.roundRect(x, y, Math.max(0, width), Math.max(0, height), Math.max(0, radius));
  ctx.fill();
}

function outline(ctx, x, y, width, height, radius) {
  ctx.beginPath();
  ctx.roundRect(x, y, width, height, radius);
  ctx.fill();
  ctx.stroke();
}

// What a reader sees as one sign, which may be several characters: a syllable of separate jamo, a letter with an accent.
const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

// Shorten a text with an ellipsis until it fits; "" when not even one sign does.
const fit = (ctx, text, room) => shorten(text, room, (part) => ctx.measureText(part).width);

function shorten(text, room, measure) {
  if (measure(text) <= room) return text;
  const signs = Array.from(graphemes.segment(text), ({ segment }) => segment);
  const cut = (count) => signs.slice(0, count).join("") + "…";
  let low = 0;
  let high = signs.length;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (measure(cut(middle)) <= room) low = middle;
    else high = middle - 1;
  }
  return low ? cut(low) : "";
}

// The server kept the picture's place free at a height that it estimated (pages/shared/viewport.py). From now on the
// place is as high as the picture.
function letGo(parentElement) {
  const host = parentElement.host ?? parentElement;
  const place = host.closest('[data-testid="stElementContainer"]');
  if (place) place.style.height = "auto";
}

// Return what a component of Streamlit exports: its view is opened once for each place, updated with every run, and
// closed in the end. drawn: called after an update, with the place and the view.
function mounting(open, update, drawn = letGo) {
  const views = new WeakMap();
  return ({ data, parentElement }) => {
    let view = views.get(parentElement);
    if (!view) views.set(parentElement, (view = open(parentElement.querySelector(".root"))));
    update(view, data);
    drawn(parentElement, view);
    return () => {
      view.close();
      views.delete(parentElement);
    };
  };
}
