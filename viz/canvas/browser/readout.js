// What is at a place, in words and numbers.

// The lines for a token or a cell.
function readout(view, at) {
  return at.zone === "strip" ? tokenLines(view, at.token) : cellLines(view, at);
}

function tokenLines(view, token) {
  const { strip, bars } = view.header;
  const bits = strip.surprisal === null ? NaN : view.planes[strip.surprisal][token];
  const values = {
    label: strip.labels[token],
    index: token,
    id: strip.ids[token],
    bits: Number.isNaN(bits) ? "–" : bits.toFixed(2),
    p: Number.isNaN(bits) ? "–" : shown(Number((2 ** -bits).toPrecision(3))),
    extra: strip.extra[token] ?? "",
  };
  const own = bars.filter((bar) => bar.plane !== null).map((bar) => fill(bar.readout, { value: shown(view.planes[bar.plane][token]) }));
  return [...strip.readout.map((line) => fill(line, values)), ...own].filter(Boolean);
}

function cellLines(view, at) {
  const { grid, strip } = view.header;
  const tile = grid.mode === "frames" ? view.frame : at.tile;
  const value = valueAt(view, tile, at.row, at.column);
  const values = { row: rowName(view, at.row, at.tile), column: columnName(view, at.column, at.tile), value: shown(value) };
  if (grid.baseline) values.ratio = shown(Number((value / grid.baseline).toPrecision(3)));
  values.tile = grid.mode === "tiles" ? grid.tiles[at.tile].name : "";
  values.frame = view.frame === null ? "" : strip?.labels[frameToken(view)] ?? "";
  values.text = grid.texts?.[at.row]?.[at.column] ?? "";
  values.cell = grid.cell_names?.[at.row]?.[at.column] ?? "";
  return grid.readout.map((line) => fill(line, values)).filter(Boolean);
}

function rowName(view, row, tile) {
  const { grid, strip } = view.header;
  if (grid.owners?.length && tile !== undefined) return ownName(grid, tile, row, grid.pool[0]);
  if (grid.row_names?.length) return grid.row_names[row];
  if (grid.row_tokens || strip?.role === "rows") return spanName(row, grid.pool[0], strip.labels);
  return grid.row_labels?.[row] ?? String(row);
}

function columnName(view, column, tile) {
  const { grid, strip } = view.header;
  if (grid.owners?.length && tile !== undefined) return ownName(grid, tile, column, grid.pool[1]);
  if (grid.column_names?.length) return grid.column_names[column];
  if (strip && strip.role !== "frames") return spanName(column, grid.pool[1], strip.labels);
  return grid.column_labels?.[column] ?? String(column);
}

// The names of the first and the last token of a block.
function spanName(index, pool, names) {
  const last = Math.min(names.length, (index + 1) * pool) - 1;
  const first = index * pool;
  return first === last ? names[first] : `${names[first]} … ${names[last]} (${first}–${last})`;
}

// The names of a tile's own tokens that lie in a row or column.
function ownName(grid, tile, index, pool) {
  const found = grid.owners[tile].slice(index * pool, (index + 1) * pool).filter((token) => token >= 0);
  if (!found.length) return "–";
  const names = grid.owner_names[tile];
  const [first, last] = [found[0], found[found.length - 1]];
  return first === last ? names[first] : `${names[first]} … ${names[last]}`;
}
