// The two layers: the picture, and above it what the cursor or the selection points at.

// Lay the picture out in the width there is, and draw both layers.
function paint(view) {
  const width = Math.floor(view.root.clientWidth);
  if (!view.header || width <= 0) return;
  view.width = width;
  view.dpr = sharpness(view);
  view.roof = view.root.roof ?? null;
  view.plan = layout(view);
  view.root.classList.toggle("small", view.plan.small);
  writeZoom(view);
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

const paintBase = (view) => drawBase(view, cleared(view, view.base));

function paintOver(view) {
  drawOver(view, cleared(view, view.over));
  writeTip(view);
}

function drawBase(view, ctx) {
  const { grid, strip } = view.header;
  if (grid && grid.mode === "tiles") drawTiles(view, ctx);
  else if (grid) drawMatrix(view, ctx);
  if (strip) drawStrip(view, ctx);
  drawOwnBars(view, ctx);
}

function drawOver(view, ctx) {
  drawLiveBars(view, ctx);
  if (!view.still) drawCursor(view, ctx);
  drawTickLabels(view, ctx);
  if (!view.still) drawBrush(view, ctx);
}

// A picture of the card is drawn by assets/scripts/picture.js: it asks the root to stand still, and each layer to draw
// itself on a context of another scale, which may write vectors.
function offerPicture(view) {
  view.root.still = (on) => {
    Object.assign(view, { still: on, print: on });
    paint(view);
  };
  const again = (draw) => (ctx, scale) => {
    const { dpr, images } = view;
    Object.assign(view, { dpr: scale, images: new Map() });
    try {
      draw(view, ctx);
    } finally {
      Object.assign(view, { dpr, images });
    }
  };
  view.base.redraw = again(drawBase);
  view.over.redraw = again(drawOver);
}

function cleared(view, canvas) {
  const ctx = canvas.getContext("2d");
  ctx.setTransform(view.dpr, 0, 0, view.dpr, 0, 0);
  ctx.clearRect(0, 0, view.plan.width, view.plan.height);
  return ctx;
}
