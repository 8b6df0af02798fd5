// The sentence as real text: an element for each token, a veil over the next, dots of those who guessed it.

const DENSE = [[170, "large"], [420, "middle"], [Infinity, "small"]]; // characters up to which the type has a size

function buildText(view) {
  const { prompt, spans, labels, words, alt } = view.header;
  const signs = Array.from(prompt); // spans count characters, not units of UTF-16
  view.text.replaceChildren(view.head);
  view.text.className = `text ${DENSE.find(([most]) => signs.length <= most)[1]}`;
  view.text.setAttribute("aria-label", `${words.text}. ${words.keys}`);
  view.text.setAttribute("aria-roledescription", words.kind);
  view.root.setAttribute("aria-label", alt);
  view.tokens = labels.map(() => null);
  let at = 0;
  spans.forEach(([start, end], i) => {
    if (end <= start) return;
    if (i && spans[i - 1][0] === start && spans[i - 1][1] === end) {
      view.tokens[i] = view.tokens[i - 1]; // a further piece of one character
      return;
    }
    const from = Math.max(at, start);
    const whole = signs.slice(from, end).join("");
    const word = whole.trimStart();
    view.text.append(signs.slice(at, from).join("") + whole.slice(0, whole.length - word.length));
    const node = element("span", "token", view.text);
    node.id = `hero-token-${i}`;
    node.setAttribute("role", "option");
    node.textContent = word;
    node.dataset.token = i;
    view.tokens[i] = node;
    at = Math.max(at, end);
  });
  view.text.append(signs.slice(at).join(""));
  writeDots(view);
}

// A dot under each token for every model whose first guess it was.
function writeDots(view) {
  view.dots = view.tokens.map((node, i) => {
    const right = node ? view.lanes.filter(({ lane }) => guessOf(view, lane, i)?.rank === 1) : [];
    if (!right.length || view.tokens[i - 1] === node) return null;
    const dots = element("span", "dots", node);
    dots.setAttribute("aria-hidden", "true");
    for (const { lane } of right) element("i", "", dots).style.background = lane.color;
    return dots;
  });
}

function writeText(view) {
  const { shown, asked, pinned } = view;
  view.tokens.forEach((node, i) => {
    if (!node || view.tokens[i - 1] === node) return;
    let end = i; // of the pieces of one character
    while (view.tokens[end + 1] === node) end += 1;
    node.classList.toggle("ahead", i > asked);
    node.classList.toggle("veiled", asked > shown && i <= asked && end > shown && i > shown);
    node.classList.toggle("pinned", pinned !== null && i <= pinned && pinned <= end);
    node.setAttribute("aria-selected", String(pinned !== null && i <= pinned && pinned <= end));
    if (view.dots[i]) view.dots[i].classList.toggle("on", end <= shown);
  });
  const node = view.tokens[asked];
  if (node) view.text.setAttribute("aria-activedescendant", node.id);
  else view.text.removeAttribute("aria-activedescendant");
  placeHead(view, node);
}

// The reading head stands behind the token that is read.
function placeHead(view, node) {
  view.head.hidden = !node;
  if (!node) return;
  const box = node.getClientRects()[0];
  const home = view.text.getBoundingClientRect();
  if (!box || !home.width) return;
  const zoom = home.width / view.text.offsetWidth || 1;
  const x = (box.left - home.left) / zoom + view.text.scrollLeft;
  const y = (box.top - home.top) / zoom + view.text.scrollTop;
  Object.assign(view.head.style, {
    transform: `translate(${x - 4}px, ${y}px)`,
    width: `${box.width / zoom + 8}px`,
    height: `${box.height / zoom}px`,
  });
  // A long text scrolls by whole lines.
  const line = parseFloat(getComputedStyle(view.text).lineHeight);
  const low = y + box.height / zoom + 10 - view.text.scrollTop - view.text.clientHeight;
  if (low > 0) view.text.scrollTop += Math.ceil(low / line) * line;
  else if (y < view.text.scrollTop) view.text.scrollTop = Math.floor(y / line) * line;
}
