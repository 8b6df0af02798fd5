// The read-out beside the cursor.

function writeTip(view) {
  const { tip, plan, cursor: at } = view;
  tip.classList.toggle("on", Boolean(at));
  if (!at) return;
  tip.replaceChildren();
  for (const line of readout(view, at)) element("div", "", tip).textContent = line;
  const { x, y } = anchor(view, at);
  const width = tip.offsetWidth;
  const height = tip.offsetHeight;
  const left = x + 16 + width > plan.width ? Math.max(0, x - width - 16) : x + 16;
  const top = y + 18 + height > plan.height + 40 ? y - height - 14 : y + 18;
  tip.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
}

// Where the pointer is, or the middle of what the keyboard chose.
function anchor(view, at) {
  const { plan } = view;
  const { grid } = view.header;
  if (at.x !== undefined) return at;
  if (at.zone === "strip") return { x: plan.stripX + (at.token + 0.5) * plan.token, y: plan.labels.height };
  if (grid.mode === "tiles") {
    const { x, y, wide, tall } = tileCells(view, at.tile);
    return { x: x + (at.column + 0.5) * wide, y: y + (at.row + 0.5) * tall };
  }
  return { x: plan.cellX + (at.column + 0.5) * plan.cell, y: plan.cellY + (at.row + 0.5) * plan.row };
}
