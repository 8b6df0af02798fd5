// Time that moves by itself, from token to token.

const PACE = { least: 60, most: 320, whole: 9000 }; // ms: of one step, and about as long for a whole text

// Let the time of a store run to the last of some tokens, in steps, until it is there or playing is set to false.
function playTime(store, count, step, source) {
  const { frame, playing } = store.get();
  if (playing || count < 1) return;
  const first = frame === null || frame >= count - 1 ? 0 : frame;
  let timer = 0;
  const off = store.on(({ state }) => {
    if (state.playing) return;
    clearInterval(timer);
    off();
  });
  store.set({ playing: true, frame: first }, source);
  const pace = Math.max(PACE.least, Math.min(PACE.most, (PACE.whole * step) / count));
  timer = setInterval(() => {
    const at = store.get().frame ?? 0;
    if (at >= count - 1) store.set({ playing: false }, source);
    else store.set({ frame: Math.min(at + step, count - 1) }, source);
  }, pace);
}
