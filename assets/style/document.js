// Keep what Streamlit leaves alone in step with the app: language and page of the document, the colour scheme outside the
// app's own element (popovers live beside it), the words of the menu of figures, and the visitor's choices in the address.
//
// History gets one entry for each deliberate choice: a text, a layer, a head, a language. Back then undoes it: Streamlit
// runs the script with the address of that time, and the session reads it (pages/shared/state/session.py). What follows
// the pointer, as the chosen token, changes the entry that is there.

const FLEETING = ["token"];
const ABSENT = ["text", "other", "token", "model"]; // leave the address when the visitor returns to the default
const BOX = '[class*="st-key-box-"] textarea';
const FRAME = '[class*="st-key-box-"]';
const EXAMPLE = '[class*="st-key-chips-"] .stButton button';
const CHOSEN_EXAMPLE = '[data-testid="stBaseButton-primary"]';
const DROP = '[data-testid="stFileUploaderDropzone"][role="presentation"]';
const CHOSEN_PAGE = '[data-testid="stSidebarNavLink"]';
const CLOSE = '[data-testid="stSidebarCollapseButton"] button';
const PHONE = window.matchMedia("(max-width: 767px)"); // as in touch.css
const NOT_SENT_MS = 500; // by then the script runs, or there was nothing to send
let last = null; // {page, query} of the run before

export default function ({ data, setTriggerValue }) {
  const root = document.documentElement;
  // A browser finds the style of the whole document anew when its language is set, also to the same one.
  if (root.lang !== data.lang) root.lang = data.lang;
  if (root.dataset.page !== data.page) root.dataset.page = data.page;

  const app = document.querySelector('[data-testid="stApp"]');
  const mode = app ? getComputedStyle(app).colorScheme : "";
  if (mode && root.dataset.mode !== mode) {
    if (root.dataset.mode) setTriggerValue("mode", mode);
    root.dataset.mode = mode;
    root.style.colorScheme = mode;
  }

  window.contextscope ??= {};
  const early = !window.contextscope.words; // a menu may have been opened before
  window.contextscope.words = data.words; // of the menu of figures, assets/scripts/figure_menu.js
  if (early) window.dispatchEvent(new Event("contextscope:words"));
  watchTexts(app);
  if (typed) count(typed); // the script wrote the count of the text before
  for (const chip of document.querySelectorAll(EXAMPLE)) {
    const chosen = String(chip.matches(CHOSEN_EXAMPLE));
    if (chip.ariaPressed !== chosen) chip.ariaPressed = chosen;
  }
  // Streamlit names this place and says that it is none.
  for (const place of document.querySelectorAll(DROP)) place.role = "group";
  seek();
  if (data.pointed) point(...data.pointed);

  const url = new URL(window.location.href);
  for (const name of ABSENT) if (!(name in data.query)) url.searchParams.delete(name);
  for (const [name, value] of Object.entries(data.query)) url.searchParams.set(name, value);
  const chosen = last && last.page === data.page && !data.restored && deliberate(last.query) !== deliberate(data.query);
  last = { page: data.page, query: data.query };
  if (url.href === window.location.href) return;
  if (chosen) window.history.pushState({}, "", url);
  else window.history.replaceState(window.history.state, "", url);
}

// An address may name a figure (#head_mosaic): show it when it is there, and again while places above it change their
// height, until the visitor moves. A section under the hood that hides it is opened.
const SEEK_MS = 20_000;
const MOVES = ["wheel", "touchstart", "pointerdown", "keydown"];
let sought = window.location.hash.slice(1);

function seek() {
  if (!sought) return;
  const name = sought;
  sought = "";
  let shown = null; // where its title was left
  let opened = false; // whether the section that hides it was asked for
  const timer = setInterval(() => {
    const title = document.getElementById(name);
    if (!title && !opened) opened = unfold(name);
    if (!title || title.getBoundingClientRect().top === shown) return;
    title.scrollIntoView({ block: "start" });
    shown = title.getBoundingClientRect().top;
  }, 100);
  const stop = () => clearInterval(timer);
  for (const move of MOVES) window.addEventListener(move, stop, { once: true, passive: true });
  setTimeout(stop, SEEK_MS);
}

// Open the section under the hood that holds a figure; whether one is there.
function unfold(name) {
  const section = [...document.querySelectorAll("[class*='-hood-']")].find((one) => [...one.classList].some((it) => it.endsWith(`-hood-${name}`)));
  const closed = section?.querySelector("details:not([open]) > summary");
  closed?.click();
  return Boolean(closed);
}

function deliberate(query) {
  return JSON.stringify(Object.entries(query).filter(([name]) => !FLEETING.includes(name)).sort());
}

// Mark the document while a new text is read: from Enter, from leaving the box, or from the click on an example, until the
// script has run. progress.css draws it.
let watched = null; // the app's element whose state is observed

function watchTexts(app) {
  if (!app || app === watched) return;
  watched = app;
  const root = document.documentElement;
  const running = () => ["running", "rerunRequested"].includes(app.dataset.testScriptState);
  new MutationObserver(() => running() || delete root.dataset.reading).observe(app, { attributeFilter: ["data-test-script-state"] });
  const sent = () => {
    typed = null;
    root.dataset.reading = "";
    setTimeout(() => running() || delete root.dataset.reading, NOT_SENT_MS);
  };
  let before = "";
  app.addEventListener("focusin", ({ target }) => target.matches(BOX) && (before = target.value));
  app.addEventListener("focusout", ({ target }) => target.matches(BOX) && target.value !== before && sent());
  app.addEventListener("keydown", (event) => {
    const { target } = event;
    if (!reads(event) || !target.matches(BOX)) return;
    event.preventDefault();
    event.stopPropagation();
    target.closest(FRAME).dataset.rest = "";
    target.scrollTop = 0;
    // Streamlit takes over a text area at Ctrl+Enter, and leaves the focus where it is.
    target.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", ctrlKey: true, bubbles: true, cancelable: true }));
    if (target.value !== before) sent();
    before = target.value;
  }, true);
  for (const name of ["focusin", "pointerdown", "input", "keydown"]) {
    app.addEventListener(name, (event) => {
      if (event.target.matches?.(BOX) && event.key !== "Enter" && event.key !== "Tab") delete event.target.closest(FRAME).dataset.rest;
    });
  }
  app.addEventListener("input", ({ target }) => target.matches(BOX) && count(target));
  app.addEventListener("click", ({ target }) => {
    if (target.closest(EXAMPLE)) sent();
    // On a phone the list of pages lies over the page: it closes once one is chosen.
    if (PHONE.matches && target.closest(CHOSEN_PAGE)) setTimeout(() => app.querySelector(CLOSE)?.click());
  });
}

// Enter reads the text; with Shift it begins a line, and during composition it belongs to the input method.
function reads({ key, shiftKey, ctrlKey, metaKey, altKey, isComposing, keyCode }) {
  return key === "Enter" && !shiftKey && !ctrlKey && !metaKey && !altKey && !isComposing && keyCode !== 229;
}

// Count the tokens of the text that is typed, by the tokenizer of the model that will read it, when the hand rests.
const RESTS_MS = 300;
let counted = 0; // how many times was asked; only the latest answer is shown
let resting = null;
let typed = null; // the box with a text that is not read yet

function count(box) {
  const place = () => box.closest(FRAME)?.querySelector(".cs-count"); // another element after each run of the script
  if (!place()) return;
  typed = box;
  place().dataset.stale = "";
  clearTimeout(resting);
  resting = setTimeout(async () => {
    const turn = ++counted;
    const models = place()?.dataset.models;
    if (!models) return; // the page has been left meanwhile
    const base = window.__streamlit?.BACKEND_BASE_URL ?? document.baseURI;
    const body = JSON.stringify({ text: box.value, models: models.split(" ") });
    const answer = await fetch(new URL("api/tokens", base), { method: "POST", headers: { "content-type": "application/json" }, body }).catch(() => null);
    if (turn !== counted || !answer?.ok) return; // what is not known stays marked as old
    const { tokens, limit } = await answer.json();
    const shown = place();
    if (!shown) return;
    shown.querySelector("b").textContent = tokens.toLocaleString(document.documentElement.lang);
    shown.classList.toggle("cs-over", tokens > limit);
    delete shown.dataset.stale;
  }, RESTS_MS);
}

// Show what the server points at: scroll to it when it is there, outline its card for a moment, and give it the focus, so
// that the keyboard goes on from there. turn: another number for each time that it points.
const PATIENCE_MS = 8000; // a figure under the hood is computed first
const OUTLINED_MS = 2500;
let turned = 0;

function point(anchor, turn) {
  if (turn === turned) return;
  turned = turn;
  const until = performance.now() + PATIENCE_MS;
  const look = () => {
    if (turn !== turned) return;
    const name = CSS.escape(anchor);
    const title = document.querySelector(`.cs-title#${name}`) ?? document.querySelector(`#${name}`);
    if (title) outline(title.closest('[class*="st-key-card-"], [class*="st-key-cost-"]') ?? title);
    else if (performance.now() < until) setTimeout(look, 100);
  };
  look();
}

function outline(block) {
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  block.tabIndex = -1;
  block.focus({ preventScroll: true });
  block.scrollIntoView({ behavior: still ? "auto" : "smooth", block: "start" });
  block.dataset.pointed = "";
  setTimeout(() => delete block.dataset.pointed, OUTLINED_MS);
}
