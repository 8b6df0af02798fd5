// Lines of arithmetic under the drawing, as text on the page. A line is a list of pieces:
//   "text"                          words and signs
//   {plane, at, digits}             a number of the payload
//   {name, value, at, digits}       a number that follows from several
//   {share, value, at}              the same as per cent
//   {bytes, value, at}              the same in KiB, MiB, ...
//   {whole, value, at}              the same as a whole number
//   {word: token}                   a word of the text
//   {strong: piece}                 the result of the line
// A number keeps where it comes from as data-plane or data-name and data-at.

function writeSums(view, state, lines) {
  view.sums.replaceChildren();
  for (const line of lines) {
    const node = element("p", "sum", view.sums);
    for (const piece of line) if (piece !== null) writePiece(state, piece, node);
  }
}

function writePiece(state, piece, node) {
  if (typeof piece === "string") {
    element("span", "", node).textContent = piece;
    return;
  }
  if (piece.strong) return writePiece(state, piece.strong, element("strong", "", node));
  if (piece.word !== undefined) {
    element("span", "word", node).textContent = plain(state.labels[piece.word]);
    return;
  }
  const { plane, name = piece.share ?? piece.bytes ?? piece.whole, at = [], digits, value } = piece;
  const number = element("span", "number", node);
  if (plane) number.textContent = numeral(state, plane, at, digits);
  else if (piece.share) number.textContent = shareOf(state, name, value, at);
  else if (piece.bytes) number.textContent = bytesOf(state, name, value, at);
  else if (piece.whole) number.textContent = wholeOf(state, name, value, at);
  else number.textContent = computed(state, name, value, at, digits);
  number.dataset[plane ? "plane" : "name"] = plane ?? name;
  number.dataset.at = at.join(",");
}

// A list of numbers of a plane's last dimension with those in the middle left out: the first few, an ellipsis, the last.
function listed(plane, at, count, most = 4) {
  const one = (n) => ({ plane, at: [...at, n], digits: 2 });
  if (count <= most + 1) return between(Array.from({ length: count }, (_, n) => [one(n)]), ", ");
  return [...between(Array.from({ length: most - 1 }, (_, n) => [one(n)]), ", "), ", …, ", one(count - 1)];
}

// Put lists of pieces behind one another, with a sign between them.
const between = (parts, sign) => parts.flatMap((part, n) => (n ? [sign, ...part] : part));
