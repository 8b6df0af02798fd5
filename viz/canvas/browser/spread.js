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

// Move flat labels sideways, as little as possible, until none touch; false when one would leave its column too far.
function spread(groups, slot, gap) {
  const blocks = [];
  for (const group of groups) {
    const wish = (group.start + group.span / 2) * slot - group.width / 2;
    blocks.push({ members: [group], left: wish, total: group.width + gap });
    while (blocks.length > 1) {
      const last = blocks[blocks.length - 1];
      const before = blocks[blocks.length - 2];
      if (before.left + before.total <= last.left) break;
      blocks.pop();
      const n = before.members.length;
      const m = last.members.length;
      before.left = (before.left * n + (last.left - before.total) * m) / (n + m);
      before.members.push(...last.members);
      before.total += last.total;
    }
  }
  const limit = Math.min(12, slot * 0.5);
  for (const block of blocks) {
    let at = block.left;
    for (const group of block.members) {
      group.shift = at + group.width / 2 - (group.start + group.span / 2) * slot;
      if (Math.abs(group.shift) > limit) return false;
      at += group.width + gap;
    }
  }
  return true;
}
