// Read the bytes written by viz/canvas/payload.py: 4-byte header length, JSON header, float32 planes.

const VERSION = 3;

function decode(bytes) {
  const length = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  if (header.version !== VERSION) throw new Error(`payload of version ${header.version}, this script reads version ${VERSION}: load the page again`);
  const floats = new Float32Array(bytes.slice(4 + length).buffer); // slice: float views need an aligned start
  const planes = [];
  let at = 0;
  for (const count of header.planes) {
    planes.push(floats.subarray(at, at + count));
    at += count;
  }
  return { header, planes };
}

function parseRamp(text) {
  const n = text.length / 6;
  const out = new Uint8Array(n * 3);
  for (let i = 0; i < n * 3; i++) out[i] = parseInt(text.substr(i * 2, 2), 16);
  return out;
}
