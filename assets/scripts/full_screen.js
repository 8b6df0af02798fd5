// One card on the whole screen, magnified so that it is read from the last row of a hall. The card keeps its place on the
// page meanwhile. Pictures draw themselves anew: their room and the scale of their pixels change.

export const able = Boolean(document.fullscreenEnabled);
export const shown = (card) => document.fullscreenElement === card;

const MOST = 3; // times the size on the page
const REFERENCE = 1100; // pixels of width for each time that a card is magnified at least
const ENOUGH = 0.8; // of that, for what would not fit
const NARROWEST = 0.55; // of the room that a picture is narrowed to, so that its height fits
let kept = null; // {card, place, width, height, scroller, top} while a card is on the whole screen

export async function enter(card) {
  const { width, height } = card.getBoundingClientRect();
  const place = card.parentElement;
  const scroller = card.closest(".stMain") ?? document.scrollingElement;
  const top = scroller.scrollTop;
  place.style.minHeight = `${height}px`; // before the card goes: a shorter page would scroll
  try {
    await card.requestFullscreen();
  } catch (error) {
    place.style.minHeight = "";
    throw error;
  }
  kept = { card, place, width, height, scroller, top, turn: 0 };
  lifting.observe(document.body, { childList: true });
  lift();
  await fit();
}

export async function leave() {
  await document.exitFullscreen();
}

// What a badge opens stands beside the page, where Streamlit keeps all that it opens. Outside the card it would neither be
// seen nor take a click: it lies in the card meanwhile, above all else.
const OPENED = "stFloatingOverlayPortal";
const lifting = new MutationObserver(() => lift());

function lift() {
  const place = document.getElementById(OPENED);
  if (!place || !kept) return;
  if (place.parentElement !== kept.card) kept.card.append(place);
  place.popover = "manual";
  if (!place.matches(":popover-open")) place.showPopover();
}

function lower() {
  lifting.disconnect();
  const place = document.getElementById(OPENED);
  if (place?.matches(":popover-open")) place.hidePopover();
  place?.removeAttribute("popover");
  if (place) document.body.append(place);
}

document.addEventListener("fullscreenchange", () => {
  const tip = document.getElementById("vg-tooltip-element"); // Vega makes it once; outside the card it would not be seen
  if (tip) (document.fullscreenElement ?? document.body).append(tip);
  if (!kept || document.fullscreenElement === kept.card) return;
  const { card, place, scroller, top } = kept;
  kept = null;
  lower();
  delete card.dataset.full;
  setRoof(card, null);
  card.style.removeProperty("--cs-zoom");
  card.style.removeProperty("--cs-wide");
  place.style.minHeight = "";
  scroller.scrollTo({ top, behavior: "instant" });
  redraw();
});

window.addEventListener("resize", ({ isTrusted }) => isTrusted && kept && fit());

// Magnify the card as far as it fits as it was on the page, and at least as much as a hall needs. What then is too high is
// made to fit: a map by lower rows, tiles by a narrower card. What still is, as a hero that grows in height when it is
// narrowed, is magnified less, and scrolls in the end.
async function fit() {
  const { card, width, height } = kept;
  const turn = ++kept.turn;
  const current = () => turn === kept?.turn;
  const over = () => card.scrollHeight - card.clientHeight;
  const least = Math.max(1, Math.min(innerWidth, 1.6 * innerHeight) / REFERENCE);
  let zoom = Math.min(MOST, Math.max(least, Math.min(innerWidth / width, innerHeight / height)));
  for (let attempt = 0; attempt < 2; attempt++) {
    card.style.setProperty("--cs-zoom", zoom);
    card.style.removeProperty("--cs-wide");
    setRoof(card, null);
    card.dataset.full = "";
    await settled();
    for (const squeeze of [() => setRoof(card, over()), () => narrow(card, over, current)]) {
      if (!current() || over() <= 1) return;
      await squeeze();
      await settled();
    }
    if (!current() || over() <= 1) return;
    zoom = Math.max(1, ENOUGH * least, zoom * (card.clientHeight / card.scrollHeight));
  }
}

// Tell a picture of ours how high its drawing may be at most; null for as high as it wants to be.
function setRoof(card, over) {
  for (const host of card.querySelectorAll("*")) {
    const root = host.shadowRoot?.querySelector(".root");
    if (root) root.roof = over === null ? null : root.firstElementChild.clientHeight - over;
  }
}

async function narrow(card, over, current) {
  let share = 1;
  for (let step = 0; step < 3 && current() && over() > 1; step++) {
    const before = card.scrollHeight;
    const narrower = Math.max(NARROWEST, share * (card.clientHeight / before));
    if (narrower >= share) return;
    card.style.setProperty("--cs-wide", `${100 * narrower}%`);
    await settled();
    if (card.scrollHeight >= before) return card.style.setProperty("--cs-wide", `${100 * share}%`);
    share = narrower;
  }
}

// Pictures hear of another scale as of another window; two frames later they are drawn.
async function settled() {
  redraw();
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
}

const redraw = () => window.dispatchEvent(new Event("resize"));
