// The state of one picture and the elements it is shown in. What happens to it are the functions of the other files.

class View {
  constructor(root) {
    this.root = root;
    root.replaceChildren();
    this.stage = element("div", "stage", root);
    this.base = element("canvas", "base", this.stage);
    this.over = element("canvas", "over", this.stage);
    this.tip = element("div", "tip", this.stage);
    this.zoom = element("div", "zoom", root);
    this.player = element("div", "player", root);
    this.foot = element("div", "foot", root);
    this.heard = element("div", "heard", root);
    this.stage.tabIndex = 0;
    this.stage.setAttribute("role", "application"); // a screen reader passes the keys on
    this.tip.setAttribute("aria-hidden", "true");
    this.heard.setAttribute("aria-live", "polite");
    this.bytes = null; // the payload shown
    this.header = null; // its header, its planes and its ramps (payload.js)
    this.planes = [];
    this.ramps = [];
    this.width = 0;
    this.dpr = 1;
    this.roof = null; // how high the picture may be while its card fills the screen
    this.plan = null; // where everything lies (layout.js)
    this.images = new Map(); // painted maps (cells.js)
    this.cursor = null; // {zone: "strip", token} or {zone: "grid", tile, row, column}; x, y where the pointer put it
    this.pressed = null; // the place where a pointer went down, and the range that it draws (brush.js)
    this.brush = null;
    this.dragged = false; // whether the pointer that went down last drew one
    this.frame = null; // of a film; null for other pictures
    this.byFrame = false; // whether each frame of a film has the scale of its own
    this.own = null; // the store of this picture, and the one that it follows: this or that of the page (follow.js)
    this.store = null;
    this.print = false; // while the page is printed, or a picture of it is made
    this.still = false; // while a picture is made: there is no pointer
    this.pick = () => {}; // reports a click to the server
  }

  // The width of a text in a font, in pixels.
  measure(font, text) {
    const ctx = this.base.getContext("2d");
    ctx.font = font;
    return ctx.measureText(text).width;
  }
}

// How many pixels of the screen lie along one of the page.
const sharpness = (view) => (window.devicePixelRatio || 1) * (view.root.currentCSSZoom ?? 1);

// A length on whole device pixels.
const snap = (view, v) => Math.round(v * view.dpr) / view.dpr;
