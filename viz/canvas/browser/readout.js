// What is under the cursor, in words and numbers.

class Readout extends Overlay {
  span(index, pool, names) {
    const last = Math.min(names.length, (index + 1) * pool) - 1;
    const first = index * pool;
    return first === last ? names[first] : `${names[first]} … ${names[last]} (${first}–${last})`;
  }

  // The names of a tile's own tokens that lie in a row or column.
  ownName(tile, index, pool) {
    const { owners, owner_names: names } = this.header.grid;
    const found = owners[tile].slice(index * pool, (index + 1) * pool).filter((token) => token >= 0);
    if (!found.length) return "–";
    const [first, last] = [found[0], found[found.length - 1]];
    return first === last ? names[tile][first] : `${names[tile][first]} … ${names[tile][last]}`;
  }

  rowName(row, tile) {
    const { grid, strip } = this.header;
    if (grid.owners.length && tile !== undefined) return this.ownName(tile, row, grid.pool[0]);
    if (grid.row_names.length) return grid.row_names[row];
    if (grid.row_tokens || strip?.role === "rows") return this.span(row, grid.pool[0], strip.labels);
    return grid.row_labels[row] ?? String(row);
  }

  columnName(column, tile) {
    const { grid, strip } = this.header;
    if (grid.owners.length && tile !== undefined) return this.ownName(tile, column, grid.pool[1]);
    if (grid.column_names.length) return grid.column_names[column];
    if (strip && strip.role !== "frames") return this.span(column, grid.pool[1], strip.labels);
    return grid.column_labels[column] ?? String(column);
  }

  readout(at) {
    const { grid, strip } = this.header;
    if (at.zone === "strip") {
      const bits = strip.surprisal === null ? NaN : this.planes[strip.surprisal][at.token];
      const values = {
        label: strip.labels[at.token],
        index: at.token,
        id: strip.ids[at.token],
        bits: Number.isNaN(bits) ? "–" : bits.toFixed(2),
        p: Number.isNaN(bits) ? "–" : shown(Number((2 ** -bits).toPrecision(3))),
        extra: strip.extra[at.token] ?? "",
      };
      const lines = strip.readout.map((line) => fill(line, values));
      this.header.bars.forEach((bar) => {
        if (bar.plane !== null) lines.push(fill(bar.readout, { value: shown(this.planes[bar.plane][at.token]) }));
      });
      return lines.filter(Boolean);
    }
    const tile = grid.mode === "frames" ? this.frame : at.tile;
    const values = { row: this.rowName(at.row, at.tile), column: this.columnName(at.column, at.tile), value: shown(this.value(tile, at.row, at.column)) };
    if (grid.baseline) values.ratio = shown(Number((this.value(tile, at.row, at.column) / grid.baseline).toPrecision(3)));
    values.tile = grid.mode === "tiles" ? grid.tiles[at.tile].name : "";
    values.frame = this.frame === null ? "" : strip?.labels[this.activeFrameToken()] ?? "";
    values.cell = grid.cell_names[at.row]?.[at.column] ?? "";
    return grid.readout.map((line) => fill(line, values)).filter(Boolean);
  }

  writeTip() {
    const at = this.cursor;
    this.tip.classList.toggle("on", Boolean(at));
    if (!at) return;
    this.tip.replaceChildren(
      ...this.readout(at).map((line) => {
        const node = document.createElement("div");
        node.textContent = line;
        return node;
      })
    );
    const { x, y } = this.anchor(at);
    const width = this.tip.offsetWidth;
    const height = this.tip.offsetHeight;
    const left = x + 16 + width > this.plan.width ? Math.max(0, x - width - 16) : x + 16;
    const top = y + 18 + height > this.plan.height + 40 ? y - height - 14 : y + 18;
    this.tip.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
  }

  anchor(at) {
    if (at.x !== undefined) return at;
    if (at.zone === "strip") return { x: this.plan.left + (at.token + 0.5) * this.plan.token, y: this.plan.labels.height };
    if (this.header.grid.mode === "tiles") {
      const { x, y, size } = this.tileBox(at.tile);
      return { x: x + ((at.column + 0.5) * size) / this.header.grid.columns, y: y + ((at.row + 0.5) * size) / this.header.grid.rows };
    }
    return { x: this.plan.left + (at.column + 0.5) * this.plan.cell, y: this.plan.gridY + (at.row + 0.5) * this.plan.row };
  }
}
