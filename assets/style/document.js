// Keep what Streamlit leaves alone in step with the app: <html lang>, the colour scheme outside the app's own element
// (popovers live beside it), and the visitor's choices in the address. History gets no new entry.

export default function ({ data, setTriggerValue }) {
  const root = document.documentElement;
  root.lang = data.lang;
  root.dataset.page = data.page;

  const app = document.querySelector('[data-testid="stApp"]');
  const mode = app ? getComputedStyle(app).colorScheme : "";
  if (mode) {
    if (root.dataset.mode && root.dataset.mode !== mode) setTriggerValue("mode", mode);
    root.dataset.mode = mode;
    root.style.colorScheme = mode;
  }

  const url = new URL(window.location.href);
  for (const name of ["text", "token", "model"]) if (!(name in data.query)) url.searchParams.delete(name);
  for (const [name, value] of Object.entries(data.query)) url.searchParams.set(name, value);
  if (url.href !== window.location.href) window.history.replaceState(window.history.state, "", url);
}
