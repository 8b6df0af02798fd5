// Which labels stand where not all have room: beginnings of sentences before those of words, and these before the rest.

const SENTENCE_START = 0;
const WORD_START = 1;
const INSIDE = 2;
const SPECIAL = /^<.*>$/; // <s>: no part of a sentence
const SENTENCE_END = /[.!?。！？…]$/u;
const READ = /[\p{L}\p{N}]/u; // quotes and brackets around a sentence neither begin nor end one

// The rank of each token by its label, which begins with the mark of a space where a word does.
function ranksOf(labels) {
  let ended = true;
  return labels.map((label) => {
    if (SPECIAL.test(label)) return INSIDE;
    const reads = READ.test(label);
    const begins = reads && ended;
    if (reads) ended = false;
    if (SENTENCE_END.test(label)) ended = true;
    if (begins) return SENTENCE_START;
    return reads && label.startsWith("␣") ? WORD_START : INSIDE;
  });
}

// The ranks of the text of a picture, made once.
function ranks(strip) {
  strip.ranks ??= ranksOf(strip.labels);
  return strip.ranks;
}

// Choose as many of count labels as stand clear of one another: those of kept in any case, then by rank, and within a
// rank from first to last. clear(i, j): whether i and j do not touch. Returns a Set of indices.
function landmarks(count, rank, clear, kept = []) {
  const chosen = new Set(kept);
  for (const level of [SENTENCE_START, WORD_START, INSIDE]) {
    for (let i = 0; i < count; i++) {
      if (rank(i) !== level || chosen.has(i)) continue;
      let free = true;
      for (const other of chosen) free &&= clear(i, other);
      if (free) chosen.add(i);
    }
  }
  return chosen;
}
