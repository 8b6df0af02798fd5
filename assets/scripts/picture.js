// A figure card as a picture that says what it is: name, finding, the figure as drawn, note, and where it comes from.
// Everything is taken from what is on the page; nothing is asked of the server. PNG and SVG are drawn by the same
// functions, on a canvas or on a context that writes SVG (svg_paper.js, fetched for SVG alone).

import { colorOf, drawElement, holesIn } from "./drawn_page.js";

const EDGE = 24; // pixels around the picture
const WANTED = 1600; // pixels of width that a PNG has at least, where four times the size on screen gives them
const FONTS = '"Pretendard Variable", Pretendard, -apple-system, "Apple SD Gothic Neo", "Noto Sans KR", sans-serif';
const SVG = "http://www.w3.org/2000/svg";

// Return a Blob. kind: png or svg; source: what the figure was drawn from, in words; mark: the name of the app.
export async function takePicture(card, kind, { source, mark }) {
  const body = bodyOf(card);
  await document.fonts.ready;
  for (const moving of body.host?.getAnimations({ subtree: true }) ?? []) moving.finish(); // a colour half on its way
  body.host?.still?.(true); // labels as in print: there is no pointer in a picture
  try {
    const parts = partsOf(card, body, { source, mark });
    return kind === "svg" ? await asSvg(parts) : await asPng(parts);
  } finally {
    body.host?.still?.(false);
  }
}

// What the card draws: the root of one of our components, or the drawing of Vega or of plotly.
function bodyOf(card) {
  const host = [...card.querySelectorAll("*")].find((one) => one.shadowRoot?.querySelector(".root"));
  if (host) return { host: host.shadowRoot.querySelector(".root"), node: host.shadowRoot.querySelector(".root"), kind: "page" };
  const plot = card.querySelector(".js-plotly-plot .svg-container");
  if (plot) return { host: null, node: plotOf(plot), box: plot.getBoundingClientRect(), kind: "vector" };
  const vector = card.querySelector(".vega-embed > svg.marks");
  const node = vector ?? card.querySelector(".vega-embed > canvas, .vega-embed canvas");
  if (!node) throw new Error("there is no figure in this card yet");
  return { node, kind: vector ? "vector" : "page" };
}

// Plotly's drawing, which it writes in layers, without what one presses: one SVG.
function plotOf(plot) {
  const { width, height } = plot.getBoundingClientRect();
  const zoom = plot.currentCSSZoom ?? 1;
  const whole = document.createElementNS(SVG, "svg");
  for (const [name, value] of Object.entries({ width: width / zoom, height: height / zoom, viewBox: `0 0 ${width / zoom} ${height / zoom}` })) whole.setAttribute(name, value);
  for (const layer of plot.querySelectorAll(":scope > svg.main-svg")) whole.append(...layer.cloneNode(true).childNodes);
  for (const pressed of whole.querySelectorAll(".updatemenu-container, .hoverlayer, .draglayer, .zoomlayer")) pressed.remove();
  return whole;
}

// The lines of words and the body, each with its place in the picture.
function partsOf(card, body, { source, mark }) {
  const ctx = document.createElement("canvas").getContext("2d");
  const title = card.querySelector(".cs-title");
  const ink = getComputedStyle(title).color;
  const muted = mutedOf(card);
  const box = body.box ?? body.node.getBoundingClientRect();
  const zoom = (body.box ? card : body.node).currentCSSZoom ?? 1;
  const holes = body.kind === "page" ? holesIn(body.node) : [];
  const size = { width: box.width / zoom, height: (box.height - holes.reduce((sum, { height }) => sum + height, 0)) / zoom };
  const width = Math.max(320, Math.ceil(size.width));
  const lines = [];
  let y = EDGE;
  const write = (text, { size: type, weight = 400, color = muted, gap = 0 }) => {
    if (!text) return;
    y += gap;
    const font = `${weight} ${type}px ${FONTS}`;
    ctx.font = font;
    for (const line of wrapped(ctx, text, width)) {
      y += Math.round(type * 1.4);
      lines.push({ text: line, x: EDGE, y: y - Math.round(type * 0.4), font, color });
    }
  };
  write(title.textContent, { size: 17, weight: 650, color: ink });
  write(card.querySelector(".cs-finding")?.textContent, { size: 15, weight: 600, color: ink, gap: 4 });
  y += 12;
  const place = { x: EDGE, y };
  y += Math.ceil(size.height);
  write(card.querySelector(":scope > .stElementContainer .stText")?.textContent, { size: 14, gap: 10 });
  write([source, mark].filter(Boolean).join(" · "), { size: 12, gap: 12 });
  const described = [title.textContent, source, mark].filter(Boolean);
  return { body, box, holes, zoom, size, place, lines, described, ground: getComputedStyle(card).backgroundColor, width: width + 2 * EDGE, height: y + EDGE };
}

function mutedOf(card) {
  const probe = document.createElement("span");
  probe.style.color = "var(--cs-muted)";
  card.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

function wrapped(ctx, text, room) {
  const lines = [];
  let line = "";
  for (const word of text.trim().split(/\s+/)) {
    const longer = line ? `${line} ${word}` : word;
    if (line && ctx.measureText(longer).width > room) {
      lines.push(line);
      line = word;
    } else line = longer;
  }
  return line ? [...lines, line] : lines;
}

function drawWords(ctx, { lines, ground, width, height }) {
  ctx.fillStyle = colorOf(ground).text;
  ctx.fillRect(0, 0, width, height);
  ctx.textAlign = "left";
  ctx.textBaseline = "alphabetic";
  for (const { text, x, y, font, color } of lines) {
    ctx.font = font;
    ctx.fillStyle = colorOf(color).text;
    ctx.fillText(text, x, y);
  }
}

async function asPng(parts) {
  const { body, place, size, width, height } = parts;
  const scale = Math.max(2, window.devicePixelRatio || 1, Math.min(4, Math.ceil(WANTED / width)));
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const ctx = canvas.getContext("2d");
  ctx.scale(scale, scale);
  drawWords(ctx, parts);
  if (body.kind === "vector") {
    const image = await imageOf(body.node, size, scale);
    ctx.drawImage(image, place.x, place.y, size.width, size.height);
  } else drawElement(ctx, body.node, { ...parts, scale });
  const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
  if (!blob) throw new Error(`a picture of ${canvas.width} x ${canvas.height} pixels is too large for this browser`);
  return blob;
}

async function asSvg(parts) {
  const { SvgPaper } = await import("./svg_paper.js");
  const { body, place, size, described, width, height } = parts;
  const paper = new SvgPaper({ width, height });
  drawWords(paper, parts);
  if (body.kind === "page") drawElement(paper, body.node, { ...parts, scale: 2 });
  const root = paper.finished();
  if (body.kind === "vector") {
    const drawing = body.node.cloneNode(true);
    for (const [name, value] of Object.entries({ x: place.x, y: place.y, width: size.width, height: size.height })) drawing.setAttribute(name, value);
    root.append(drawing);
  }
  const name = document.createElementNS(SVG, "title");
  const says = document.createElementNS(SVG, "desc");
  [name.textContent, says.textContent] = [described[0], described.slice(1).join(" · ")];
  root.prepend(name, says, await facesOf(root));
  return new Blob([`<?xml version="1.0" encoding="UTF-8"?>\n${new XMLSerializer().serializeToString(root)}`], { type: "image/svg+xml" });
}

// ---- what is SVG sees none of the page's typefaces: those of its words go into it

async function imageOf(node, { width, height }, scale) {
  const drawing = node.cloneNode(true);
  drawing.setAttribute("width", width * scale);
  drawing.setAttribute("height", height * scale);
  if (!drawing.hasAttribute("viewBox")) drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
  drawing.prepend(await facesOf(drawing));
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(drawing))}`;
  await image.decode();
  return image;
}

// A style with the rules of the typefaces that are first in line for words of a drawing, each with its file in it.
async function facesOf(drawing) {
  const signs = new Map(); // typeface -> the signs written in it
  for (const words of drawing.querySelectorAll("text")) {
    const [family] = (words.getAttribute("font-family") || words.style.fontFamily).replace(/["']/g, "").split(",");
    signs.set(family, new Set([...(signs.get(family) ?? []), ...Array.from(words.textContent, (sign) => sign.codePointAt(0))]));
  }
  const rules = [...document.styleSheets].flatMap(facesIn).filter((rule) => {
    const family = rule.style.getPropertyValue("font-family").replace(/["']/g, "");
    return signs.has(family) && covers(rule.style.getPropertyValue("unicode-range"), signs.get(family));
  });
  const style = document.createElementNS(SVG, "style");
  style.textContent = (await Promise.all(rules.map(inlined))).join("\n");
  return style;
}

function facesIn(sheet) {
  try {
    return [...sheet.cssRules].filter((rule) => rule instanceof CSSFontFaceRule);
  } catch {
    return []; // a sheet of another origin, as of an extension
  }
}

function covers(ranges, signs) {
  if (!ranges) return true;
  return ranges.split(",").some((range) => {
    const [first, last = first] = range.trim().replace(/^u\+/i, "").split("-");
    const [low, high] = [first.replace(/\?/g, "0"), last.replace(/\?/g, "F")].map((hex) => parseInt(hex, 16));
    for (const sign of signs) if (sign >= low && sign <= high) return true;
    return false;
  });
}

async function inlined(rule) {
  const source = rule.style.getPropertyValue("src");
  const [, file] = /url\("?([^")]+)"?\)/.exec(source) ?? [];
  if (!file) return "";
  const blob = await (await fetch(new URL(file, rule.parentStyleSheet.href ?? document.baseURI))).blob();
  const data = await new Promise((done) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result);
    reader.readAsDataURL(blob);
  });
  return rule.cssText.replace(/url\([^)]*\)/, `url("${data}")`);
}
