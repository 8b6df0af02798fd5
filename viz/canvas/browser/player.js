// The frames of a film: which one is shown, the button and the slider. The time is that of the store.

function buildPlayer(view) {
  const button = element("button", "", view.player);
  button.type = "button";
  const icon = drawIcon(button, "");
  const slider = element("input", "", view.player);
  slider.type = "range";
  slider.min = 0;
  button.onclick = () => (said(view).playing ? stop(view) : play(view));
  slider.oninput = () => {
    stop(view);
    view.store.set({ frame: tokenOf(view, Number(slider.value)) }, view.header.id);
  };
  view.controls = { button, icon, slider, output: element("output", "", view.player) };
}

// The frame to show: the time's, else the chosen token's, else the last.
function placeFrame(view) {
  const { grid, strip } = view.header;
  const frames = grid && grid.mode === "frames" ? grid.count : 0;
  view.player.hidden = frames < 2 || strip?.role === "columns"; // there the tokens above are the frames
  if (!frames) {
    view.frame = null;
    return;
  }
  const asked = strip ? shownToken(view) : said(view).frame ?? said(view).token;
  view.frame = asked === null ? frames - 1 : Math.max(0, Math.min(frameOf(view, asked), frames - 1));
  view.controls.slider.max = frames - 1;
}

const frameOf = (view, token) => Math.floor(token / view.header.grid.frame_pool);
const tokenOf = (view, frame) => frame * view.header.grid.frame_pool;

// The token after which the shown frame was taken; null for other pictures.
const frameToken = (view) => (view.frame === null ? null : tokenOf(view, view.frame));

function writePlayer(view) {
  const { words, strip } = view.header;
  const { button, icon, slider, output } = view.controls;
  if (view.frame === null) return;
  slider.value = view.frame;
  const token = frameToken(view);
  const { playing } = said(view);
  output.textContent = fill(words.frame || "{index}", { index: token, label: strip ? strip.labels[token] : "" });
  slider.setAttribute("aria-valuetext", output.textContent);
  slider.setAttribute("aria-label", words.time || "");
  button.setAttribute("aria-label", playing ? words.pause : words.play);
  button.title = playing ? words.pause : words.play;
  icon.setAttribute("d", playing ? "M3 2h3v10H3z M8 2h3v10H8z" : "M3.5 1.5 12 7l-8.5 5.5z");
}

function play(view) {
  const { grid, id } = view.header;
  playTime(view.store, tokenOf(view, grid.count - 1) + 1, grid.frame_pool, id);
}

const stop = (view) => view.store?.set({ playing: false }, view.header?.id);
