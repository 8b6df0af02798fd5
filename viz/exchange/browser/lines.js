// Source and written words as two columns with lines between them, and the likeliest next words of the step.

const LEAST = 0.01; // of a weight that is drawn
const OLD_LEAST = 0.15; // of one of an earlier step

function buildLines(view) {
  const { words, source, written, alt } = view.header;
  const { body } = view;
  body.className = "body lines";
  const read = column(body, "read", words.source, source);
  view.canvas = element("canvas", "threads", element("div", "between", body));
  view.canvas.setAttribute("aria-hidden", "true");
  const wrote = column(body, "wrote", words.written, written);
  view.read = read.rows.map((row) => ({ row, share: element("span", "share", row) }));
  view.wrote = wrote.rows;
  wrote.list.tabIndex = 0;
  wrote.list.setAttribute("role", "listbox");
  wrote.list.setAttribute("aria-label", `${words.written}. ${words.keys}`);
  wrote.list.setAttribute("aria-roledescription", words.kind);
  view.wrote.forEach((row, step) => {
    row.id = `exchange-step-${step}`;
    row.setAttribute("role", "option");
    row.dataset.step = step;
  });
  view.list = wrote.list;
  view.root.setAttribute("aria-label", alt);
  const next = element("div", "next", body);
  element("p", "head", next).textContent = words.next;
  const rows = element("ol", "", next);
  view.next = Array.from({ length: view.header.guesses.labels[0].length }, () => {
    const row = element("li", "", rows);
    const label = element("span", "label", row);
    const bar = element("i", "", element("span", "bar", row));
    return { row, label, bar, share: element("span", "p", row) };
  });
  view.canvas.redraw = (ctx) => drawThreads(view, ctx);
  buildPlayer(view, view.root);
  view.foot = element("p", "foot", view.root);
  view.foot.textContent = view.header.note;
  listen(view);
}

function column(parent, name, title, labels) {
  const box = element("div", `column ${name}`, parent);
  element("p", "head", box).textContent = title;
  const list = element("ol", "", box);
  const rows = labels.map((label) => {
    const row = element("li", "", list);
    element("span", "word", row).textContent = label;
    return row;
  });
  return { box, list, rows };
}

const weightAt = (view, step, source) => view.planes[view.header.weights][step * view.header.source.length + source];

function showLines(view) {
  const { header, step } = view;
  const { accent } = header.theme;
  view.read.forEach(({ row, share }, i) => {
    const weight = weightAt(view, step, i);
    row.style.background = alpha(accent, 0.42 * Math.sqrt(weight));
    share.textContent = weight < 0.005 ? "" : percent(weight);
  });
  view.wrote.forEach((row, i) => {
    row.classList.toggle("now", i === step);
    row.classList.toggle("ahead", i > step);
    row.classList.toggle("unwritten", i > step && view.playing);
    row.classList.toggle("pinned", i === view.pinned);
    row.setAttribute("aria-selected", String(i === step));
  });
  view.list.setAttribute("aria-activedescendant", `exchange-step-${step}`);
  showNext(view);
  paintThreads(view);
  writePlayer(view);
}

function showNext(view) {
  const { labels, probs, written } = view.header.guesses;
  view.next.forEach(({ row, label, bar, share }, i) => {
    const p = view.planes[probs][view.step * view.next.length + i];
    row.classList.toggle("taken", i === written[view.step]);
    label.textContent = labels[view.step][i];
    bar.style.width = `${100 * p}%`;
    share.textContent = percent(p);
  });
}

// The middle of a row, in pixels of the canvas.
function middleOf(view, row) {
  const [box, home] = [row.getBoundingClientRect(), view.canvas.getBoundingClientRect()];
  const zoom = home.height / view.canvas.clientHeight || 1;
  return (box.top + box.height / 2 - home.top) / zoom;
}

function paintThreads(view) {
  const { canvas } = view;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (!width || !height) return;
  const dpr = (window.devicePixelRatio || 1) * (canvas.currentCSSZoom ?? 1);
  const [w, h] = [Math.round(width * dpr), Math.round(height * dpr)];
  if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
  const ctx = canvas.getContext("2d");
  ctx.setTransform(dpr, 0, 0, dpr, 0, 0);
  ctx.clearRect(0, 0, width, height);
  drawThreads(view, ctx);
}

// Lines of the step, over faint ones of the others: of those before alone while it plays.
function drawThreads(view, ctx) {
  const { source, theme } = view.header;
  const width = view.canvas.clientWidth;
  const left = view.read.map(({ row }) => middleOf(view, row));
  const right = view.wrote.map((row) => middleOf(view, row));
  ctx.lineCap = "butt";
  const last = view.playing ? view.step : lastStep(view);
  for (const step of [...Array(last + 1).keys()].filter((one) => one !== view.step).concat(view.step)) {
    const now = step === view.step;
    for (let i = 0; i < source.length; i++) {
      const weight = weightAt(view, step, i);
      if (weight < (now ? LEAST : OLD_LEAST)) continue;
      ctx.strokeStyle = now ? alpha(theme.accent, 0.2 + 0.8 * weight) : alpha(theme.muted, 0.34 * weight);
      ctx.lineWidth = (now ? 1 : 0.75) + (now ? 6 : 2.5) * weight;
      ctx.beginPath();
      ctx.moveTo(0, left[i]);
      ctx.bezierCurveTo(width * 0.45, left[i], width * 0.55, right[step], width, right[step]);
      ctx.stroke();
    }
  }
}

// Say what is written, what it reads most, and how likely it was.
function speak(view) {
  const { words, source, written, guesses } = view.header;
  const row = source.map((_, i) => weightAt(view, view.step, i));
  const most = row.indexOf(Math.max(...row));
  const reads = fill(words.reads, { word: written[view.step], source: source[most], share: percent(row[most]) });
  const p = view.planes[guesses.probs][view.step * view.next.length];
  view.heard.textContent = `${reads} ${fill(words.likeliest, { word: guesses.labels[view.step][0], share: percent(p) })}`;
}

function percent(p) {
  if (p > 0 && p < 0.005) return "<\u202f1\u202f%";
  return `${Math.round(100 * p)}\u202f%`;
}
