// Where everything lies: the strip with flat labels, ticks or leaning labels, bars, rows or tiles, in a given width.

// Return the plan of a view; reads its header, its width and measure(font, text), and changes nothing.
function layout(view) {
  const { width } = view;
  const { grid, strip, bars, theme } = view.header;
  const small = width < 480;
  const plan = { width, small, fonts: fontsOf(theme, small) };
  const tokens = strip ? strip.labels.length : 0;
  const aligned = strip && strip.role === "columns";
  plan.left = gutter(view, plan);
  // Columns: as wide as there is room, at most 76 px so that a short prompt stays a picture and not a wall.
  const widest = grid && !strip ? 120 : 76;
  const room = width - plan.left;
  const columns = grid && grid.mode !== "tiles" ? grid.columns : tokens;
  planTokens(view, plan, room, widest);
  plan.labels = strip ? planLabels(view, plan, room) : null;
  plan.stripX = plan.left - plan.tokens[0] * plan.token; // labels that lean have made tokens narrower
  plan.cell = aligned ? plan.token * (grid ? grid.pool[1] : 1) : grid && grid.mode !== "tiles" ? Math.min(strip ? 1e9 : widest, room / columns) : 0;
  plan.cellX = aligned ? plan.stripX : plan.left;
  plan.gridWidth = aligned && grid ? plan.token * (plan.tokens[1] - plan.tokens[0]) : plan.cell * columns;
  plan.stripY = 0;
  let y = strip ? plan.labels.height : 0;
  plan.bars = bars.map(() => {
    const at = { y: y + 6, height: 36 };
    y = at.y + at.height + 24;
    return at;
  });
  if (strip && grid) y += bars.length ? 4 : 6;
  plan.gridY = y;
  if (grid) y = grid.mode === "tiles" ? planTiles(grid, plan, y) : planRows(grid, plan, y, view.roof);
  if (grid) planGridRows(view, plan);
  plan.height = Math.ceil(y + 1);
  return plan;
}

// Which tokens are shown, how wide one is, and where the first of all would begin, to the left of the picture where it
// is not shown. whole: how wide one is where all are shown.
function planTokens(view, plan, room, widest) {
  const { strip } = view.header;
  const tokens = strip ? strip.labels.length : 0;
  plan.across = shownRange(view, "range");
  plan.down = shownRange(view, "rows");
  plan.tokens = strip?.role === "rows" ? plan.down : plan.across;
  plan.whole = strip ? Math.min(widest, room / Math.max(tokens, 1)) : 0;
  plan.zoomed = [plan.across, plan.down].some(([first, after]) => after - first < tokens);
  const count = plan.tokens[1] - plan.tokens[0];
  plan.token = count < tokens ? room / count : plan.whole;
  plan.stripX = plan.left - plan.tokens[0] * plan.token;
}

function fontsOf(theme, small) {
  return {
    token: `500 ${small ? 12 : 13}px ${theme.mono}`,
    tokenBold: `700 ${small ? 12 : 13}px ${theme.mono}`,
    row: `500 ${small ? 11 : 12}px ${theme.mono}`,
    note: `400 ${small ? 10 : 11}px ${theme.font}`,
    text: `400 13px ${theme.font}`,
    number: `400 11px ${theme.mono}`,
  };
}

// The room left of the grid for the names of rows.
function gutter(view, plan) {
  const { grid, strip } = view.header;
  if (!grid) return 0;
  const widest = (font, labels) => Math.max(0, ...labels.map((label) => view.measure(font, label)));
  if (grid.mode === "tiles") return grid.tile_row_labels.length ? Math.ceil(widest(plan.fonts.number, grid.tile_row_labels)) + 10 : 0;
  const labels = grid.row_tokens && strip ? strip.labels : grid.row_labels;
  if (!labels.length) return 0;
  const wanted = Math.max(widest(plan.fonts.row, labels), widest(plan.fonts.note, grid.row_notes));
  const limit = Math.min(128, plan.width * 0.24);
  return Math.ceil(Math.min(wanted, limit)) + 12 + (grid.row_colors.length ? 10 : 0);
}

// Labels lie flat where all have room. Else the screen has a tick for each token and a label where there is room
// (landmarks.js), and the labels of the shown and of the hovered one are drawn above them (strip.js); print, which has no pointer, has leaning labels.
function planLabels(view, plan, room) {
  const { strip, theme } = view.header;
  if (strip.roles) return planSequence(view, plan);
  const groups = [];
  strip.labels.forEach((label, i) => {
    if (i < plan.tokens[0] || i >= plan.tokens[1]) return;
    if (strip.piece[i] > 1 && groups.length) groups[groups.length - 1].span += 1;
    else groups.push({ start: i, span: 1, label });
  });
  const slot = plan.token;
  const weight = (size, heavy) => `${heavy} ${size}px ${theme.mono}`;
  const sized = (font) => groups.forEach((group) => (group.width = view.measure(font, group.label)));
  const use = (size) => Object.assign(plan.fonts, { token: weight(size, 500), tokenBold: weight(size, 700) });
  for (const size of plan.small ? [12, 11] : [13, 12, 11.5]) {
    sized(weight(size, 700)); // any of them may be the shown one
    if (!spread(groups, slot, size * 0.4, EDGE - plan.stripX, plan.width - EDGE - plan.stripX)) continue;
    use(size);
    return { groups, lean: 0, height: 36, loose: true };
  }
  if (view.print) return planLeaning(view, plan, room, groups);
  sized(plan.fonts.token);
  const middle = (i) => plan.stripX + (groups[i].start + groups[i].span / 2) * slot;
  const half = (i) => Math.min(groups[i].width, TICK_LABEL) / 2;
  const inside = (i) => middle(i) - half(i) >= 1 && middle(i) + half(i) <= plan.width - 1;
  const clear = (i, j) => Math.abs(middle(i) - middle(j)) >= half(i) + half(j) + TICK_GAP;
  const named = landmarks(groups.length, (i) => (inside(i) ? ranks(strip)[groups[i].start] : null), clear);
  groups.forEach((group, i) => (group.named = named.has(i)));
  return { groups, lean: 0, height: 36, ticks: true };
}

const TICK_LABEL = 96; // pixels of a label above ticks at most
const TICK_GAP = 12; // between two of them

// A sequence of single characters stands upright, one per token. Where tokens are narrower than a character, neighbours
// stand on lines of their own: a key above its value.
function planSequence(view, plan) {
  const { strip, theme } = view.header;
  const size = plan.small ? 11 : 12;
  Object.assign(plan.fonts, { token: `500 ${size}px ${theme.mono}`, tokenBold: `700 ${size}px ${theme.mono}` });
  const room = size * 0.6 + 1;
  const linesOf = (wide) => (wide >= room ? 1 : 2 * wide >= room ? 2 : 4);
  const groups = strip.labels.map((label, i) => ({ start: i, span: 1, label, shift: 0 })).slice(...plan.tokens);
  return { groups, lean: 0, height: 22 + LINE * linesOf(plan.whole), lines: linesOf(plan.token) };
}

const LINE = 14; // of a sequence
const EDGE = 7; // between a label and the edge of the picture: the frame of the shown one stands there

// Leaning more steeply and in smaller type lets more labels stand side by side. Sets the fonts of tokens in the plan and,
// where leaning ones need room at the right, the width of a token.
function planLeaning(view, plan, room, groups) {
  const { strip, theme } = view.header;
  for (const [degrees, size, line] of [[56, plan.small ? 12 : 13, 13.5], [70, 11.5, 12.2]]) {
    const lean = (degrees * Math.PI) / 180;
    const font = (heavy) => `${heavy} ${size}px ${theme.mono}`;
    groups.forEach((group) => (group.width = view.measure(font(500), group.label)));
    const longest = Math.min(Math.max(...groups.map((group) => group.width)), plan.small ? 74 : 96);
    const overhang = longest * Math.cos(lean) + 4;
    plan.token = Math.min(plan.token, (room - Math.max(0, overhang - plan.token / 2)) / strip.labels.length);
    Object.assign(plan.fonts, { token: font(500), tokenBold: font(700) });
    const hidden = thin(groups, plan.token, line / Math.sin(lean), shownToken(view), ranks(strip));
    if (!hidden || degrees === 70) return { groups, lean, longest, height: Math.ceil(longest * Math.sin(lean) + 24) };
  }
}

const LOWEST = 6; // pixels of a row that is squeezed below a roof

// roof: how high the whole picture may be, on a screen that it fills (assets/scripts/full_screen.js); none on the page.
function planRows(grid, plan, y, roof) {
  const below = (grid.column_labels.length ? 20 : 0) + (grid.column_title || grid.row_title ? 20 : 0) + 1;
  const room = roof ? Math.max(LOWEST, (roof - y - below) / grid.rows) : Infinity;
  const limit = Math.min(room, grid.max_height / grid.rows);
  const square = grid.row_tokens ? plan.whole * grid.pool[1] : Infinity;
  plan.row = Math.max(2, Math.min(grid.row_height, limit, Math.max(square, 3)));
  plan.gridHeight = plan.row * grid.rows;
  y += plan.gridHeight;
  if (grid.column_labels.length) y += 20;
  if (grid.column_title || grid.row_title) y += 20;
  return y;
}

// Rows that are tokens fill the height of all rows. cellY: where the first of all rows would begin.
function planGridRows(view, plan) {
  const { grid, strip } = view.header;
  const [first, after] = plan.down;
  const [top, bottom] = [first / grid.pool[0], after / grid.pool[0]];
  plan.cellY = plan.gridY;
  if (!grid.row_tokens || !strip || after - first === strip.labels.length) return;
  plan.row = plan.gridHeight / (bottom - top);
  plan.cellY -= top * plan.row;
}

function planTiles(grid, plan, y) {
  const room = plan.width - plan.left - 4; // 2 px on either side for outlines
  const fixed = grid.tile_columns > 0;
  const columns = fixed ? grid.tile_columns : Math.min(grid.count, plan.small ? 2 : plan.width < 620 ? 3 : 4);
  const gap = plan.small || columns > 8 ? 6 : 14;
  const size = Math.min(grid.tile_size, Math.floor((room - gap * (columns - 1)) / columns));
  const head = fixed ? 0 : 20;
  const foot = grid.tiles.some((tile) => tile.score !== null) ? (size >= 54 ? 18 : 9) : 0;
  const top = grid.tile_column_labels.length ? 20 : 0;
  const rows = Math.ceil(grid.count / columns);
  plan.tiles = { columns, size, gap, head, foot, top, rows };
  return y + top + rows * (head + size + foot + gap) - gap + 4;
}

// The square of a tile.
function tileBox(plan, index) {
  const { columns, size, gap, head, foot, top } = plan.tiles;
  const x = plan.left + 2 + (index % columns) * (size + gap);
  const y = plan.gridY + top + Math.floor(index / columns) * (head + size + foot + gap) + head;
  return { x, y, size };
}

// The cells of a tile: how wide and tall one is, and where the first of all would begin.
function tileCells(view, index) {
  const { grid, strip } = view.header;
  const { across, down, zoomed } = view.plan;
  const { x, y, size } = tileBox(view.plan, index);
  if (!zoomed || strip?.role !== "rows") return { x, y, wide: size / grid.columns, tall: size / grid.rows };
  const wide = (size * grid.pool[1]) / (across[1] - across[0]);
  const tall = (size * grid.pool[0]) / (down[1] - down[0]);
  return { x: x - (across[0] / grid.pool[1]) * wide, y: y - (down[0] / grid.pool[0]) * tall, wide, tall };
}
