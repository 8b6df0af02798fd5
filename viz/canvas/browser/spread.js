// Labels side by side without touching: {start, span, width} in slots of equal width.

// Hide leaning labels that would touch: the selected one stays, the others from left to right as far apart as needed.
function thin(groups, slot, pitch, selected) {
  const at = (group) => (group.start + group.span / 2) * slot;
  const kept = groups.find((group) => selected !== null && selected >= group.start && selected < group.start + group.span);
  let last = -Infinity;
  for (const group of groups) {
    const free = at(group) - last >= pitch && (!kept || group === kept || Math.abs(at(group) - at(kept)) >= pitch);
    group.hidden = !free && group !== kept;
    if (!group.hidden) last = at(group);
  }
  return groups.some((group) => group.hidden);
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
