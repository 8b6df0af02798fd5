// What is shown of new data, and which of its frames: the player, the foot, the state that survives a rerun.

class Frames {
  constructor(root) {
    this.root = root;
    this.root.replaceChildren();
    this.stage = element("div", "stage", root);
    this.base = element("canvas", "base", this.stage);
    this.over = element("canvas", "over", this.stage);
    this.tip = element("div", "tip", this.stage);
    this.tip.setAttribute("aria-hidden", "true");
    this.player = element("div", "player", root);
    this.foot = element("div", "foot", root);
    this.heard = element("div", "heard", root);
    this.heard.setAttribute("aria-live", "polite");
    this.stage.tabIndex = 0;
    this.stage.setAttribute("role", "img");
    this.cursor = null; // {zone, token | tile, row, column}
    this.frame = null;
    this.width = 0;
    this.timer = 0;
    this.ramps = [];
    this.images = new Map();
    this.buildPlayer();
    this.listen();
  }

  buildPlayer() {
    this.button = element("button", "", this.player);
    this.button.type = "button";
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 14 14");
    svg.setAttribute("aria-hidden", "true");
    this.icon = document.createElementNS("http://www.w3.org/2000/svg", "path");
    svg.append(this.icon);
    this.button.append(svg);
    this.slider = element("input", "", this.player);
    this.slider.type = "range";
    this.slider.min = 0;
    this.output = element("output", "", this.player);
    this.button.onclick = () => (this.timer ? this.stop() : this.play());
    this.slider.oninput = () => {
      this.stop();
      this.setFrame(Number(this.slider.value));
    };
  }

  listen() {
    this.stage.onpointermove = (event) => this.hover(event);
    this.stage.onpointerdown = (event) => this.hover(event);
    this.stage.onpointerleave = () => this.setCursor(null);
    this.stage.onclick = (event) => {
      const hit = this.hit(event);
      if (hit) this.choose(hit);
    };
    this.stage.onkeydown = (event) => this.key(event);
    this.stage.onblur = () => this.setCursor(null);
    this.observer = new ResizeObserver(() => {
      const width = Math.floor(this.root.clientWidth);
      if (width > 0 && (width !== this.width || window.devicePixelRatio !== this.dpr)) this.layout();
    });
    this.observer.observe(this.root);
    this.onFonts = () => this.header && this.layout();
    document.fonts?.addEventListener("loadingdone", this.onFonts);
  }

  destroy() {
    this.stop();
    this.observer.disconnect();
    document.fonts?.removeEventListener("loadingdone", this.onFonts);
  }

  update(data) {
    if (!data || !data.length) return;
    if (this.bytes && same(this.bytes, data)) return;
    const before = this.header;
    this.bytes = data;
    const { header, planes } = decode(data);
    this.header = header;
    this.planes = planes;
    this.images.clear();
    const { grid, strip, theme } = header;
    this.ramps = grid ? grid.ramps.map(parseRamp) : [];
    for (const name of ["card", "hairline", "ink", "muted", "chip", "accent", "font", "mono"]) this.root.style.setProperty(`--${name}`, theme[name]);
    this.root.style.colorScheme = theme.mode;
    this.stage.setAttribute("aria-label", [header.alt, header.words.keys].filter(Boolean).join(" "));
    this.stage.classList.toggle("pickable", Boolean((strip && strip.labels.length) || (grid && grid.picks !== "none")));
    const frames = grid && grid.mode === "frames" ? grid.count : 0;
    if (frames) {
      const asked = strip && strip.selected !== null ? this.frameOf(strip.selected) : frames - 1;
      const moved = !before || before.id !== header.id || before.strip?.selected !== strip?.selected;
      this.frame = Math.min(moved || this.frame === null ? asked : this.frame, frames - 1);
      this.slider.max = frames - 1;
    } else {
      this.stop();
      this.frame = null;
    }
    this.player.hidden = frames < 2;
    if (this.cursor && !this.exists(this.cursor)) this.cursor = null;
    this.writeFoot();
    this.writePlayer();
    this.loadFonts();
    this.layout();
  }

  loadFonts() {
    const { theme, strip } = this.header;
    const text = (strip ? strip.labels.join("") : "") + "0";
    for (const family of [theme.font, theme.mono]) document.fonts?.load(`500 13px ${family}`, text).catch(() => {});
  }

  exists(at) {
    const { grid, strip } = this.header;
    if (at.zone === "strip") return strip && at.token < strip.labels.length;
    return grid && at.row < grid.rows && at.column < grid.columns && at.tile < grid.count;
  }

  frameOf(token) {
    return Math.floor(token / this.header.grid.frame_pool);
  }

  writeFoot() {
    const { legends, note, words, theme } = this.header;
    this.foot.replaceChildren();
    element("div", "note", this.foot).textContent = note;
    const list = element("div", "legends", this.foot);
    for (const legend of legends) {
      const box = element("div", "legend", list);
      element("span", "name", box).textContent = legend.label;
      if (legend.ramp === null) {
        const row = element("div", "swatches", box);
        for (const [color, text] of legend.swatches) {
          const item = element("span", "", row);
          element("i", "", item).style.background = color;
          item.append(text);
        }
      } else {
        const scale = element("div", "scale", box);
        const ramp = element("div", "ramp", scale);
        const text = this.header.grid.ramps[legend.ramp];
        const stops = [];
        for (let i = 0; i <= 16; i++) stops.push("#" + text.substr(Math.round((i / 16) * 255) * 6, 6));
        ramp.style.background = `linear-gradient(to right, ${stops.join(",")})`;
        const ticks = element("div", "ticks", scale);
        legend.ticks.forEach(([at, label], i) => {
          const tick = element("span", at <= 0.02 ? "first" : at >= 0.98 ? "last" : "", ticks);
          tick.style.left = `${at * 100}%`;
          tick.textContent = label;
        });
      }
      if (legend.scope) element("span", "scope", box).textContent = legend.scope;
    }
    if (!note && !legends.length) this.foot.replaceChildren();
  }

  writePlayer() {
    const { grid, words, strip } = this.header;
    if (this.frame === null) return;
    this.slider.value = this.frame;
    const token = this.frame * grid.frame_pool;
    const name = strip ? strip.labels[token] : "";
    this.output.textContent = fill(words.frame || "{index}", { index: token, label: name });
    this.slider.setAttribute("aria-valuetext", this.output.textContent);
    this.slider.setAttribute("aria-label", words.time || "");
    this.button.setAttribute("aria-label", this.timer ? words.pause : words.play);
    this.button.title = this.timer ? words.pause : words.play;
    this.icon.setAttribute("d", this.timer ? "M3 2h3v10H3z M8 2h3v10H8z" : "M3.5 1.5 12 7l-8.5 5.5z");
  }

  setFrame(frame) {
    if (frame === this.frame) return;
    this.frame = frame;
    this.images.clear();
    this.writePlayer();
    this.draw();
    this.drawOver();
  }

  play() {
    const last = this.header.grid.count - 1;
    if (this.frame >= last) this.setFrame(0);
    const pace = Math.max(60, Math.min(320, 9000 / (last + 1)));
    this.timer = setInterval(() => {
      if (this.frame >= last) this.stop();
      else this.setFrame(this.frame + 1);
    }, pace);
    this.writePlayer();
  }

  stop() {
    if (!this.timer) return;
    clearInterval(this.timer);
    this.timer = 0;
    if (this.header) this.writePlayer();
  }
}
