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
  const value = readAt(view, tile, at.row, at.column);
  const values = { row: rowName(view, at.row, at.tile), column: columnName(view, at.column, at.tile), value: shown(value, grid.digits ?? undefined) };
  if (grid.baseline) values.ratio = shown(Number((value / grid.baseline).toPrecision(3)));
  values.tile = grid.mode === "tiles" ? grid.tiles[at.tile].name : "";
  values.frame = view.frame === null ? "" : strip?.labels[frameToken(view)] ?? "";
  values.text = grid.texts?.[at.row]?.[at.column] ?? "";
  values.cell = grid.cell_names?.[at.row]?.[at.column] ?? "";
  const lines = grid.readout.flatMap((line) => fill(line, values).split("\n"));
  return [...lines, Number.isNaN(value) ? "" : pooledWord(view, at)].filter(Boolean);
}

// What the number of a block is: a sum, or the strongest cell; nothing for a single cell.
function pooledWord(view, at) {
  const { grid, words } = view.header;
  const single = members(view, at.tile, at.row, grid.pool[0]).length < 2 && members(view, at.tile, at.column, grid.pool[1]).length < 2;
  return single ? "" : words[grid.sums === null ? "strongest" : "summed"];
}

function rowName(view, row, tile) {
  const { grid, strip } = view.header;
  if (grid.owner_names?.length && tile !== undefined) return ownName(view, tile, row, grid.pool[0]);
  if (grid.row_names?.length) return grid.row_names[row];
  if (grid.row_tokens || strip?.role === "rows") return spanName(view, row, grid.pool[0]);
  return grid.row_labels?.[row] ?? String(row);
}

function columnName(view, column, tile) {
  const { grid, strip } = view.header;
  if (grid.owner_names?.length && tile !== undefined) return ownName(view, tile, column, grid.pool[1]);
  if (grid.column_names?.length) return grid.column_names[column];
  if (strip && strip.role !== "frames") return spanName(view, column, grid.pool[1]);
  return grid.column_labels?.[column] ?? String(column);
}

// The tokens, or rows and columns, in a block: a tile's own ones where it cuts the text in its own way.
function members(view, tile, index, pool) {
  const { grid, strip } = view.header;
  const last = Math.min((index + 1) * pool, strip?.labels.length ?? Infinity);
  const places = Array.from({ length: Math.max(0, last - index * pool) }, (_, i) => index * pool + i);
  const own = grid.owner_names?.length ? grid.owners[tile] : undefined;
  return own ? [...new Set(places.map((place) => own[place]).filter((token) => token >= 0))] : places;
}

// The names of the first and the last token of a block.
function spanName(view, index, pool) {
  const { labels } = view.header.strip;
  const [first, last] = ends(members(view, undefined, index, pool));
  return first === last ? labels[first] : `${labels[first]} … ${labels[last]} (${first}–${last})`;
}

// The names of a tile's own tokens that lie in a row or column.
function ownName(view, tile, index, pool) {
  const found = members(view, tile, index, pool);
  if (!found.length) return "–";
  const names = view.header.grid.owner_names[tile];
  const [first, last] = ends(found);
  return first === last ? names[first] : `${names[first]} … ${names[last]}`;
}

const ends = (list) => [list[0], list[list.length - 1]];
