// Unpack bytes that viz/canvas/payload.py has packed (DEFLATE, RFC 1951). The browser's own DecompressionStream answers
// later, and a picture has to be there when its component returns.

const EXTRA_LENGTH = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const EXTRA_DISTANCE = [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13];
const LENGTH = [...runStarts(EXTRA_LENGTH.slice(0, -1), 3), 258]; // the longest has a code of its own
const DISTANCE = runStarts(EXTRA_DISTANCE, 1);
const CODE_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
const MOST_BITS = 15; // of a code

// Unpack bytes. size: how many they become. Throws RangeError for what is no such stream.
function inflate(bytes, size) {
  const out = new Uint8Array(size);
  let [at, from, hold, held] = [0, 0, 0, 0]; // places in out and in bytes; bits that are read and not used

  function fill(count) {
    for (; held < count; held += 8) hold |= (bytes[from++] ?? 0) << held;
    if (from > bytes.length + 2) throw new RangeError("a packed picture ends too early");
  }

  function take(count) {
    fill(count);
    const value = hold & ((1 << count) - 1);
    hold >>>= count;
    held -= count;
    return value;
  }

  function symbol({ table, most }) {
    fill(most);
    const entry = table[hold & ((1 << most) - 1)];
    if (!entry) throw new RangeError("a packed picture holds a code that there is not");
    hold >>>= entry & 15;
    held -= entry & 15;
    return entry >>> 4;
  }

  function ownCodes() {
    const [literals, distances, known] = [take(5) + 257, take(5) + 1, take(4) + 4];
    const order = new Array(CODE_ORDER.length).fill(0);
    for (let i = 0; i < known; i++) order[CODE_ORDER[i]] = take(3);
    const coded = huffman(order);
    const lengths = [];
    while (lengths.length < literals + distances) {
      const next = symbol(coded);
      if (next < 16) lengths.push(next);
      else if (next === 16) lengths.push(...Array(3 + take(2)).fill(lengths[lengths.length - 1]));
      else lengths.push(...Array(next === 17 ? 3 + take(3) : 11 + take(7)).fill(0));
    }
    return [huffman(lengths.slice(0, literals)), huffman(lengths.slice(literals))];
  }

  function coded([literals, distances]) {
    for (let next = symbol(literals); next !== 256; next = symbol(literals)) {
      if (next < 256) {
        out[at++] = next;
        continue;
      }
      const end = at + LENGTH[next - 257] + take(EXTRA_LENGTH[next - 257]);
      const far = symbol(distances);
      const back = DISTANCE[far] + take(EXTRA_DISTANCE[far]);
      for (; at < end; at++) out[at] = out[at - back];
    }
  }

  function stored() {
    from -= held >> 3; // the block begins at a whole byte
    hold = held = 0;
    const length = bytes[from] | (bytes[from + 1] << 8);
    out.set(bytes.subarray(from + 4, from + 4 + length), at);
    from += 4 + length;
    at += length;
  }

  for (let last = 0; !last; ) {
    last = take(1);
    const kind = take(2);
    if (kind === 0) stored();
    else if (kind === 3) throw new RangeError("a packed picture holds a block of no kind");
    else coded(kind === 1 ? FIXED_CODES : ownCodes());
  }
  if (at !== size) throw new RangeError(`a packed picture of ${at} bytes, ${size} were announced`);
  return out;
}

// Look-up of a code whose symbols have these lengths in bits, 0 for none: from the next bits to (symbol, length).
function huffman(lengths) {
  const most = Math.max(1, ...lengths);
  const table = new Uint16Array(1 << most);
  let code = 0;
  for (let length = 1; length <= Math.min(most, MOST_BITS); length++, code <<= 1) {
    lengths.forEach((own, symbol) => {
      if (own !== length) return;
      let turned = 0; // a code is sent from its highest bit on
      for (let bit = 0; bit < length; bit++) turned |= ((code >> bit) & 1) << (length - 1 - bit);
      for (let place = turned; place < table.length; place += 1 << length) table[place] = (symbol << 4) | length;
      code++;
    });
  }
  return { table, most };
}

const FIXED_CODES = [
  huffman([...Array(144).fill(8), ...Array(112).fill(9), ...Array(24).fill(7), ...Array(8).fill(8)]),
  huffman(Array(30).fill(5)),
];

// Where each run of lengths or distances begins; extra: how many bits follow the code of each.
function runStarts(extra, first) {
  let next = first;
  return extra.map((bits) => (next += 2 ** bits) - 2 ** bits);
}
