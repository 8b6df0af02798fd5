// The row of buttons that moves the time: back, play, on, speed, and a slider.

const PICTURES = {
  back: "M9 2 4 7l5 5z M3 2h1.5v10H3z",
  play: "M3.5 1.5 12 7l-8.5 5.5z",
  pause: "M3 2h3v10H3z M8 2h3v10H8z",
  on: "M5 2l5 5-5 5z M9.5 2H11v10H9.5z",
};

function buildPlayer(view, parent) {
  const row = element("div", "player", parent);
  const button = (name) => {
    const made = element("button", name, row);
    made.type = "button";
    return { made, path: drawIcon(made, PICTURES[name]) };
  };
  const [back, play, on] = ["back", "play", "on"].map(button);
  const speed = element("button", "speed", row);
  speed.type = "button";
  const slider = element("input", "", row);
  const output = element("output", "", row);
  Object.assign(slider, { type: "range", min: 0 });
  back.made.onclick = () => go(view, view.step - 1);
  on.made.onclick = () => go(view, view.step + 1);
  play.made.onclick = () => toggle(view);
  speed.onclick = () => {
    view.speed = SPEEDS[(SPEEDS.indexOf(view.speed) + 1) % SPEEDS.length];
    writePlayer(view);
  };
  slider.oninput = () => go(view, Number(slider.value));
  view.controls = { back: back.made, play: play.made, path: play.path, on: on.made, speed, slider, output };
}

function writePlayer(view) {
  const { words, written } = view.header;
  const { back, play, path, on, speed, slider, output } = view.controls;
  const named = (node, text) => {
    node.title = text;
    node.setAttribute("aria-label", text);
  };
  named(back, words.back);
  named(on, words.on);
  named(play, view.playing ? words.pause : words.play);
  path.setAttribute("d", PICTURES[view.playing ? "pause" : "play"]);
  speed.textContent = `${view.speed === 0.5 ? "½" : view.speed}×`;
  named(speed, `${words.speed} ${view.speed}×`);
  slider.max = lastStep(view);
  slider.value = view.step;
  named(slider, words.time);
  output.textContent = fill(words.at, { step: view.step + 1, count: written.length, word: written[view.step] });
  slider.setAttribute("aria-valuetext", output.textContent);
}
