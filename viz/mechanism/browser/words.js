// Words of the text on the drawing: broken into lines, measured, each with its place.

// A label without the mark of its leading space.
const plain = (label) => label.replace(/^\u2423(?=.)/u, "");
const leads = (label) => /^\u2423/u.test(label);

// Whether a token stands for no characters of the text, as the one before the first word.
const isSpecial = (state, token) => state.spans[token][0] === state.spans[token][1];
const starts = (state, token) => leads(state.labels[token]) || isSpecial(state, token) || (token > 0 && isSpecial(state, token - 1));

// Break the tokens [first, after) into lines: boxes {tokens, text, x, y, width, height, line}, y being the middle of the
// line. Pieces of one character share a box. Lines break before a word; one that is wider than all the room is shortened.
function wordBoxes(state, { x, y, width, first = 0, after = state.labels.length, font, line }) {
  const space = state.measure(font, " ") + 2;
  const boxes = [];
  let [left, row] = [0, 0];
  const groups = wordGroups(state, first, after, font);
  for (const group of groups) {
    const whole = group.reduce((sum, piece) => sum + piece.width, 0);
    const gap = left && starts(state, group[0].tokens[0]) ? space : 0;
    if (left && left + gap + whole > width) [left, row] = [0, row + 1];
    else left += gap;
    for (const piece of group) {
      if (left && left + piece.width > width) [left, row] = [0, row + 1];
      const room = Math.min(piece.width, width);
      const text = piece.width > width ? shorten(piece.text, width, (part) => state.measure(font, part)) : piece.text;
      boxes.push({ tokens: piece.tokens, text, x: x + left, y: y + row * line + line / 2, width: room, height: line, line: row });
      left += room;
    }
  }
  return boxes;
}

// Tokens that belong together: a word with what follows it without a space. Each piece is {tokens, text, width}.
function wordGroups(state, first, after, font) {
  const groups = [];
  for (let token = first; token < after; token++) {
    const label = state.labels[token];
    if (state.piece[token] > 1 && groups.length) {
      groups.at(-1).at(-1).tokens.push(token);
      continue;
    }
    const text = plain(label);
    const piece = { tokens: [token], text, width: state.measure(font, text), special: isSpecial(state, token) };
    if (leads(label) || !groups.length || piece.special || groups.at(-1)[0].special) groups.push([piece]);
    else groups.at(-1).push(piece);
  }
  return groups;
}

const boxOf = (boxes, token) => boxes.find(({ tokens }) => tokens.includes(token)) ?? null;

const boxAt = (boxes, x, y) => boxes.find((box) => x >= box.x - 2 && x <= box.x + box.width + 2 && Math.abs(y - box.y) <= box.height / 2) ?? null;

// Write the words. look(box): {color, bold, ground, edge, line} of each, all of which may be left out; line underlines.
function drawWords(ctx, state, boxes, { size, look = () => ({}) }) {
  ctx.textAlign = "left";
  ctx.textBaseline = "middle";
  for (const box of boxes) {
    const { color = state.theme.ink, bold, ground, edge, line } = look(box);
    if (ground || edge) {
      ctx.fillStyle = ground ?? "transparent";
      ctx.strokeStyle = edge ?? "transparent";
      ctx.lineWidth = 1.5;
      outline(ctx, box.x - 3, box.y - size * 0.75, box.width + 6, size * 1.5, 5);
    }
    ctx.font = `${bold ? 650 : 500} ${size}px ${state.theme.font}`;
    ctx.fillStyle = color;
    ctx.fillText(box.text, box.x, box.y);
    if (line) ctx.fillRect(box.x, box.y + size * 0.66, box.width, 1.5);
  }
}

// The tokens [first, after) that are shown of a long text: at most so many, with the shown one among them and as much of
// its past as there is room for.
function windowed(count, token, most, ahead = 0) {
  if (count <= most) return [0, count];
  const after = Math.min(count, Math.max(most, token + 1 + ahead));
  return [after - most, after];
}
