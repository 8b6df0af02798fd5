// Read the bytes written by viz/hero/payload.py: 4-byte header length, JSON header, planes of numbers.

const VERSION = 1;
const SIZES = { f4: 4, f2: 2, u1: 1, u4: 4 };

function decode(bytes) {
  const length = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  if (header.version !== VERSION) throw new Error(`payload of version ${header.version}, this script reads version ${VERSION}: load the page again`);
  const data = bytes.slice(4 + length); // slice: typed views need an aligned start
  let at = 0;
  const planes = header.planes.map(([kind, count]) => {
    const plane = read(data.buffer, at, kind, count);
    const size = count * SIZES[kind];
    at += size + ((4 - (size % 4)) % 4);
    return plane;
  });
  return { header, planes };
}

function read(buffer, at, kind, count) {
  if (kind === "f4") return new Float32Array(buffer, at, count);
  if (kind === "u4") return new Uint32Array(buffer, at, count);
  if (kind === "u1") return new Uint8Array(buffer, at, count);
  return Float32Array.from(new Uint16Array(buffer, at, count), half);
}

// A number of half precision, IEEE 754.
function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const part = bits & 1023;
  if (exponent === 31) return part ? NaN : sign * Infinity;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + part / 1024) : 2 ** -24 * part);
}
