// Draw what stands in an element on a 2D context, as the page shows it: backgrounds, borders, words, icons, canvases.
// Only what our components use: boxes with one colour or a gradient to the right, round corners, text, filled paths. A
// canvas draws itself anew where it can (its property redraw(ctx, scale)), so that it has the scale of the picture, and
// is vectors in an SVG. Controls, tips and what only screen readers hear are left out.

const LEFT_OUT = ".player, .zoom, .tip, .heard, button, input, style, [hidden]";
const CONTROLS = ".player, .zoom"; // what lies below moves up into their place
const CLIPPING = /hidden|auto|scroll|clip/;

// The places of controls in an element, which a picture leaves out: {top, height} on the page.
export function holesIn(element) {
  const controls = [...element.querySelectorAll(CONTROLS)].filter((one) => one.offsetHeight);
  return controls.map((one) => {
    const { top, height } = one.getBoundingClientRect();
    const zoom = one.currentCSSZoom ?? 1;
    return { top, height: height + zoom * (parseFloat(getComputedStyle(one).marginTop) || 0) };
  });
}

// box: where the element lies on the page; zoom: how much the page magnifies it; place: where it belongs on the context.
export function drawElement(ctx, element, { box, holes, zoom, place, scale }) {
  const lost = (top) => holes.reduce((sum, hole) => sum + (top > hole.top ? hole.height : 0), 0);
  const at = ({ left, top, width, height }) => ({
    x: place.x + (left - box.left) / zoom,
    y: place.y + (top - lost(top) - box.top) / zoom,
    width: width / zoom,
    height: height / zoom,
  });
  visit({ ctx, at, scale, opacity: 1, window: null }, element);
  ctx.textAlign = "left";
}

function visit(told, element) {
  if (element.matches(LEFT_OUT)) return;
  const style = getComputedStyle(element);
  if (style.display === "none" || style.visibility === "hidden" || style.opacity === "0") return;
  const own = { ...told, opacity: told.opacity * Number(style.opacity) };
  if (element instanceof HTMLCanvasElement) return drawCanvas(own, element);
  if (element instanceof SVGSVGElement) return drawIcon(own, element);
  drawBox(own, element, style);
  if (CLIPPING.test(style.overflowX + style.overflowY) && style.display !== "inline") own.window = own.at(element.getBoundingClientRect());
  for (const child of element.childNodes) {
    if (child.nodeType === Node.ELEMENT_NODE) visit(own, child);
    else if (child.nodeType === Node.TEXT_NODE && child.data.trim()) drawText(own, child, style);
  }
}

// ---- boxes

function drawBox({ ctx, at, opacity, window: seen }, element, style) {
  const fill = colorOf(style.backgroundColor, opacity);
  const gradient = style.backgroundImage.startsWith("linear-gradient") ? style.backgroundImage : null;
  const borders = ["Top", "Right", "Bottom", "Left"].map((side) => (style[`border${side}Style`] === "none" ? 0 : parseFloat(style[`border${side}Width`])));
  if (fill.alpha || gradient || borders.some(Boolean)) {
    for (const rect of element.getClientRects()) {
      const box = at(rect);
      if (!box.width || !box.height || outside(box, seen)) continue;
      const radius = Math.min(parseFloat(style.borderTopLeftRadius) * (style.borderTopLeftRadius.endsWith("%") ? box.width / 100 : 1), box.width / 2, box.height / 2);
      if (gradient) paintBox(ctx, box, radius, gradientOf(ctx, gradient, box, opacity));
      else if (fill.alpha) paintBox(ctx, box, radius, fill.text);
      drawBorders(ctx, box, radius, borders, style, opacity);
    }
  }
  drawMark({ ctx, at, opacity }, element);
}

function paintBox(ctx, { x, y, width, height }, radius, paint) {
  ctx.fillStyle = paint;
  ctx.beginPath();
  ctx.roundRect(x, y, width, height, radius);
  ctx.fill();
}

function drawBorders(ctx, { x, y, width, height }, radius, [top, right, bottom, left], style, opacity) {
  if (top && top === right && top === bottom && top === left) {
    ctx.strokeStyle = colorOf(style.borderTopColor, opacity).text;
    ctx.lineWidth = top;
    ctx.beginPath();
    ctx.roundRect(x + top / 2, y + top / 2, width - top, height - top, Math.max(0, radius - top / 2));
    ctx.stroke();
    return;
  }
  const line = (thick, color, ...rect) => {
    if (!thick) return;
    ctx.fillStyle = colorOf(color, opacity).text;
    ctx.fillRect(...rect);
  };
  line(top, style.borderTopColor, x, y, width, top);
  line(bottom, style.borderBottomColor, x, y + height - bottom, width, bottom);
  line(left, style.borderLeftColor, x, y, left, height);
  line(right, style.borderRightColor, x + width - right, y, right, height);
}

// The dot that a rule puts before a name.
function drawMark({ ctx, at, opacity }, element) {
  const style = getComputedStyle(element, "::before");
  const fill = colorOf(style.backgroundColor, opacity);
  const [width, height] = [parseFloat(style.width), parseFloat(style.height)];
  if (style.content === "none" || !fill.alpha || !(width > 0) || !(height > 0)) return;
  const box = at(element.getBoundingClientRect());
  const line = parseFloat(getComputedStyle(element).lineHeight) || box.height;
  paintBox(ctx, { x: box.x, y: box.y + (Math.min(line, box.height) - height) / 2, width, height }, Math.min(width, height) / 2, fill.text);
}

function gradientOf(ctx, text, { x, width }, opacity) {
  const gradient = ctx.createLinearGradient(x, 0, x + width, 0);
  const colors = text.match(/(?:rgba?|color|oklab|hsla?)\([^)]*\)|#[0-9a-f]{3,8}/gi) ?? [];
  colors.forEach((color, i) => gradient.addColorStop(i / Math.max(1, colors.length - 1), colorOf(color, opacity).text));
  return gradient;
}

const outside = (box, seen) =>
  Boolean(seen) && (box.y + box.height < seen.y + 1 || box.y > seen.y + seen.height - 1 || box.x + box.width < seen.x || box.x > seen.x + seen.width);

// ---- words

function drawText({ ctx, at, opacity, window: seen }, node, style) {
  const color = colorOf(style.color, opacity);
  if (!color.alpha) return;
  ctx.font = fontOf(style);
  ctx.textAlign = "left";
  ctx.textBaseline = "alphabetic";
  ctx.fillStyle = color.text;
  if ("letterSpacing" in ctx) ctx.letterSpacing = style.letterSpacing === "normal" ? "0px" : style.letterSpacing;
  for (const { text, rect } of linesOf(node)) {
    const box = at(rect);
    if (outside(box, seen)) continue;
    const shown = seen && box.x + box.width > seen.x + seen.width + 1 ? cut(ctx, text, seen.x + seen.width - box.x) : text;
    const { fontBoundingBoxAscent: up, fontBoundingBoxDescent: down } = ctx.measureText(shown);
    const base = box.y + (box.height - up - down) / 2 + up;
    ctx.fillText(shown, box.x, base);
    if (style.textDecorationLine.includes("underline")) ctx.fillRect(box.x, base + 3, box.width, 1.5);
  }
  if ("letterSpacing" in ctx) ctx.letterSpacing = "0px";
}

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

// The lines that a text node is broken into, each with its place on the page.
function linesOf(node) {
  const range = document.createRange();
  const lines = [];
  const text = node.data;
  const over = (start, end) => {
    range.setStart(node, start);
    range.setEnd(node, end);
    return range;
  };
  const add = (start, end) => {
    const rect = over(start, end).getBoundingClientRect();
    if (!rect.width) return;
    const line = lines.at(-1);
    if (line && Math.abs(line.rect.top - rect.top) < rect.height / 2) {
      line.text = text.slice(line.start, end);
      line.rect.width = rect.right - line.rect.left;
    } else lines.push({ text: text.slice(start, end), start, rect: { left: rect.left, top: rect.top, width: rect.width, height: rect.height } });
  };
  for (const { 0: word, index } of text.matchAll(/\S+/g)) {
    const end = index + word.length;
    if (over(index, end).getClientRects().length < 2) add(index, end);
    else for (const { segment, index: at } of graphemes.segment(word)) add(index + at, index + at + segment.length); // broken within
  }
  return lines.map(({ text: line, rect }) => ({ text: line.replace(/\s+/g, " "), rect }));
}

function cut(ctx, text, room) {
  const signs = Array.from(text);
  while (signs.length && ctx.measureText(`${signs.join("")}…`).width > room) signs.pop();
  return signs.length ? `${signs.join("")}…` : "";
}

const fontOf = (style) => `${style.fontStyle} ${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;

// ---- canvases and icons

function drawCanvas({ ctx, at, scale }, canvas) {
  const { x, y, width, height } = at(canvas.getBoundingClientRect());
  if (!width || !height) return;
  if (!canvas.redraw) return ctx.drawImage(canvas, x, y, width, height);
  ctx.save();
  ctx.translate(x, y);
  canvas.redraw(ctx, scale);
  ctx.restore();
}

function drawIcon({ ctx, at, opacity }, icon) {
  const box = at(icon.getBoundingClientRect());
  const { width } = icon.viewBox.baseVal;
  if (!width || !box.width) return;
  ctx.save();
  ctx.translate(box.x, box.y);
  ctx.scale(box.width / width, box.height / icon.viewBox.baseVal.height);
  for (const path of icon.querySelectorAll("path")) {
    ctx.fillStyle = colorOf(getComputedStyle(path).fill, opacity).text;
    if (ctx.fillPath) ctx.fillPath(path.getAttribute("d"));
    else ctx.fill(new Path2D(path.getAttribute("d")));
  }
  ctx.restore();
}

// ---- colours: a browser writes them in many ways, programs that read SVG know few

const known = new Map();
const probe = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });

// {text, alpha} of any colour of CSS.
export function colorOf(css, opacity = 1) {
  if (!known.has(css)) {
    probe.clearRect(0, 0, 1, 1);
    probe.fillStyle = "#000";
    probe.fillStyle = css;
    probe.fillRect(0, 0, 1, 1);
    known.set(css, probe.getImageData(0, 0, 1, 1).data);
  }
  const [red, green, blue, a] = known.get(css);
  const alpha = (a / 255) * opacity;
  return { alpha, text: alpha > 0.999 ? `rgb(${red},${green},${blue})` : `rgba(${red},${green},${blue},${Number(alpha.toFixed(3))})` };
}
