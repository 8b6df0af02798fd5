// Read the bytes written by viz/canvas/payload.py: how many they are unpacked, then packed a 4-byte header length, a JSON
// header and the planes, the bytes of each by their place in the number.

const VERSION = 4;

function decode(packed) {
  const bytes = inflate(packed.subarray(4), new DataView(packed.buffer, packed.byteOffset, 4).getUint32(0, true));
  const length = new DataView(bytes.buffer, 0, 4).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  if (header.version !== VERSION) throw new Error(`payload of version ${header.version}, this script reads version ${VERSION}: load the page again`);
  let at = 4 + length;
  const planes = header.planes.map(([count, digits, top]) => {
    const whole = joined(bytes.subarray(at, (at += 4 * count)), count);
    return digits ? Float32Array.from(new Uint32Array(whole), (code) => decimal(code, digits, top)) : new Float32Array(whole);
  });
  return { header, planes };
}

// Put the four bytes of every number together again.
function joined(bytes, count) {
  const out = new Uint8Array(4 * count);
  for (let place = 0; place < 4; place++) for (let i = 0; i < count; i++) out[4 * i + place] = bytes[place * count + i];
  return out.buffer;
}

// The number of some digits that a code stands for; top: the power of ten of the largest.
function decimal(code, digits, top) {
  const place = code >>> 1;
  if (!place) return code ? NaN : 0;
  const least = 10 ** (digits - 1);
  const size = ((place - 1) % (9 * least)) + least;
  const power = top - Math.floor((place - 1) / (9 * least)) - digits + 1;
  return (code & 1 ? -1 : 1) * (power < 0 ? size / 10 ** -power : size * 10 ** power);
}

function parseRamp(text) {
  const n = text.length / 6;
  const out = new Uint8Array(n * 3);
  for (let i = 0; i < n * 3; i++) out[i] = parseInt(text.substr(i * 2, 2), 16);
  return out;
}
