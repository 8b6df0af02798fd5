// Pointer and keyboard over the written words: hover previews a step, a click keeps it, arrows move, space plays.

function listen(view) {
  const { list } = view;
  const at = (event) => {
    const row = event.target.closest?.("[data-step]");
    return row ? Number(row.dataset.step) : null;
  };
  list.onpointerover = (event) => {
    if (event.pointerType === "touch" || view.store.get().playing) return;
    const step = at(event);
    if (step !== null) view.store.set({ hover: step }, SOURCE);
  };
  list.onpointerleave = () => view.store.set({ hover: null }, SOURCE);
  list.onclick = (event) => {
    const step = at(event);
    if (step !== null) pin(view, step);
  };
  list.onkeydown = (event) => key(view, event);
}

function key(view, event) {
  if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const { step } = view;
  const to = { ArrowLeft: step - 1, ArrowUp: step - 1, ArrowRight: step + 1, ArrowDown: step + 1, Home: 0, End: lastStep(view) }[event.key];
  if (to !== undefined) go(view, to);
  else if (event.key === " ") toggle(view);
  else if (event.key === "Enter") pin(view, step);
  else if (event.key === "Escape") {
    stop(view);
    view.store.set({ token: null, span: null, hover: null, frame: null }, SOURCE);
  } else return;
  event.preventDefault();
}
