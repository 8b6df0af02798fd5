// Which rows of a finder are shown, in which order. Input: the decoded header, whose metrics hold their arrays.

// The indices of the rows that pass the filters, sorted. choice: metric, sort ("row", "here" or "there"), down, layer
// (null for all), item ("" for all, else the start of its number), above (only what is beyond chance).
function rowsOf(header, choice) {
  const metric = header.metrics[choice.metric];
  const kept = [...header.layers.keys()].filter((row) => {
    if (choice.layer !== null && header.layers[row] !== choice.layer) return false;
    if (choice.item && !String(header.items[row]).startsWith(choice.item)) return false;
    return !choice.above || beyond(metric, row);
  });
  const place = (a, b) => header.layers[a] - header.layers[b] || header.items[a] - header.items[b];
  if (choice.sort === "row") return kept.sort((a, b) => (choice.down ? place(b, a) : place(a, b)));
  const values = metric.columns[choice.sort];
  return kept.sort((a, b) => {
    const [x, y] = [values[a], values[b]];
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y) || place(a, b); // no value comes last
    return (choice.down ? y - x : x - y) || place(a, b);
  });
}

// Whether a row lies beyond chance, in the direction of the metric, on every text that has a chance value.
function beyond(metric, row) {
  const sides = ["here", "there"].filter((side) => metric.columns[side] && metric.columns[`chance_${side}`]);
  return sides.length > 0 && sides.every((side) => {
    const [value, chance] = [metric.columns[side][row], metric.columns[`chance_${side}`][row]];
    return metric.smallest_first ? value < chance : value > chance;
  });
}

// The share of a bar that a value fills.
function shareOf(metric, value) {
  return Math.max(0, Math.min(1, (value - metric.low) / (metric.high - metric.low)));
}

function writtenOf(metric, value, none) {
  if (Number.isNaN(value)) return none;
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const text = metric.digits === null ? significant(value) : value.toFixed(metric.digits);
  return text.replace("-", "−");
}

// Three significant digits; thousands with commas.
function significant(value) {
  const size = Math.abs(value);
  if (size >= 1e6 || (size > 0 && size < 1e-3)) return value.toExponential(1).replace("e+", "e");
  if (size >= 1000) return Math.round(value).toLocaleString("en-US");
  return String(Number(value.toPrecision(3)));
}
