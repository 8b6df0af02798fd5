// The best guesses before a token, their probabilities, and where the token that came stood.

function buildGuesses(view, own, row) {
  const box = element("div", "guesses", row);
  const list = element("ol", "", box);
  const rows = own.lane.guesses.best[0].map(() => {
    const item = element("li", "", list);
    const dot = element("i", "dot", item);
    const label = element("span", "label", item);
    const bar = element("span", "bar", item);
    const part = element("i", "", bar);
    return { item, dot, label, part, p: element("span", "p", item) };
  });
  const came = element("p", "came", box);
  return { box, rows, came };
}

// The guesses of a lane before token i of the text: {labels, probs, rank, prob, token, label}; null before the first.
function guessOf(view, lane, i) {
  const token = lane.steps ? lane.steps[i] : i;
  if (token < 1) return null;
  const { labels, best, probs, rank, prob } = lane.guesses;
  const count = best[token].length;
  const plane = view.planes[probs];
  return {
    token,
    label: (lane.labels ?? view.header.labels)[token],
    labels: best[token].map((place) => labels[place]),
    probs: Array.from({ length: count }, (_, n) => plane[token * count + n]),
    rank: view.planes[rank][token],
    prob: view.planes[prob][token],
  };
}

function writeGuesses(view, own) {
  const { words } = view.header;
  const found = guessOf(view, own.lane, view.asked);
  const open = !found || view.asked > view.shown; // what came is still veiled
  own.guesses.rows.forEach(({ item, dot, label, part, p }, n) => {
    const filled = found && n < found.labels.length;
    label.textContent = filled ? plain(found.labels[n]) : "";
    p.textContent = filled ? percent(found.probs[n]) : "";
    part.style.width = filled ? `${100 * found.probs[n]}%` : "0";
    const hit = filled && !open && found.rank === n + 1;
    item.classList.toggle("hit", hit);
    dot.className = hit ? (n ? "dot near" : "dot right") : "dot";
    item.title = filled ? fill(words.guess, { label: found.labels[n], p: percent(found.probs[n]) }) : "";
  });
  own.row.classList.toggle("asking", Boolean(found) && open);
  const told = found && !open ? { label: plain(found.label), rank: found.rank, p: percent(found.prob) } : null;
  own.guesses.came.textContent = told ? fill(found.rank === 1 ? words.hit : words.came, told) : found ? words.before : words.unread;
}

function percent(p) {
  const hundredth = 100 * p;
  if (hundredth >= 9.95) return `${hundredth.toFixed(0)}\u202f%`;
  if (hundredth >= 0.095) return `${hundredth.toFixed(1)}\u202f%`;
  return hundredth > 0 ? "<\u202f0.1\u202f%" : "0\u202f%";
}
