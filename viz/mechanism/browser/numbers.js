// Numbers as they are drawn. Each is noted with where it comes from, so that a test can hold it against the payload.

const DIGITS = 3;

// Write a number of a plane: numeral(state, "weights", [4, 2]).
function numeral(state, plane, at, digits = DIGITS) {
  const text = written(state.value(plane, ...at), digits);
  state.told.push({ plane, at, text });
  return text;
}

// Write a number that follows from several of the payload. name: what it is; at: of which token, cell, ...
function computed(state, name, value, at = [], digits = DIGITS) {
  const text = written(value, digits);
  state.told.push({ name, at, text });
  return text;
}

// Write a number in so many digits, with a minus sign: 0.0999, −12.4, 1.2e−6.
const written = (value, digits = DIGITS) => (value === -Infinity ? "−∞" : shown(value, digits).replaceAll("-", "−").replace("e+", "e"));

// Write a share as people read it: 41 %, 0.4 %.
function shareOf(state, name, value, at = []) {
  const hundredth = 100 * value;
  const digits = hundredth >= 9.95 ? 0 : 1;
  const text = hundredth > 0 && hundredth < 0.05 ? "<\u202f0.1\u202f%" : `${hundredth.toFixed(digits)}\u202f%`;
  state.told.push({ name, at, text, share: true });
  return text;
}

// Write a whole number in full.
function wholeOf(state, name, value, at = []) {
  const text = value.toLocaleString("en");
  state.told.push({ name, at, text });
  return text;
}

// Write bytes in the largest binary unit in which they are at least 1, in three digits, as models/units.py does.
function bytesOf(state, name, value, at = []) {
  const text = inBytes(value);
  state.told.push({ name, at, text, value });
  return text;
}

function inBytes(value) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const rounded = (scaled) => (scaled >= 100 ? Math.round(scaled) : Number(scaled.toPrecision(DIGITS)));
  const power = Math.max(0, units.findLastIndex((_, n) => rounded(value / 1024 ** n) >= 1));
  return `${rounded(value / 1024 ** power).toLocaleString("en")} ${units[power]}`;
}

// Numbers of one row or column of a plane: rowOf(state, "key", [3], d) is key[3, 0..d-1].
const rowOf = (state, plane, at, count) => Array.from({ length: count }, (_, n) => state.value(plane, ...at, n));

const dot = (a, b) => a.reduce((sum, value, n) => sum + value * b[n], 0);
const norm = (a) => Math.sqrt(dot(a, a));
