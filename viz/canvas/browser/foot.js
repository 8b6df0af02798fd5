// Under the picture: a note and the colour scales.

function writeFoot(view) {
  const { legends, grid } = view.header;
  const note = noteOf(view);
  view.foot.replaceChildren();
  if (!note && !legends.length) return;
  element("div", "note", view.foot).textContent = note;
  const list = element("div", "legends", view.foot);
  for (const legend of legends) {
    const box = element("div", "legend", list);
    element("span", "name", box).textContent = legend.label;
    if (legend.ramp === null) writeSwatches(box, legend.swatches);
    else writeRamp(box, [legend.ramp].flat().map((place) => grid.ramps[place]), legend.ticks);
    if (Number.isInteger(grid?.frame_highs)) writeSwitch(view, box);
    else if (legend.scope) element("span", "scope", box).textContent = legend.scope;
  }
  writeFrameScale(view);
}

// The scale of a film: one for all frames, or one for each, with the button that changes it.
function writeSwitch(view, box) {
  const line = element("span", "scope", box);
  element("span", "", line);
  const button = element("button", "", line);
  button.type = "button";
  button.onclick = () => {
    view.byFrame = !view.byFrame;
    view.images.clear();
    writeFrameScale(view);
    paintBase(view);
    paintOver(view);
  };
}

// Write which scale a film has now, and its ends; beyond them a cell has a dot.
function writeFrameScale(view) {
  const { grid } = view.header;
  const line = view.foot.querySelector(".scope:has(button)");
  if (!line || view.frame === null) return;
  const [words, button] = line.children;
  const which = view.byFrame ? 1 : 0;
  words.textContent = grid.scopes[which];
  button.textContent = grid.scopes[3 - which];
  const high = Number(highOf(view, view.frame, 0).toPrecision(3));
  const ends = [`≤ −${high}`, "0", `≥ +${high}`];
  line.parentElement.querySelectorAll(".ticks span").forEach((tick, place) => (tick.textContent = ends[place]));
}

// The words under the picture, which may be those of the shown token.
const noteOf = (view) => view.header.token_notes?.[shownToken(view)] ?? view.header.note;

function writeNote(view) {
  const box = view.foot.querySelector(".note");
  if (box && view.header.token_notes?.length) box.textContent = noteOf(view);
}

function writeSwatches(box, swatches) {
  const row = element("div", "swatches", box);
  for (const [color, text] of swatches) {
    const item = element("span", "", row);
    element("i", "", item).style.background = color;
    item.append(text);
  }
}

// One scale for one ramp, or for several of the same range under each other.
function writeRamp(box, ramps, ticks) {
  const scale = element("div", "scale", box);
  scale.classList.toggle("several", ramps.length > 1);
  for (const ramp of ramps) {
    const stops = [];
    for (let i = 0; i <= 16; i++) stops.push("#" + ramp.substr(Math.round((i / 16) * 255) * 6, 6));
    element("div", "ramp", scale).style.background = `linear-gradient(to right, ${stops.join(",")})`;
  }
  const row = element("div", "ticks", scale);
  for (const [at, label] of ticks) {
    const tick = element("span", at <= 0.02 ? "first" : at >= 0.98 ? "last" : "", row);
    tick.style.left = `${at * 100}%`;
    tick.textContent = label;
  }
}
