// Figures of plotly by keys: Tab reaches the plot and its buttons, arrows walk over the lengths and read all lines
// there, Enter presses a button. Plotly makes none of them reachable itself. Fetched with the first Tab (figure_menu.js).

const PLOT = ".js-plotly-plot";
const BUTTON = ".updatemenu-button";
const READ = ".nsewdrag[data-subplot='xy']";

let heard = null; // where screen readers hear what is read

addEventListener("keydown", ({ key }) => key === "Tab" && offer(), true);
addEventListener("keydown", press);
offer();

function offer() {
  for (const button of document.querySelectorAll(`${PLOT} ${BUTTON}`)) reachable(button, "button", button.textContent);
  for (const field of document.querySelectorAll(`${PLOT} ${READ}`)) if (field.closest(PLOT).data?.some((one) => one.meta === "line")) reachable(field, "application", field.closest("[role='figure']")?.ariaLabel ?? "");
}

function reachable(element, role, label) {
  element.setAttribute("tabindex", "0");
  element.setAttribute("role", role);
  element.setAttribute("aria-label", label);
}

function press(event) {
  const { target, key } = event;
  const plot = target.closest?.(PLOT);
  if (!plot) return;
  if (target.matches(BUTTON) && (key === "Enter" || key === " ")) {
    event.preventDefault();
    const place = [...plot.querySelectorAll(BUTTON)].indexOf(target);
    target.dispatchEvent(new MouseEvent("click", { bubbles: true }));
    setTimeout(() => { offer(); plot.querySelectorAll(BUTTON)[place]?.focus(); }, 300); // the buttons are new ones
  } else if (target.matches(READ) && (key === "ArrowLeft" || key === "ArrowRight")) {
    event.preventDefault();
    read(plot, target, key === "ArrowRight" ? 1 : -1);
  }
}

// Put the pointer over the next length, where plotly writes what stands there.
function read(plot, field, step) {
  const { xaxis, yaxis } = plot._fullLayout;
  const lengths = [...new Set(plot.data.filter((one) => one.meta === "line" || one.meta === "missing").flatMap((one) => one.x))];
  const seen = lengths.filter((x) => x !== null && xaxis.d2p(x) >= 0 && xaxis.d2p(x) <= xaxis._length).sort((a, b) => a - b);
  if (!seen.length) return;
  const at = Math.max(0, Math.min(seen.length - 1, Number(field.dataset.at ?? (step > 0 ? -1 : seen.length)) + step));
  field.dataset.at = at;
  const box = plot.getBoundingClientRect();
  const zoom = plot.currentCSSZoom ?? 1;
  const where = { clientX: box.left + zoom * (xaxis._offset + xaxis.d2p(seen[at])), clientY: box.top + zoom * (yaxis._offset + yaxis._length / 2), bubbles: true };
  for (const kind of ["mouseover", "mousemove"]) field.dispatchEvent(new MouseEvent(kind, where));
  setTimeout(() => say([...plot.querySelectorAll(".hoverlayer text")].map((one) => one.textContent).join("; ")), 150);
}

function say(words) {
  heard ??= document.body.appendChild(Object.assign(document.createElement("div"), { className: "cs-heard", ariaLive: "polite" }));
  heard.textContent = words;
}
