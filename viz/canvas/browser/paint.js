// The two layers: the picture, and above it what the cursor or the selection points at.

// Lay the picture out in the width there is, and draw both layers.
function paint(view) {
  const width = Math.floor(view.root.clientWidth);
  if (!view.header || width <= 0) return;
  view.width = width;
  view.dpr = window.devicePixelRatio || 1;
  view.plan = layout(view);
  view.images.clear();
  for (const canvas of [view.base, view.over]) {
    canvas.width = Math.round(width * view.dpr);
    canvas.height = Math.round(view.plan.height * view.dpr);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${view.plan.height}px`;
  }
  paintBase(view);
  paintOver(view);
}

function paintBase(view) {
  const ctx = cleared(view, view.base);
  const { grid, strip } = view.header;
  if (grid && grid.mode === "tiles") drawTiles(view, ctx);
  else if (grid) drawMatrix(view, ctx);
  if (strip) drawStrip(view, ctx);
  drawOwnBars(view, ctx);
}

function paintOver(view) {
  const ctx = cleared(view, view.over);
  drawLiveBars(view, ctx);
  drawCursor(view, ctx);
  drawTickLabels(view, ctx);
  writeTip(view);
}

function cleared(view, canvas) {
  const ctx = canvas.getContext("2d");
  ctx.setTransform(view.dpr, 0, 0, view.dpr, 0, 0);
  ctx.clearRect(0, 0, view.plan.width, view.plan.height);
  return ctx;
}
