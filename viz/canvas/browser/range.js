// The tokens that a view shows: all of its strip, or those in the range of its store. In print it shows all.

const LEAST_RANGE = 8; // tokens

// The strip's tokens along the columns ("range"), or along the rows of a map ("rows"), as [first, after).
function shownRange(view, name) {
  const { strip } = view.header;
  const count = strip?.labels.length ?? 0;
  const { range, rows } = said(view);
  const asked = view.print ? null : name === "rows" ? rows ?? range : range;
  return (asked && rangeIn(view, asked, count)) ?? [0, count];
}

// A range of the reading in the strip's own tokens; null where it has none of them.
function rangeIn(view, [first, after], count) {
  const { grid } = view.header;
  if (grid?.owners?.length) return extent(grid.owners[0].map((own) => own >= first && own < after));
  return first < count && after > first ? [Math.max(0, first), Math.min(after, count)] : null;
}

// A range of about so many tokens around a place, within all of them.
function rangeAround(middle, size, count) {
  const wide = Math.min(count, Math.max(LEAST_RANGE, Math.round(size)));
  const first = Math.max(0, Math.min(count - wide, Math.round(middle - wide / 2)));
  return [first, first + wide];
}

// Show a range of the strip's tokens in all pictures of the text, with other ones along the rows of maps.
function setRange(view, columns, rows) {
  const count = view.header.strip.labels.length;
  const told = ([first, after]) => [meant(view, first).token, meant(view, after - 1).token + 1];
  const all = [columns, rows].every(([first, after]) => after - first >= count);
  const next = all ? { range: null, rows: null } : { range: told(columns), rows: equal(columns, rows) ? null : told(rows) };
  view.store?.set(next, view.header.id);
}

// Whether rows, or columns, of the grid are tokens of the strip.
const hasRows = ({ header: { grid, strip } }) => Boolean(strip && grid && (grid.row_tokens || (grid.mode === "tiles" && strip.role === "rows")));
const hasColumns = ({ header: { grid, strip } }) => Boolean(strip && grid && strip.role !== "frames");

// Lay the picture out for another range. What a pointer rests on may be another cell now.
function showRange(view) {
  paint(view);
  const { cursor } = view;
  if (cursor?.x !== undefined) setCursor(view, cellAt(view, cursor.x, cursor.y));
}

// Move the range as little as possible so that it holds what the keys point at.
function keepInRange(view, at) {
  if (!view.plan.zoomed) return;
  const { grid } = view.header;
  const block = (index, pool) => [index * pool, (index + 1) * pool - 1];
  const hold = (range, [first, last]) => holding(holding(range, last), first);
  let [columns, rows] = [view.plan.across, view.plan.down];
  const same = equal(columns, rows);
  const column = at.zone === "strip" ? [at.token, at.token] : hasColumns(view) && block(at.column, grid.pool[1]);
  const row = at.zone === "strip" ? column : hasRows(view) && block(at.row, grid.pool[0]);
  if (column) columns = hold(columns, column);
  if (row) rows = hold(rows, row);
  else if (same) rows = columns;
  if (!equal(columns, view.plan.across) || !equal(rows, view.plan.down)) setRange(view, within(view, columns), within(view, rows));
}

// A range that a short last block has pushed beyond the end.
function within(view, [first, after]) {
  const over = Math.max(0, after - view.header.strip.labels.length);
  return [Math.max(0, first - over), after - over];
}
