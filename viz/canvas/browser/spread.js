// Labels side by side without touching: {start, span, width} in slots of equal width.

// Hide leaning labels that would touch: the selected one stays, the others by their ranks as far apart as needed.
function thin(groups, slot, pitch, selected, ranked) {
  const at = (i) => (groups[i].start + groups[i].span / 2) * slot;
  const kept = groups.findIndex(({ start, span }) => selected !== null && selected >= start && selected < start + span);
  const clear = (i, j) => Math.abs(at(i) - at(j)) >= pitch;
  const shown = landmarks(groups.length, (i) => ranked[groups[i].start], clear, kept < 0 ? [] : [kept]);
  groups.forEach((group, i) => (group.hidden = !shown.has(i)));
  return shown.size < groups.length;
}

// Move flat labels sideways within [low, high], as little as possible, until none touch: sets the shift of each from the
// middle of its slots; false when they do not fit, or when one would leave its place by more than limit.
function spread(groups, slot, gap, low, high, limit = Math.min(12, slot * 0.5)) {
  const middle = (group) => (group.start + group.span / 2) * slot;
  let before = 0; // the room that the labels to the left take
  const blocks = []; // labels that touch; at: the mean of where they want to begin, less what stands before them
  for (const group of groups) {
    blocks.push({ at: middle(group) - group.width / 2 - before, count: 1 });
    before += group.width + gap;
    while (blocks.length > 1 && blocks[blocks.length - 1].at < blocks[blocks.length - 2].at) {
      const last = blocks.pop();
      const merged = blocks[blocks.length - 1];
      merged.at = (merged.at * merged.count + last.at * last.count) / (merged.count + last.count);
      merged.count += last.count;
    }
  }
  const most = high - Math.max(0, before - gap);
  if (most < low - 0.5) return false;
  const places = blocks.flatMap(({ at, count }) => Array(count).fill(Math.max(low, Math.min(most, at))));
  let left = 0;
  groups.forEach((group, i) => {
    group.shift = places[i] + left + group.width / 2 - middle(group);
    left += group.width + gap;
  });
  return groups.every((group) => Math.abs(group.shift) <= limit);
}
