// The frames of a film: which one is shown, the button and the slider.

function buildPlayer(view) {
  const button = element("button", "", view.player);
  button.type = "button";
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 14 14");
  svg.setAttribute("aria-hidden", "true");
  const icon = document.createElementNS("http://www.w3.org/2000/svg", "path");
  svg.append(icon);
  button.append(svg);
  const slider = element("input", "", view.player);
  slider.type = "range";
  slider.min = 0;
  button.onclick = () => (view.timer ? stop(view) : play(view));
  slider.oninput = () => {
    stop(view);
    setFrame(view, Number(slider.value));
  };
  view.controls = { button, icon, slider, output: element("output", "", view.player) };
}

// Choose the frame to show of new data: the selected token's when the selection moved, else the one shown before.
function keepFrame(view, before) {
  const { grid, strip, id } = view.header;
  const frames = grid && grid.mode === "frames" ? grid.count : 0;
  view.player.hidden = frames < 2;
  if (!frames) {
    stop(view);
    view.frame = null;
    return;
  }
  const asked = strip && strip.selected !== null ? frameOf(view, strip.selected) : frames - 1;
  const moved = !before || before.id !== id || before.strip?.selected !== strip?.selected;
  view.frame = Math.min(moved || view.frame === null ? asked : view.frame, frames - 1);
  view.controls.slider.max = frames - 1;
  writePlayer(view);
}

const frameOf = (view, token) => Math.floor(token / view.header.grid.frame_pool);

// The token after which the shown frame was taken; null for other pictures.
const frameToken = (view) => (view.frame === null ? null : view.frame * view.header.grid.frame_pool);

function writePlayer(view) {
  const { words, strip } = view.header;
  const { button, icon, slider, output } = view.controls;
  if (view.frame === null) return;
  slider.value = view.frame;
  const token = frameToken(view);
  output.textContent = fill(words.frame || "{index}", { index: token, label: strip ? strip.labels[token] : "" });
  slider.setAttribute("aria-valuetext", output.textContent);
  slider.setAttribute("aria-label", words.time || "");
  button.setAttribute("aria-label", view.timer ? words.pause : words.play);
  button.title = view.timer ? words.pause : words.play;
  icon.setAttribute("d", view.timer ? "M3 2h3v10H3z M8 2h3v10H8z" : "M3.5 1.5 12 7l-8.5 5.5z");
}

function setFrame(view, frame) {
  if (frame === view.frame) return;
  view.frame = frame;
  view.images.clear();
  writePlayer(view);
  paintBase(view);
  paintOver(view);
}

function play(view) {
  const last = view.header.grid.count - 1;
  if (view.frame >= last) setFrame(view, 0);
  const pace = Math.max(60, Math.min(320, 9000 / (last + 1)));
  view.timer = setInterval(() => {
    if (view.frame >= last) stop(view);
    else setFrame(view, view.frame + 1);
  }, pace);
  writePlayer(view);
}

function stop(view) {
  if (!view.timer) return;
  clearInterval(view.timer);
  view.timer = 0;
  if (view.header) writePlayer(view);
}
