// Encoder and decoder as stacks of blocks, from their words at the bottom up; every attention shows who may read whom.

const MASK = 60; // pixels of the longer side of a mask

function buildStacks(view) {
  const { header, body } = view;
  body.className = "body stacks";
  view.root.setAttribute("aria-label", header.alt);
  view.masks = [];
  const [encoder, decoder] = ["encoder", "decoder"].map((name) => {
    const made = element("section", `stack ${name}`, body);
    element("h4", "", made).textContent = header[name].title;
    element("p", "role", made).textContent = header[name].text;
    return made;
  });
  const top = element("div", "result", encoder);
  top.textContent = header.words.carried;
  view.result = element("div", "result", decoder);
  buildBlock(view, decoder, header.head, "output");
  view.layers = [fillStack(view, encoder, header.encoder), fillStack(view, decoder, header.decoder)];
  view.input = view.layers[1].words;
  view.layers[0].words.replaceChildren(...header.source.map((word) => chip(word)));
  view.over = element("canvas", "bridge", body);
  view.over.setAttribute("aria-hidden", "true");
  view.over.redraw = (ctx) => drawBridge(view, ctx);
  view.foot = element("p", "foot", view.root);
  view.foot.textContent = header.note;
}

function fillStack(view, parent, stack) {
  const { words } = view.header;
  const frame = element("div", "layers", parent);
  element("p", "times", frame).textContent = fill(words.layers, { count: stack.layers });
  const blocks = stack.blocks.map((block) => buildBlock(view, frame, block, block.mask === null ? "plain" : block.reads));
  element("div", "block foot-block", parent).textContent = stack.foot;
  const held = element("div", "words", parent);
  return { frame, blocks, words: held };
}

function buildBlock(view, parent, block, kind) {
  const box = element("div", `block ${kind}`, parent);
  const told = element("div", "told", box);
  element("p", "title", told).textContent = block.title;
  element("p", "text", told).textContent = block.text;
  if (block.mask !== null) {
    const canvas = element("canvas", "mask", box);
    canvas.setAttribute("aria-hidden", "true");
    const [rows, columns] = block.shape;
    const cell = MASK / Math.max(rows, columns);
    Object.assign(canvas.style, { width: `${Math.round(cell * columns)}px`, height: `${Math.round(cell * rows)}px` });
    const mask = { canvas, rows, columns, plane: block.mask, steps: parent.parentElement.classList.contains("decoder") };
    canvas.redraw = (ctx) => drawMask(view, mask, ctx);
    view.masks.push(mask);
  }
  return box;
}

function chip(word) {
  const node = document.createElement("span");
  node.className = "chip";
  node.textContent = word;
  return node;
}

function showStacks(view) {
  const { given, written, words } = view.header;
  const { step } = view;
  view.input.replaceChildren(...given.slice(0, step + 1).map((word) => chip(word)));
  view.input.lastChild.classList.add("now");
  view.result.replaceChildren(`${words.next} `, chip(written[step]));
  view.result.lastChild.classList.add("now");
  for (const mask of view.masks) paint(mask.canvas, (ctx) => drawMask(view, mask, ctx));
  paint(view.over, (ctx) => drawBridge(view, ctx));
}

// Draw on a canvas at the size that it has on screen.
function paint(canvas, draw) {
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (!width || !height) return;
  const dpr = (window.devicePixelRatio || 1) * (canvas.currentCSSZoom ?? 1);
  Object.assign(canvas, { width: Math.round(width * dpr), height: Math.round(height * dpr) });
  const ctx = canvas.getContext("2d");
  ctx.setTransform(dpr, 0, 0, dpr, 0, 0);
  draw(ctx);
}

// A cell is coloured where the row's word may read the column's; the row of the step is in full colour.
function drawMask(view, { canvas, rows, columns, plane, steps }, ctx) {
  const { accent, hairline } = view.header.theme;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  const [wide, tall] = [width / columns, height / rows];
  const gap = Math.min(1, wide / 5);
  for (let row = 0; row < rows; row++) {
    if (steps && row > view.step) continue;
    for (let column = 0; column < columns; column++) {
      const seen = view.planes[plane][row * columns + column];
      ctx.fillStyle = seen ? alpha(accent, !steps || row === view.step ? 0.9 : 0.4) : hairline;
      ctx.fillRect(column * wide, row * tall, wide - gap, tall - gap);
    }
  }
}

// The way of keys and values from the top of the encoder to cross-attention in every layer of the decoder.
function drawBridge(view, ctx) {
  const home = view.over.getBoundingClientRect();
  const zoom = home.width / view.over.clientWidth || 1;
  const box = (node) => {
    const { left, right, top, bottom } = node.getBoundingClientRect();
    return { left: (left - home.left) / zoom, right: (right - home.left) / zoom, top: (top - home.top) / zoom, middle: ((top + bottom) / 2 - home.top) / zoom };
  };
  const from = box(view.root.querySelector(".encoder .result"));
  const to = box(view.layers[1].blocks.find((block) => block.classList.contains("other")));
  const x = (from.right + box(view.layers[1].frame).left) / 2;
  ctx.strokeStyle = ctx.fillStyle = view.header.theme.accent;
  ctx.lineWidth = 2;
  ctx.beginPath();
  ctx.moveTo(from.right, from.middle);
  ctx.lineTo(x, from.middle);
  ctx.lineTo(x, to.middle);
  ctx.lineTo(to.left - 7, to.middle);
  ctx.stroke();
  ctx.beginPath();
  ctx.moveTo(to.left - 1, to.middle);
  ctx.lineTo(to.left - 9, to.middle - 5);
  ctx.lineTo(to.left - 9, to.middle + 5);
  ctx.fill();
}
