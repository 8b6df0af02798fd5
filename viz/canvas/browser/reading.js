// The reading bar: the sentence as real text with the chosen word, and the time. Input: {page, reading, text, spans,
// labels, token, span, layer, head, layers, asks, words}; spans: the characters (code points) of every token, gaps
// closed. Output: trigger "step" -1 or 1 through the layers; trigger "token" where the server draws for the chosen token.
// The chosen token itself goes into the address, and into a field that the next run of the page reads; so do the names of
// the figures in sight. Trigger "near" [name]: figures that the server has not drawn again (data.late) come into sight.

const SOURCE = "reading";
const WAIT = 250; // ms of quiet before the address, or the server, hears of a token
const FIELDS = ".st-key-frame-told input"; // the chosen token, the figures in sight
const FIGURES = '.stMain [class*="st-key-part-"]';
const ICONS = {
  back: "M9 2 4 7l5 5z M3 2h1.5v10H3z",
  play: "M3.5 1.5 12 7l-8.5 5.5z",
  pause: "M3 2h3v10H3z M8 2h3v10H8z",
  on: "M5 2l5 5-5 5z M9.5 2H11v10H9.5z",
};

const bars = new WeakMap();

export default function ({ data, parentElement, setTriggerValue }) {
  let bar = bars.get(parentElement);
  if (!bar) {
    bar = build(parentElement.querySelector(".bar"));
    bars.set(parentElement, bar);
  }
  bar.tell = setTriggerValue;
  updateBar(bar, data);
  return () => {
    bar.close();
    bars.delete(parentElement);
  };
}

function build(root) {
  root.replaceChildren();
  const store = selectionStore();
  const bar = { root, store, data: null, words: [], timer: 0, tell: () => {} };
  const controls = add("div", "controls", root);
  bar.buttons = Object.fromEntries(["back", "play", "on"].map((name) => [name, button(controls, name)]));
  bar.time = add("span", "time", controls);
  bar.text = add("div", "text", root);
  bar.text.tabIndex = 0;
  bar.text.setAttribute("role", "listbox");
  bar.text.setAttribute("aria-orientation", "horizontal");
  bar.buttons.back.onclick = () => stepTime(bar, -1);
  bar.buttons.on.onclick = () => stepTime(bar, 1);
  bar.buttons.play.onclick = () => togglePlay(bar);
  bar.text.onpointerover = (event) => hoverWord(bar, event.target);
  bar.text.onpointerleave = () => hoverWord(bar, null);
  bar.text.onclick = (event) => {
    const word = wordUnder(bar, event.target);
    if (word) chooseWord(bar, word, true);
  };
  root.onkeydown = (event) => pressed(bar, event);
  const onDocument = (event) => {
    if (event.target === document.body && event.key.startsWith("Arrow")) pressed(bar, event);
  };
  document.addEventListener("keydown", onDocument);
  const off = store.on(({ changed }) => showBar(bar, changed));
  const unwatch = watchSight(bar);
  const figures = new MutationObserver(() => {
    const { reading, token } = store.get();
    if (bar.data && reading === bar.data.reading) writeSaid(token, bar.data.labels);
  });
  figures.observe(document.querySelector(".stMain") ?? document.body, { childList: true, subtree: true });
  bar.close = () => {
    clearTimeout(bar.timer);
    unwatch();
    figures.disconnect();
    document.removeEventListener("keydown", onDocument);
    if (store.get().reading === bar.data?.reading) store.set({ hover: null, frame: null, playing: false }, SOURCE);
    off();
  };
  return bar;
}

// Take over what the server says; the words are written again only where they are others.
function updateBar(bar, data) {
  const before = bar.data;
  bar.data = data;
  if (!before || before.reading !== data.reading) writeWords(bar);
  bar.text.setAttribute("aria-label", `${data.words.words}. ${data.layers ? data.words.keys_layers : data.words.keys}`);
  bar.store.open(data, "server");
  askForLate(bar);
  showBar(bar, new Set(["token", "frame", "hover", "playing"]));
}

// The words of a text: each token, or all pieces of one character together, as {first, last, start, end}.
function wordsOf(spans) {
  const words = [];
  spans.forEach(([start, end], i) => {
    const last = words[words.length - 1];
    if (last && end > start && last.start === start && last.end === end) last.last = i;
    else words.push({ first: i, last: i, start, end });
  });
  return words;
}

function writeWords(bar) {
  const { text, spans, labels } = bar.data;
  const signs = Array.from(text);
  bar.text.replaceChildren();
  bar.words = wordsOf(spans);
  bar.words.forEach((word, i) => {
    const node = add("span", word.end > word.start ? "word" : "word empty", bar.text);
    node.id = `word-${i}`;
    node.setAttribute("role", "option");
    const text = signs.slice(word.start, word.end).join("");
    const ink = text.trimStart();
    if (ink) node.append(text.slice(0, text.length - ink.length)); // the space before a word is not marked with it
    add("span", "ink", node).textContent = ink || text;
    if (word.end <= word.start) node.dataset.label = labels[word.first]; // a start token covers no characters
    node.setAttribute("aria-label", labels[word.first]);
    word.node = node;
  });
  const rest = signs.slice(Math.max(0, ...spans.map(([, end]) => end))).join("");
  if (rest) bar.text.append(rest);
}

const wordUnder = (bar, node) => (node ? bar.words.find((one) => one.node.contains(node)) : undefined);

const wordAt = (bar, token) => (token === null ? undefined : bar.words.find(({ first, last }) => token >= first && token <= last));

function showBar(bar, changed) {
  const { data, store } = bar;
  const state = store.get();
  if (!data || state.reading !== data.reading) return;
  const shown = wordAt(bar, state.frame ?? state.token);
  const under = wordAt(bar, state.hover);
  for (const word of bar.words) {
    word.node.classList.toggle("chosen", word === shown);
    word.node.classList.toggle("under", word === under);
    word.node.setAttribute("aria-selected", String(word === shown));
  }
  if (shown) bar.text.setAttribute("aria-activedescendant", shown.node.id);
  else bar.text.removeAttribute("aria-activedescendant");
  if (shown && (changed.has("token") || changed.has("frame"))) keepInSight(bar.text, shown.node);
  const { play } = bar.buttons;
  const name = state.playing ? "pause" : "play";
  for (const [key, node] of Object.entries(bar.buttons)) label(node, data.words[key === "play" ? name : key]);
  play.querySelector("path").setAttribute("d", ICONS[name]);
  const at = state.frame ?? state.token;
  bar.time.textContent = at === null ? data.words.time.replace("{index}", "–") : data.words.time.replace("{index}", at + 1);
  bar.time.textContent = bar.time.textContent.replace("{count}", data.spans.length);
  if (changed.has("token") || changed.has("reading")) writeSaid(state.token, data.labels);
  if (changed.has("token") || changed.has("span") || changed.has("reading")) tell(bar);
}

// Scroll the text, and never the page, so that a word is in sight.
function keepInSight(box, node) {
  const top = node.offsetTop - box.offsetTop;
  if (top < box.scrollTop) box.scrollTop = top;
  else if (top + node.offsetHeight > box.scrollTop + box.clientHeight) box.scrollTop = top + node.offsetHeight - box.clientHeight;
}

// Leave the chosen token where the next run finds it; after a while write it into the address, and ask where asked for.
function tell(bar) {
  const { token, span, reading } = bar.store.get();
  const told = `${reading}:${token === null ? "" : token + (span ? `:${span[0]}-${span[1]}` : "")}`;
  if (bar.told === told || !leave(0, told)) return;
  const first = bar.told === undefined || !bar.told.startsWith(`${reading}:`);
  bar.told = told;
  clearTimeout(bar.timer);
  if (first && token === (bar.data.token ?? null)) return; // what the server has just said
  bar.timer = setTimeout(() => {
    const url = new URL(window.location.href);
    if (token === null) url.searchParams.delete("token");
    else url.searchParams.set("token", token);
    if (url.href !== window.location.href) window.history.replaceState(window.history.state, "", url);
    if (bar.data.asks) bar.tell("token", told);
  }, WAIT);
}

// Write into a field as a visitor would; false where it is not there yet.
function leave(place, text) {
  const field = document.querySelectorAll(FIELDS)[place];
  if (!field) return false;
  Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(field, text);
  field.dispatchEvent(new Event("input", { bubbles: true }));
  return true;
}

// Keep the server told which figures are in sight, and ask for those that it has to draw again.
function watchSight(bar) {
  const seen = new Set();
  const nameOf = (node) => [...node.classList].find((name) => name.startsWith("st-key-part-")).slice("st-key-".length);
  const sight = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) seen.add(nameOf(target));
      else seen.delete(nameOf(target));
    }
    say();
    askForLate(bar);
  }, { rootMargin: "120px" });
  let told = ""; // the field stands at the end of the page and comes later than the first figures
  const say = () => {
    const names = [...seen].sort().join(" ");
    if (names !== told && leave(1, names)) told = names;
  };
  const known = new Set();
  const scan = () => {
    bar.scan = 0;
    say();
    for (const node of known) {
      if (node.isConnected) continue;
      sight.unobserve(node);
      known.delete(node);
      seen.delete(nameOf(node));
    }
    for (const node of document.querySelectorAll(FIGURES)) {
      if (known.has(node)) continue;
      known.add(node);
      sight.observe(node);
    }
  };
  const changes = new MutationObserver(() => (bar.scan ||= setTimeout(scan, 200)));
  changes.observe(document.querySelector(".stMain") ?? document.body, { childList: true, subtree: true });
  scan();
  bar.seen = seen;
  return () => {
    clearTimeout(bar.scan);
    changes.disconnect();
    sight.disconnect();
    leave(1, "");
  };
}

function askForLate(bar) {
  const names = (bar.data?.late ?? []).filter((name) => bar.seen?.has(name));
  if (!names.length) return;
  bar.data.late = bar.data.late.filter((name) => !names.includes(name));
  bar.tell("near", names);
}

function chooseWord(bar, word, toggles) {
  const { token, frame } = bar.store.get();
  const again = toggles && frame === null && wordAt(bar, token) === word;
  const next = again ? { token: null, span: null } : { token: word.first, span: [word.start, word.end] };
  bar.store.set({ ...next, frame: null, playing: false }, SOURCE);
}

function hoverWord(bar, node) {
  const word = wordUnder(bar, node);
  bar.store.set({ hover: word ? word.first : null }, SOURCE);
}

// Move the time by a token; without a time it begins at the chosen token, or at an end of the text.
function stepTime(bar, step) {
  const { frame, token } = bar.store.get();
  const last = bar.data.spans.length - 1;
  const from = frame ?? token ?? (step > 0 ? -1 : last + 1);
  bar.store.set({ playing: false, frame: Math.max(0, Math.min(last, from + step)) }, SOURCE);
}

function togglePlay(bar) {
  if (bar.store.get().playing) bar.store.set({ playing: false }, SOURCE);
  else playTime(bar.store, bar.data.spans.length, 1, SOURCE);
}

function pressed(bar, event) {
  if (!bar.data || event.altKey || event.ctrlKey || event.metaKey) return;
  const side = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const inText = event.target === bar.text || event.target === document.body;
  if (side && event.shiftKey) {
    if (!bar.data.layers) return;
    bar.tell("step", side);
  } else if (side) walk(bar, side);
  else if (event.key === " " && inText) togglePlay(bar);
  else if (event.key === "Home" && inText) chooseWord(bar, bar.words[0]);
  else if (event.key === "End" && inText) chooseWord(bar, bar.words[bar.words.length - 1]);
  else if (event.key === "Escape") bar.store.set({ token: null, span: null, frame: null, playing: false }, SOURCE);
  else return;
  event.preventDefault();
}

// Choose the word before or after the shown one.
function walk(bar, side) {
  const { frame, token } = bar.store.get();
  const at = bar.words.indexOf(wordAt(bar, frame ?? token));
  const next = at < 0 ? (side > 0 ? 0 : bar.words.length - 1) : Math.max(0, Math.min(bar.words.length - 1, at + side));
  chooseWord(bar, bar.words[next]);
}

function add(tag, className, parent) {
  const node = document.createElement(tag);
  node.className = className;
  parent.append(node);
  return node;
}

function button(parent, name) {
  const node = add("button", name, parent);
  node.type = "button";
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 14 14");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  node.append(svg);
  return node;
}

function label(node, text) {
  node.title = text;
  node.setAttribute("aria-label", text);
}
