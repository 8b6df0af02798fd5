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
    if (legend.scope) element("span", "scope", box).textContent = legend.scope;
  }
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
