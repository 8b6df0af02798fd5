// Tell the server that the first figure of a page is drawn, so that it sends the rest (pages/shared/first_screen.py).
const told = new Set();
const DRAWN = '[class*="st-key-shape-"] > .stElementContainer[style*="height: auto"], [class*="st-key-slot-"] .vega-embed > :is(svg, canvas)';

export default function ({ data: visit, parentElement }) {
  if (!visit || told.has(visit)) return;
  told.add(visit);
  const card = (parentElement.getRootNode().host ?? parentElement).closest('[class*="st-key-card-"]');
  const look = () => {
    if (!document.hidden && card?.isConnected && !card.querySelector(DRAWN)) return requestAnimationFrame(look);
    const address = new URL("api/drawn", window.__streamlit?.BACKEND_BASE_URL ?? document.baseURI);
    requestAnimationFrame(() => fetch(`${address}?visit=${visit}`, { method: "POST" }).catch(() => {}));
  };
  requestAnimationFrame(look);
}
