// A 2D context that writes SVG: svgcanvas (MIT, github.com/zenozeng/svgcanvas), with what our pictures need besides. Words
// stay words, in the typefaces' names, at their baseline, which every program reads alike.

import { Context } from "./svgcanvas/svgcanvas-2.6.0.esm.js";

const SVG = "http://www.w3.org/2000/svg";
const two = (value) => Number(value.toFixed(2));

export class SvgPaper extends Context {
  // Begin a group with a class, and end it.
  group(name, draw) {
    this.save();
    this.__closestGroupOrSvg().setAttribute("class", name);
    draw();
    this.restore();
  }

  // One cell of a map: a rectangle with its colour, and nothing else, as there are thousands of them.
  cell(x, y, width, height, [red, green, blue]) {
    const { a, b, c, d, e, f } = this.getTransform();
    if (b || c) throw new Error("cells are never turned");
    const hex = [red, green, blue].map((part) => part.toString(16).padStart(2, "0")).join("");
    this.#add("rect", { x: two(a * x + e), y: two(d * y + f), width: two(a * width), height: two(d * height), fill: `#${hex}` });
  }

  // Fill a path that is written as SVG writes it.
  fillPath(text) {
    const { a, b, c, d, e, f } = this.getTransform();
    this.#add("path", { d: text, fill: this.fillStyle, transform: `matrix(${[a, b, c, d, e, f].map(two).join(" ")})` });
  }

  // The ground is drawn before everything: what is cleared shows it.
  clearRect() {}

  roundRect(x, y, width, height, radius) {
    super.roundRect(x, y, width, height, Math.max(0, Math.min(radius, width / 2, height / 2)));
  }

  fillText(text, x, y) {
    const kept = this.textBaseline;
    const shift = kept === "middle" ? this.#middle(text) : 0;
    this.textBaseline = "alphabetic";
    super.fillText(text, x, y + shift);
    this.textBaseline = kept;
    const wide = this.measureText(text).width; // a program without the typeface keeps the room that the words have here
    if (wide > 0) for (const [name, value] of [["textLength", two(wide)], ["lengthAdjust", "spacingAndGlyphs"]]) this.__currentElement.setAttribute(name, value);
  }

  // A bitmap, whose pixels stay sharp.
  drawImage(image, x, y, width, height) {
    const { a, d, e, f } = this.getTransform();
    const made = this.#add("image", { x: two(a * x + e), y: two(d * y + f), width: two(a * width), height: two(d * height), preserveAspectRatio: "none", href: image.toDataURL() });
    if (!this.imageSmoothingEnabled) made.setAttribute("style", "image-rendering: pixelated");
  }

  finished() {
    const root = this.getSvg();
    root.setAttribute("viewBox", `0 0 ${this.width} ${this.height}`);
    return root;
  }

  #middle(text) {
    const ctx = this.__ctx;
    ctx.font = this.font;
    ctx.textBaseline = "alphabetic";
    const above = ctx.measureText(text).actualBoundingBoxAscent;
    ctx.textBaseline = "middle";
    const shift = above - ctx.measureText(text).actualBoundingBoxAscent;
    ctx.textBaseline = "alphabetic";
    return shift;
  }

  #add(tag, values) {
    const made = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(values)) made.setAttribute(name, value);
    this.__closestGroupOrSvg().append(made);
    return made;
  }
}
