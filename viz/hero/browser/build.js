// The elements of the picture, made once for a text; what changes with time is written by the other files.

class View {
  constructor(root) {
    this.root = root;
    root.classList.add("hero");
    root.replaceChildren();
    this.store = selectionStore();
    this.bytes = null; // the payload shown
    this.header = null;
    this.planes = [];
    this.lanes = []; // {lane, elements of it}
    this.shown = 0;
    this.asked = 0;
    this.pinned = null;
    this.playing = false;
    this.veiled = false;
    this.moves = false; // whether the time is moved by this component
    this.auto = false; // whether that is the first visit's play
    this.offered = false;
    this.speed = 1;
    this.timer = 0;
    this.finding = element("p", "finding", root);
    this.text = element("div", "text", root);
    this.head = element("i", "head", this.text);
    this.tokens = []; // the element of each token, null where it has no characters
    this.rows = element("div", "lanes", root);
    this.player = element("div", "player", root);
    this.foot = element("p", "foot", root);
    this.tip = element("div", "tip", root);
    this.heard = element("div", "heard", root);
    this.text.tabIndex = 0;
    this.text.setAttribute("role", "listbox");
    this.text.setAttribute("aria-orientation", "horizontal");
    this.head.setAttribute("aria-hidden", "true");
    this.tip.setAttribute("aria-hidden", "true");
    this.heard.setAttribute("aria-live", "polite");
    root.setAttribute("role", "group");
  }
}

const PATHS = {
  circle: "M6 1.2a4.8 4.8 0 1 0 0 9.6a4.8 4.8 0 1 0 0-9.6z",
  square: "M1.6 1.6h8.8v8.8h-8.8z",
  "triangle-up": "M6 1 11 10.4H1z",
  diamond: "M6 .6 11.4 6 6 11.4 .6 6z",
};

function icon(path, box, parent, className = "") {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", `0 0 ${box} ${box}`);
  svg.setAttribute("aria-hidden", "true");
  if (className) svg.setAttribute("class", className);
  const shape = document.createElementNS("http://www.w3.org/2000/svg", "path");
  shape.setAttribute("d", path);
  svg.append(shape);
  parent.append(svg);
  return shape;
}

function buildLanes(view) {
  view.rows.replaceChildren();
  view.lanes = view.header.lanes.map((lane, place) => {
    const row = element("section", "lane", view.rows);
    row.style.setProperty("--own", lane.color);
    row.setAttribute("aria-label", lane.name);
    const who = element("div", "who", row);
    const name = element("h3", "name", who);
    icon(PATHS[lane.marker] ?? PATHS.circle, 12, name, "marker");
    element("span", "", name).textContent = lane.name;
    element("p", "holds", who).textContent = lane.summary;
    const marks = element("div", "marks", row);
    const own = { lane, place, row, marks, ink: [], labels: lane.labels ?? view.header.labels };
    if (lane.cells) own.cells = board(view, own, "cells", marks, lane.cells.about);
    if (lane.tile) {
      own.tile = board(view, own, "tile", marks, lane.tile.about);
      own.share = shareBar(view, own, marks);
    }
    if (lane.ink) buildInks(view, own);
    if (lane.doors) own.doors = board(view, own, "doors", marks, lane.doors.about.join(", "), lane.doors.name);
    marks.classList.toggle("several", [lane.cells, lane.tile, lane.doors].filter(Boolean).length > 1);
    own.guesses = buildGuesses(view, own, row);
    const bytes = element("div", "bytes", row);
    own.bytes = element("strong", "", bytes);
    element("span", "", bytes).textContent = view.header.words.carried;
    bytes.hidden = !lane.carried.length;
    return own;
  });
  for (const waiting of view.header.waiting) buildWaiting(view, waiting);
}

// The place of a model that is still to read.
function buildWaiting(view, { name, color, marker, says }) {
  const row = element("section", "lane waiting", view.rows);
  row.style.setProperty("--own", color);
  row.setAttribute("aria-label", name);
  row.setAttribute("aria-busy", "true");
  const title = element("h3", "name", row);
  icon(PATHS[marker] ?? PATHS.circle, 12, title, "marker");
  element("span", "", title).textContent = name;
  element("p", "says", row).textContent = says;
}

// A canvas for marks under a line that names them.
function board(view, own, kind, parent, about, name = about) {
  const box = element("div", `mark ${kind}`, parent);
  element("p", "", box).textContent = name;
  const canvas = element("canvas", "board", box);
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", about);
  canvas.onpointermove = (event) => tipOfMark(view, own, kind, event);
  canvas.onpointerleave = () => hideTip(view);
  canvas.redraw = (ctx) => {
    canvas.paper = ctx; // of a picture of the card, which assets/scripts/picture.js makes
    try {
      drawCarried(view, own);
    } finally {
      canvas.paper = null;
    }
  };
  return canvas;
}

// How much of the state is kept and how much the token writes.
function shareBar(view, own, parent) {
  const box = element("div", "share", parent);
  const bar = element("div", "shareBar", box);
  const wrote = element("i", "", bar);
  const kept = element("span", "", box);
  const written = element("span", "wrote", box);
  box.onpointermove = (event) => tipOfShare(view, own, event);
  box.onpointerleave = () => hideTip(view);
  return { wrote, kept, written };
}

function buildPlayer(view) {
  view.player.replaceChildren();
  const button = element("button", "play", view.player);
  const path = icon("", 14, button);
  const step = element("button", "step", view.player);
  icon("M3 2l6 5-6 5z M10 2h2v10h-2z", 14, step);
  const speed = element("button", "speed", view.player);
  const slider = element("input", "", view.player);
  const output = element("output", "", view.player);
  for (const one of [button, step, speed]) one.type = "button";
  slider.type = "range";
  slider.min = 0;
  button.onclick = () => toggle(view);
  step.onclick = () => go(view, view.shown + 1);
  speed.onclick = () => {
    view.speed = SPEEDS[(SPEEDS.indexOf(view.speed) + 1) % SPEEDS.length];
    writePlayer(view);
  };
  slider.oninput = () => go(view, Number(slider.value));
  view.controls = { button, path, step, speed, slider, output };
}

function writePlayer(view) {
  const { words, labels } = view.header;
  const { button, path, step, speed, slider, output } = view.controls;
  const named = view.playing ? words.pause : words.play;
  button.setAttribute("aria-label", named);
  button.title = named;
  path.setAttribute("d", view.playing ? "M3 2h3v10H3z M8 2h3v10H8z" : "M3.5 1.5 12 7l-8.5 5.5z");
  step.setAttribute("aria-label", words.step);
  step.title = words.step;
  speed.textContent = `${view.speed === 0.5 ? "½" : view.speed}×`;
  speed.setAttribute("aria-label", `${words.speed} ${view.speed}×`);
  slider.max = lastToken(view);
  slider.value = view.shown;
  slider.setAttribute("aria-label", words.time);
  output.textContent = fill(words.at, { index: view.shown + 1, count: labels.length, label: plain(labels[view.shown]) });
  slider.setAttribute("aria-valuetext", output.textContent);
  slider.style.setProperty("--part", `${(100 * view.shown) / Math.max(1, lastToken(view))}%`);
}

// A label without the mark of its leading space.
const plain = (label) => label.replace(/^\u2423(?=.)/, "");
