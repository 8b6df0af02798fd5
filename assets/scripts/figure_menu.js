// The menu of every figure card: full screen, definition, pictures, numbers, link. Pages draw two buttons per card
// (pages/shared/figure_menu.py); this script listens for both of all cards, makes one menu, and fills it for the card
// whose button was pressed. The words come with the document (assets/style/document.js, window.contextscope.words).

import { able, enter, leave, shown } from "./full_screen.js";

const CARD = '[class*="st-key-card-"]';
const EXTENSIONS = { png: "PNG", svg: "SVG", csv: "CSV", npz: "NPZ" };
const GAP = 6; // pixels between the button and the menu, and between the menu and the window
const NOTE_MS = 6000;

const words = () => window.contextscope?.words ?? {};
let menu = null;
let owner = null; // the button whose menu it is

if (able) document.documentElement.dataset.fullScreen = "able";

document.addEventListener("click", pressed, true); // before the button does its own work, which is to open the menu
window.addEventListener("contextscope:words", refill);
addEventListener("keydown", ({ key }) => key === "Tab" && document.querySelector(".js-plotly-plot") && import("./plot_keys.js"), true);
document.addEventListener("fullscreenchange", () => menu?.matches(":popover-open") && menu.hidePopover());

function pressed(event) {
  const button = event.target.closest?.(".cs-menu, .cs-full");
  if (!button) return;
  const card = button.closest(CARD);
  if (button.matches(".cs-full")) toggleFull(card, button);
  else {
    menu ??= make();
    const open = () => menu.matches(":popover-open");
    if (open() && owner !== button) { // left open by the press of a button that has opened it before
      owner?.setAttribute("aria-expanded", "false");
      menu.hidePopover();
    }
    if (!open()) {
      fill(button, card);
      if (menu.parentElement !== home(card)) home(card).append(menu); // to move an open menu would close it
    }
    button.popoverTargetElement = menu;
    button.popoverTargetAction = "toggle";
  }
}

function make() {
  const made = document.createElement("div");
  made.id = "cs-figure-menu";
  made.popover = "auto";
  const gone = new MutationObserver(() => owner?.isConnected || close()); // a run of the page may take the card away
  made.addEventListener("toggle", ({ newState }) => {
    const open = newState === "open";
    if (open) gone.observe(document.body, { childList: true, subtree: true });
    else gone.disconnect();
    owner?.setAttribute("aria-expanded", String(open));
    for (const event of ["scroll", "resize"]) window[open ? "addEventListener" : "removeEventListener"](event, place, true);
    if (!open) return;
    place();
    made.querySelector("button, input")?.focus({ preventScroll: true });
  });
  made.addEventListener("keydown", walk);
  return made;
}

// What is not within a card on the whole screen cannot be reached.
const home = (card) => (shown(card) ? card : document.body);

// The entries of a card, in the order in which they are wanted: to look, to understand, to take along, to lead here.
function fill(button, card) {
  owner = button;
  const told = words();
  const definition = card.querySelector('[class*="st-key-definition-"] details > summary');
  const groups = [
    [able && [shown(card) ? told.leave : told.full, () => toggleFull(card, button)], definition && [told.definition, () => define(definition)]],
    (solid(card) ? ["png"] : ["png", "svg"]).map((kind) => [told[kind], () => picture(card, button, kind), EXTENSIONS[kind]]),
    ["csv", "npz"].map((kind) => [told[kind], () => numbers(card, kind), EXTENSIONS[kind]]),
    [[told.link, () => link(button)]],
  ];
  menu.className = "";
  menu.setAttribute("role", "menu");
  menu.setAttribute("aria-label", told.menu);
  menu.replaceChildren(
    ...groups.map((group) => {
      const box = put("div", "cs-group");
      box.setAttribute("role", "group");
      box.append(...group.filter(Boolean).map(([text, act, kind]) => entry(text, act, kind)));
      return box;
    }),
  );
}

// Write the menu again that was opened before its words had come.
function refill() {
  const card = owner?.closest(CARD);
  if (!card || !menu.matches(":popover-open") || menu.getAttribute("role") !== "menu") return;
  fill(owner, card);
  place();
  menu.querySelector("button").focus({ preventScroll: true });
}

function entry(text, act, kind) {
  const item = put("button", "", text);
  item.type = "button";
  item.setAttribute("role", "menuitem");
  item.tabIndex = -1;
  if (kind) {
    item.dataset.kind = kind.toLowerCase();
    item.append(put("span", "cs-kind", kind));
  }
  item.onclick = () => (owner?.isConnected ? act() : close());
  return item;
}

function put(tag, name = "", text = "") {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text) made.textContent = text; // text is never read as markup
  return made;
}

// Beside its button: below where there is room, else above, within the window.
function place() {
  if (!owner?.isConnected) return menu.hidePopover();
  const box = owner.getBoundingClientRect();
  const { width, height } = menu.getBoundingClientRect();
  const zoom = menu.currentCSSZoom ?? 1;
  const below = box.bottom + GAP + height <= innerHeight - GAP || box.top < height + 2 * GAP;
  menu.style.left = `${Math.max(GAP, Math.min(innerWidth - width - GAP, box.right - width)) / zoom}px`;
  menu.style.top = `${Math.max(GAP, Math.min(innerHeight - height - GAP, below ? box.bottom + GAP : box.top - GAP - height)) / zoom}px`;
}

function walk(event) {
  const items = [...menu.querySelectorAll('[role="menuitem"]')];
  if (!items.length) return;
  const at = items.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
  if (to === undefined) return event.key === "Tab" && menu.hidePopover();
  event.preventDefault();
  items.at(to % items.length).focus();
}

// ---- what the entries do

function toggleFull(card, button) {
  close();
  (shown(card) ? leave() : enter(card)).catch((error) => failed(error, words().no_full));
  button.focus({ preventScroll: true });
}

// Streamlit's own summary opens the definition below the figure; the server writes it then.
function define(summary) {
  close();
  const opens = !summary.parentElement.open;
  summary.click();
  if (opens) requestAnimationFrame(() => requestAnimationFrame(() => summary.focus({ focusVisible: true })));
}

// The two buttons that Streamlit keeps for downloads of this card are not on screen.
function numbers(card, kind) {
  close();
  card.querySelector(`[class*="st-key-files-"] [class$="-${kind}"] button, [class*="st-key-files-"] [class*="-${kind} "] button`)?.click();
}

// The button by which plotly saves a figure in space, which is drawn by WebGL and can be read by nobody else.
const solid = (card) => card.querySelector(".js-plotly-plot .gl-container canvas") && card.querySelector(".js-plotly-plot .modebar-btn");

async function picture(card, button, kind) {
  close();
  if (solid(card)) return solid(card).click();
  try {
    const { takePicture } = await import("./picture.js");
    const blob = await takePicture(card, kind, { source: button.dataset.source ?? "", mark: words().mark ?? "" });
    const address = URL.createObjectURL(blob);
    const anchor = Object.assign(put("a"), { href: address, download: `${button.dataset.figure}.${kind}` });
    anchor.click();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
  } catch (error) {
    failed(error);
  }
}

// The address in the window says every choice; language and figure come along.
function link(button) {
  const told = words();
  const address = new URL(location.href);
  address.searchParams.set("lang", document.documentElement.lang);
  address.hash = button.dataset.figure;
  const field = Object.assign(put("input"), { type: "text", readOnly: true, value: address.href });
  field.setAttribute("aria-label", told.link);
  const copied = put("p", "cs-copied");
  copied.setAttribute("role", "status");
  menu.setAttribute("role", "dialog");
  menu.setAttribute("aria-label", told.link);
  menu.className = "cs-address";
  menu.replaceChildren(put("p", "", told.link_text), field, copied);
  place();
  field.focus({ preventScroll: true });
  field.select();
  navigator.clipboard?.writeText(address.href).then(() => (copied.textContent = told.copied), () => {}); // else it is selected
}

function close() {
  if (menu?.matches(":popover-open")) menu.hidePopover();
}

function failed(error, text = words().failed) {
  console.error(error);
  const note = Object.assign(put("div", "cs-note", text), { popover: "manual" });
  note.setAttribute("role", "alert");
  (document.fullscreenElement ?? document.body).append(note);
  note.showPopover();
  setTimeout(() => note.remove(), NOTE_MS);
}
