// Pointer and keyboard: hover a word previews it, a click pins it, arrow keys move in time, space plays.

function listen(view) {
  const { text } = view;
  const at = (event) => {
    const node = event.target.closest?.(".token");
    return node ? Number(node.dataset.token) : null;
  };
  text.onpointerover = (event) => {
    if (event.pointerType === "touch" || view.store.get().playing) return;
    const token = at(event);
    if (token !== null) view.store.set({ hover: token }, SOURCE);
  };
  text.onpointerleave = () => view.store.set({ hover: null }, SOURCE);
  text.onclick = (event) => {
    const token = at(event);
    if (token !== null) pin(view, token);
  };
  text.onkeydown = (event) => key(view, event);
}

function key(view, event) {
  const to = { ArrowLeft: view.shown - 1, ArrowRight: view.shown + 1, Home: 0, End: lastToken(view) }[event.key];
  if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (to !== undefined) go(view, to);
  else if (event.key === " ") toggle(view);
  else if (event.key === "Enter") pin(view, view.shown);
  else if (event.key === "Escape") {
    stop(view);
    view.store.set({ token: null, span: null, hover: null, frame: null }, SOURCE);
  } else return;
  event.preventDefault();
}

// Say the token, and what each model expected there.
function speak(view) {
  const { words, labels } = view.header;
  const told = view.lanes.map(({ lane }) => {
    const found = guessOf(view, lane, view.shown);
    return found ? fill(words.heard_guess, { name: lane.name, label: plain(found.labels[0]), p: percent(found.probs[0]) }) : "";
  });
  view.heard.textContent = fill(words.heard, { label: plain(labels[view.shown]), guesses: told.filter(Boolean).join(", ") });
}
