// Tell the server that the first figure of a page is drawn, so that it sends the rest (pages/shared/first_screen.py).
const told = new Set();
const LONGEST_MS = 1500; // then the server goes on by itself
const DRAWN = '[class*="st-key-shape-"] > .stElementContainer[style*="height: auto"], [class*="st-key-slot-"] :is(.vega-embed > :is(svg, canvas), .main-svg)';

export default function ({ data: visit, parentElement }) {
  if (!visit || told.has(visit)) return;
  told.add(visit);
  const card = (parentElement.getRootNode().host ?? parentElement).closest('[class*="st-key-card-"]');
  const until = performance.now() + LONGEST_MS;
  const tell = () => {
    const address = new URL("api/drawn", window.__streamlit?.BACKEND_BASE_URL ?? document.baseURI);
    fetch(`${address}?visit=${visit}`, { method: "POST" }).catch(() => {});
  };
  const look = () => {
    const waits = card?.isConnected && performance.now() < until && !card.querySelector(DRAWN);
    requestAnimationFrame(waits ? look : tell);
  };
  if (document.hidden) tell(); // nothing is drawn there
  else requestAnimationFrame(look);
}
