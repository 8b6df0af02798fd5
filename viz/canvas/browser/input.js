// Pointer, keyboard and click.

function listen(view) {
  const { stage } = view;
  stage.onpointermove = (event) => drag(view, event) || hover(view, event);
  stage.onpointerdown = (event) => {
    hover(view, event);
    press(view, event);
  };
  stage.onpointerup = () => release(view);
  stage.onpointercancel = () => letBrushGo(view);
  stage.onpointerleave = () => {
    if (!view.brush) view.pressed = null;
    setCursor(view, null);
  };
  stage.onblur = () => setCursor(view, null);
  stage.onkeydown = (event) => key(view, event);
  stage.onclick = (event) => {
    if (view.dragged) {
      view.dragged = false; // the end of a range that was drawn
      return;
    }
    const at = hit(view, event);
    if (at) choose(view, at);
  };
}

// Point at a place; the other pictures of the page hear which token that is.
function setCursor(view, at) {
  view.cursor = at;
  if (!view.plan) return;
  const token = at && tokenAt(view, at);
  const hover = token === null ? null : meant(view, token, at.tile).token;
  if (view.store && hover !== said(view).hover) view.store.set({ hover }, view.header.id); // draws this one, too
  else paintOver(view);
}

// The token of the strip that a place stands for; null for none.
function tokenAt(view, at) {
  const { grid } = view.header;
  if (at.zone === "strip") return at.token;
  const count = grid?.follows ? grid.rows : view.header.strip?.labels.length ?? 0;
  const token = grid.picks === "row" ? at.row * grid.pool[0] : grid.picks === "column" ? at.column * grid.pool[1] : null;
  return token !== null && token < count ? token : null;
}

// The token or cell under the pointer; null where there is none.
function hit(view, event) {
  if (!view.header || !view.plan) return null;
  const box = view.base.getBoundingClientRect();
  const zoom = box.width / view.plan.width || 1;
  return cellAt(view, (event.clientX - box.left) / zoom, (event.clientY - box.top) / zoom);
}

function cellAt(view, x, y) {
  const { strip, grid } = view.header;
  const { left, gridY, gridWidth, gridHeight, row: tall, cell, token: wide, tokens, stripX, cellX, cellY } = view.plan;
  if (strip && y < gridY && y >= 0) {
    const token = Math.floor((x - stripX) / wide);
    return token >= tokens[0] && token < tokens[1] ? { zone: "strip", token, x, y } : null;
  }
  if (!grid) return null;
  if (grid.mode === "tiles") return tileAt(view, x, y);
  const row = Math.floor((y - cellY) / tall);
  if (y < gridY || y >= gridY + gridHeight || row >= grid.rows || x >= left + gridWidth) return null;
  const column = Math.floor((x - cellX) / cell);
  if (x < left) return grid.row_tokens ? { zone: "strip", token: Math.min(strip.labels.length - 1, row * grid.pool[0]), x, y } : null;
  return column < grid.columns ? { zone: "grid", tile: 0, row, column, x, y } : null;
}

function tileAt(view, x, y) {
  const { grid } = view.header;
  for (let i = 0; i < grid.count; i++) {
    const tile = tileBox(view.plan, i);
    if (x < tile.x || y < tile.y || x >= tile.x + tile.size || y >= tile.y + tile.size + view.plan.tiles.foot) continue;
    const cells = tileCells(view, i);
    const row = Math.floor((Math.min(y, tile.y + tile.size - 0.01) - cells.y) / cells.tall); // the score below belongs to the last
    return { zone: "grid", tile: i, row: Math.min(grid.rows - 1, row), column: Math.min(grid.columns - 1, Math.floor((x - cells.x) / cells.wide)), x, y };
  }
  return null;
}

function hover(view, event) {
  const at = hit(view, event);
  const before = view.cursor;
  if (at && before && ["zone", "token", "tile", "row", "column"].every((name) => at[name] === before[name])) {
    Object.assign(before, { x: at.x, y: at.y });
    writeTip(view);
  } else setCursor(view, at);
}

function key(view, event) {
  const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0], Home: [0, -1e6], End: [0, 1e6] };
  if (event.key === "Escape") return view.brush ? letBrushGo(view) : setCursor(view, null);
  if (zoomKey(view, event)) return;
  const chosen = event.key === "Enter" || event.key === " ";
  const step = steps[event.key];
  if (!chosen && !step) return;
  event.preventDefault();
  if (chosen) {
    if (view.cursor) choose(view, view.cursor);
    return;
  }
  const at = view.cursor ? moved(view, view.cursor, step, event.shiftKey) : start(view);
  keepInRange(view, at);
  setCursor(view, at);
  view.heard.textContent = readout(view, at).join(". ");
}

// Where the keyboard enters: at the shown token, or where that is out of sight, at the first that is shown.
function start(view) {
  const { grid, strip } = view.header;
  const [first, after] = view.plan?.tokens ?? [0, Infinity];
  const shown = shownToken(view);
  if (strip) return { zone: "strip", token: shown !== null && shown >= first && shown < after ? shown : first };
  return { zone: "grid", tile: shownTile(view) ?? 0, row: 0, column: 0 };
}

// One step of the keyboard; inside: within a tile, not to the next one.
function moved(view, at, [down, right], inside) {
  const { grid, strip } = view.header;
  const clamp = (v, n) => Math.max(0, Math.min(n - 1, v));
  const onStrip = (token) => ({ zone: "strip", token });
  if (at.zone === "strip") {
    if (down <= 0 || !grid) return onStrip(clamp(at.token + right, strip.labels.length));
    const top = hasRows(view) ? Math.floor((view.plan?.down?.[0] ?? 0) / grid.pool[0]) : 0;
    const row = strip.role === "rows" ? Math.floor(at.token / grid.pool[0]) : top;
    const column = strip.role === "columns" ? Math.floor(at.token / grid.pool[1]) : 0;
    return { zone: "grid", tile: shownTile(view) ?? 0, row, column };
  }
  const { tile, row, column } = at;
  if (grid.mode === "tiles" && !inside) {
    const next = tile + right + down * view.plan.tiles.columns;
    if (next < 0 && strip) return onStrip(shownToken(view) ?? 0);
    return { zone: "grid", tile: next < grid.count ? clamp(next, grid.count) : tile, row, column };
  }
  if (row + down < 0 && strip) {
    return onStrip(strip.role === "columns" ? Math.min(strip.labels.length - 1, column * grid.pool[1]) : frameToken(view) ?? shownToken(view) ?? 0);
  }
  return { zone: "grid", tile, row: clamp(row + down, grid.rows), column: clamp(column + right, grid.columns) };
}

// Choose the token that a place stands for, or let go of it where it is the chosen one; where the header asks for it, the
// server hears of the place in original (unpooled) indices.
function choose(view, at) {
  const { grid, strip } = view.header;
  const token = tokenAt(view, at);
  if (token !== null && view.store) {
    const next = meant(view, token, at.zone === "grid" ? at.tile : null);
    const now = said(view);
    const again = now.frame === null && now.token === next.token && equal(now.span, next.span);
    view.store.set({ ...(again ? { token: null, span: null } : next), frame: null, playing: false }, view.header.id);
  }
  if (!grid?.reports) return;
  if (at.zone === "strip") {
    const row = strip.role === "rows" || grid.row_tokens ? at.token : null;
    view.pick({ row, column: strip.role === "columns" ? at.token : null, tile: null, token });
    return;
  }
  const row = at.row * grid.pool[0];
  const column = at.column * grid.pool[1];
  view.pick({ row, column, tile: grid.mode === "matrix" ? null : grid.mode === "frames" ? view.frame : at.tile, token });
}
