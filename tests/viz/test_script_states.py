"""Scripts of the canvas and of the reading bar in every state: scales, keys, time; known answers counted in Python.

Each test asks one page of Chromium, opened once, for all of its answers together.
"""

import base64
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from viz.canvas import script
from viz.canvas.source import bar_script
from viz.hero import script as hero_script
from viz.look.axes import _EXPRESSIONS

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(not CHROMIUM.exists(), reason="no /usr/bin/chromium")]
CANVAS = [
    "highOf",
    "colorOf",
    "readAt",
    "valueAt",
    "moved",
    "start",
    "key",
    "newSelection",
    "placeFrame",
    "frameToken",
    "shownToken",
    "shownTile",
    "tileBox",
    "tileAt",
    "choose",
    "readout",
    "drawBars",
    "drawLanes",
]
BAR = ["stepTime", "walk", "pressed", "wordsOf", "newSelection", "chooseWord"]
LOAD = """async (packed) => {
  const bytes = Uint8Array.from(atob(packed), (c) => c.charCodeAt(0));
  window.f = await import(URL.createObjectURL(new Blob([bytes], { type: "text/javascript" })));
}"""
Call = Callable[..., Any]


@pytest.fixture(scope="module")
def load(blank) -> Iterator[Callable[[str, list[str]], Call]]:
    """Return a function that loads a script into the one page and gives a way to run a body: call(body, **names)."""
    page = blank()

    def opened(source: str, names: list[str]) -> Call:
        packed = base64.b64encode(f"{source}\nexport {{ {', '.join(names)} }};".encode()).decode()

        def call(body: str, **given: Any) -> Any:
            page.evaluate(LOAD, packed)
            return page.evaluate(f"({{ {', '.join(given)} }}) => {{ {body} }}", given)

        return call

    yield opened
    page.close()


@pytest.fixture(scope="module")
def canvas(load) -> Call:
    return load(script(), CANVAS)


@pytest.fixture(scope="module")
def bar(load) -> Call:
    return load(bar_script(), BAR)


# --- scales --------------------------------------------------------------------------------------------------------
TILES, ROWS, COLUMNS = 3, 4, 5
VALUES = 1 + np.arange(TILES * ROWS * COLUMNS, dtype=np.float32).reshape(TILES, ROWS, COLUMNS)
HIGHS = {
    "all": np.full((TILES, ROWS), 90.0),
    "tile": np.repeat([[70.0], [80.0], [95.0]], ROWS, axis=1),
    "row": np.tile([61.0, 73.0, 85.0, 97.0], (TILES, 1)),
    "frame": np.repeat([[64.0], [88.0], [99.0]], ROWS, axis=1),
}
COLOURS = """
  const scale = { kind: "linear", low: 0, high: 90, signed: false, by, highs: highs ? 1 : null };
  const tiles = [{ ramp: 1 }, { ramp: 0 }, { ramp: 1 }];
  const grid = { mode, rows, columns, plane: 0, sums: null, scale, frame_highs: 2, row_ramps, tiles };
  const ramp = (green) => Uint8Array.from({ length: 768 }, (_, i) => [Math.floor(i / 3), green, 0][i % 3]);
  const planes = [values, highs ?? [], frames].map((one) => Float32Array.from(one));
  const view = { header: { grid }, byFrame, ramps: [ramp(0), ramp(1)], planes };
  const found = [];
  for (let tile = 0; tile < 3; tile++)
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < columns; column++)
        found.push([
          f.highOf(view, tile, row), ...f.colorOf(view, tile, row, column), f.readAt(view, tile, row, column),
        ]);
  return found;
"""


@pytest.mark.parametrize("by", HIGHS)
@pytest.mark.parametrize("mode", ["tiles", "frames"])
def test_a_cell_is_coloured_by_the_end_of_the_scale_of_its_own_group(canvas: Call, by: str, mode: str) -> None:
    """All of a picture share an end, or each row, each tile, or each frame has its own; its ramp is its own as well."""
    sent = {"all": None, "tile": HIGHS["tile"][:, 0], "row": HIGHS["row"][0], "frame": None}[by]
    found = canvas(
        COLOURS,
        by="all" if by == "frame" else by,
        mode=mode,
        rows=ROWS,
        columns=COLUMNS,
        values=VALUES.ravel().tolist(),
        highs=None if sent is None else sent.tolist(),
        frames=HIGHS["frame"][:, 0].tolist(),
        byFrame=by == "frame",
        row_ramps=[1, 0, 0, 1],
    )
    highs, red, green, _, read = np.array(found).reshape(TILES, ROWS, COLUMNS, 5).transpose(3, 0, 1, 2)
    np.testing.assert_allclose(highs, np.broadcast_to(HIGHS[by][..., None], VALUES.shape))
    np.testing.assert_array_equal(red, np.floor(255 * VALUES / HIGHS[by][..., None] + 0.5))
    ramps = np.array([1, 0, 1])[:, None, None] if mode == "tiles" else np.array([1, 0, 0, 1])[None, :, None]
    np.testing.assert_array_equal(green, np.broadcast_to(ramps, VALUES.shape))
    np.testing.assert_array_equal(read, VALUES)


# --- keys in a picture ---------------------------------------------------------------------------------------------
STEPS = {"ArrowLeft": (0, -1), "ArrowRight": (0, 1), "ArrowUp": (-1, 0), "ArrowDown": (1, 0), "Home": (0, -(10**6)),
         "End": (0, 10**6)}  # fmt: skip
PRESSES = """
  return places.map(({ at, key, shift }) => {
    const view = { header, frame, cursor: at, plan: { tiles: { columns } }, stage: {}, heard: {}, images: new Map() };
    view.store = f.newSelection();
    view.own = view.store;
    if (token !== null) view.store.set({ token });
    return f.moved(view, at, steps[key], shift);
  });
"""


def header(mode: str, *, role: str, pool: tuple[int, int], count: int = 1) -> dict[str, Any]:
    grid = {"mode": mode, "rows": 3, "columns": 4, "count": count, "pool": pool, "places": None, "selected_tile": 4,
            "owners": [], "selected_row": None, "frame_pool": 1}  # fmt: skip
    strip = {"labels": [f"t{i}" for i in range(7)], "role": role, "selected": 2, "chosen": None, "spans": []}
    return {"grid": grid, "strip": strip}


def pressed_at(
    at: dict[str, Any],
    key: str,
    shift: bool,
    head: dict[str, Any],
    *,
    columns: int,
    token: int | None,
    frame: int | None,
) -> dict[str, Any]:
    """Say where a key leads, by the rule: over tokens, from them into the grid, over tiles in rows, and back."""
    (down, right), grid, strip = STEPS[key], head["grid"], head["strip"]
    last, shown = len(strip["labels"]) - 1, strip["selected"] if token is None else token
    pool_rows, pool_columns = grid["pool"]

    def on_strip(place: int) -> dict[str, Any]:
        return {"zone": "strip", "token": place}

    if at["zone"] == "strip":
        if down <= 0:
            return on_strip(min(max(at["token"] + right, 0), last))
        row = at["token"] // pool_rows if strip["role"] == "rows" else 0
        column = at["token"] // pool_columns if strip["role"] == "columns" else 0
        return {"zone": "grid", "tile": grid["selected_tile"], "row": row, "column": column}
    tile, row, column = at["tile"], at["row"], at["column"]
    if grid["mode"] == "tiles" and not shift:
        across, along = divmod(tile, columns)
        beside = (across + down) * columns + along + right
        if beside < 0:
            return on_strip(shown)
        return at | {"tile": tile if beside >= grid["count"] else beside}
    if row + down < 0:
        above = (
            min(column * pool_columns, last) if strip["role"] == "columns" else frame if frame is not None else shown
        )
        return on_strip(above)
    return at | {"row": min(max(row + down, 0), 2), "column": min(max(column + right, 0), 3)}


PICTURES = {
    "map": {"head": header("matrix", role="columns", pool=(2, 2)), "columns": 1, "token": None, "frame": None},
    "mosaic": {"head": header("tiles", role="rows", pool=(3, 2), count=8), "columns": 3, "token": 6, "frame": None},
    "wide mosaic": {
        "head": header("tiles", role="rows", pool=(1, 1), count=6),
        "columns": 6,
        "token": None,
        "frame": None,
    },
    "film": {"head": header("frames", role="frames", pool=(1, 1), count=7), "columns": 1, "token": 3, "frame": 5},
}


@pytest.mark.parametrize("name", PICTURES)
def test_every_key_leads_from_every_place_where_the_rule_says(canvas: Call, name: str) -> None:
    picture = PICTURES[name]
    head = picture["head"]
    count = head["grid"]["count"] if head["grid"]["mode"] == "tiles" else 1
    cells = [
        {"zone": "grid", "tile": t, "row": r, "column": c} for t in range(count) for r in range(3) for c in range(4)
    ]
    spots = [{"zone": "strip", "token": i} for i in range(7)] + cells
    places = [{"at": at, "key": key, "shift": shift} for at in spots for key in STEPS for shift in (False, True)]
    found = canvas(PRESSES, places=places, header=head, steps=STEPS, columns=picture["columns"],
                   token=picture["token"], frame=picture["frame"])  # fmt: skip
    rest = {"head": head, "columns": picture["columns"], "token": picture["token"], "frame": picture["frame"]}
    known = [pressed_at(one["at"], one["key"], one["shift"], **rest) for one in places]
    for place, there, wanted in zip(places, found, known, strict=True):
        assert there == wanted, place


FRAMES = """
  return states.map((state) => {
    const grid = { mode: "frames", count, frame_pool: pool };
    const strip = { labels: Array.from({ length: 10 }, (_, i) => `t${i}`), selected: null, chosen: null };
    const view = { header: { grid, strip }, player: {}, controls: { slider: {} }, store: f.newSelection() };
    view.store.set(state);
    f.placeFrame(view);
    return [view.frame, f.frameToken(view), view.controls.slider.max, view.player.hidden];
  });
"""


@pytest.mark.parametrize(("count", "pool"), [(10, 1), (4, 3)])
def test_a_film_shows_the_time_before_the_chosen_token_before_its_end(canvas: Call, count: int, pool: int) -> None:
    states = [{"token": token, "frame": frame} for token in (None, 0, 4, 9) for frame in (None, 0, 5, 9)]
    for state, found in zip(states, canvas(FRAMES, states=states, count=count, pool=pool), strict=True):
        asked = state["token"] if state["frame"] is None else state["frame"]
        frame = count - 1 if asked is None else asked // pool
        assert found == [frame, frame * pool, count - 1, False], state


# --- what is read out and reported ---------------------------------------------------------------------------------
READ = """
  const views = places.map((at) => {
    const planes = [values, bits, own].map((one) => Float32Array.from(one, (v) => v ?? NaN));
    const view = { header, planes, frame, store: null, cursor: null };
    const found = [];
    view.pick = (one) => found.push(one);
    const lines = f.readout(view, at);
    f.choose(view, at);
    return [lines, found];
  });
  return views;
"""
TOKENS = [f"t{i}" for i in range(4)]
SURPRISAL = [None, 3.0, 0.5, 12.25]
OWN = [0.125, 2.0, 30.5, 4.0]


def picture(mode: str, *, role: str, count: int = 1, pool: tuple[int, int] = (1, 1), **grid: Any) -> dict[str, Any]:
    """Describe a picture of four tokens whose grid has a value of its own in every cell; it reports clicks."""
    rows, columns = grid.pop("size")
    strip = {"labels": TOKENS, "ids": [40, 41, 42, 43], "extra": ["", "x1", "x2", ""], "surprisal": 1, "role": role,
             "readout": ["{label}", "{index} {id}", "{bits} bits {p}", "{extra}"], "spans": None}  # fmt: skip
    known = {
        "mode": mode, "rows": rows, "columns": columns, "count": count, "pool": pool, "plane": 0, "sums": None,
        "picks": "none", "row_tokens": False, "row_names": [], "column_names": [], "row_labels": [], "frame_pool": 1,
        "column_labels": [], "texts": None, "cell_names": None, "baseline": None, "owners": [], "reports": True,
        "readout": ["{tile}|{frame}", "{row} & {column}", "{value}", "{ratio}", "{text}|{cell}"],
    }  # fmt: skip
    bar = {"plane": 2, "readout": "bar {value}", "label": "", "color": ""}
    return {"grid": known | grid, "strip": strip, "bars": [bar], "words": {}}


def asked(canvas: Call, head: dict[str, Any], places: list[dict[str, Any]], *, frame: int | None = None) -> list[Any]:
    grid = head["grid"]
    values = [1.0 + at for at in range(grid["count"] * grid["rows"] * grid["columns"])]
    return canvas(READ, header=head, places=places, values=values, bits=SURPRISAL, own=OWN, frame=frame)


def test_a_token_reads_out_its_place_its_bits_and_its_probability(canvas: Call) -> None:
    """The probability is two to the minus bits; the first token has neither; its bar has its own value."""
    head = picture("matrix", role="columns", size=(2, 4))
    found = asked(canvas, head, [{"zone": "strip", "token": at} for at in range(4)])
    probs = ["–", "0.125", "0.707", "0.000205"]
    bits = ["–", "3.00", "0.50", "12.25"]
    for at, (lines, picked) in enumerate(found):
        extra = [head["strip"]["extra"][at]] if head["strip"]["extra"][at] else []
        assert lines == [f"t{at}", f"{at} {40 + at}", f"{bits[at]} bits {probs[at]}", *extra, f"bar {OWN[at]:g}"]
        assert picked == [{"row": None, "column": at, "tile": None, "token": at}]


def test_a_cell_of_a_map_reads_out_its_own_value_names_and_ratio(canvas: Call) -> None:
    names = [[f"c{r}{c}" for c in range(4)] for r in range(2)]
    texts = [[f"x{r}{c}" for c in range(4)] for r in range(2)]
    head = picture("matrix", role="columns", size=(2, 4), row_names=["r0", "r1"], cell_names=names, texts=texts,
                   baseline=0.5, picks="column")  # fmt: skip
    places = [{"zone": "grid", "tile": 0, "row": r, "column": c} for r in range(2) for c in range(4)]
    for at, (lines, picked) in zip(places, asked(canvas, head, places), strict=True):
        r, c = at["row"], at["column"]
        value = 1 + 4 * r + c
        assert lines == ["|", f"r{r} & t{c}", f"{value}", f"{2 * value}", f"x{r}{c}|c{r}{c}"]
        assert picked == [{"row": r, "column": c, "tile": None, "token": c}]


def test_a_cell_of_a_tile_or_a_frame_reads_out_that_of_its_own_tile_or_frame(canvas: Call) -> None:
    tiles = [{"name": f"tile {n}"} for n in range(3)]
    head = picture("tiles", role="rows", size=(2, 2), count=3, pool=(2, 2), tiles=tiles, picks="row")
    places = [{"zone": "grid", "tile": n, "row": r, "column": c} for n in range(3) for r in range(2) for c in range(2)]
    blocks = ["t0 … t1 (0–1)", "t2 … t3 (2–3)"]
    for at, (lines, picked) in zip(places, asked(canvas, head, places), strict=True):
        n, r, c = at["tile"], at["row"], at["column"]
        assert lines[:3] == [f"tile {n}|", f"{blocks[r]} & {blocks[c]}", f"{1 + 4 * n + 2 * r + c}"]
        assert picked == [{"row": 2 * r, "column": 2 * c, "tile": n, "token": 2 * r}]
    head = picture("frames", role="frames", size=(2, 3), count=2, frame_pool=2, row_names=["a", "b"],
                   column_labels=["d0", "d1", "d2"])  # fmt: skip
    places = [{"zone": "grid", "tile": 0, "row": r, "column": c} for r in range(2) for c in range(3)]
    for frame in (0, 1):
        for at, (lines, picked) in zip(places, asked(canvas, head, places, frame=frame), strict=True):
            r, c = at["row"], at["column"]
            assert lines[:3] == [f"|t{2 * frame}", f"{'ab'[r]} & d{c}", f"{1 + 6 * frame + 3 * r + c}"]
            assert picked == [{"row": r, "column": c, "tile": frame, "token": None}]


BARS = """
  const drawn = [], texts = [];
  const ctx = { beginPath() {}, fill() {}, measureText: (text) => ({ width: text.length }),
                fillText: (text) => texts.push(text),
                roundRect(...box) { drawn.push([...box.slice(0, 4), this.fillStyle]); } };
  const header = { theme: { muted: "#777777" }, strip: { labels: values.map(String) }, grid: { ramps: ["0000ff"] } };
  const view = { header, dpr: 1, plan: { left: 10, stripX: 10, tokens: [0, values.length], token: 20, fonts: {} } };
  const bar = { label: "of {row}", color: "#ff0000" };
  f.drawBars(view, ctx, bar, { y: 100, height: 36 }, values.map((v) => v ?? NaN), "me", 1);
  return [drawn, texts];
"""


def test_a_bar_is_as_high_as_its_value_above_or_below_zero_and_the_ends_are_written(canvas: Call) -> None:
    values = [0.5, None, -0.25, 1.0, 0.003]
    drawn, texts = canvas(BARS, values=values)
    known = [value for value in values if value is not None]
    zero = 100 + 36 * 1 / 1.25  # from -0.25 to 1
    for (x, y, width, height, color), place, value in zip(drawn, (0, 2, 3, 4), known, strict=True):
        assert 10 + 20 * place <= x and x + width <= 30 + 20 * place
        assert height == pytest.approx(max(1, 36 * abs(value) / 1.25))
        assert y == pytest.approx(zero if value < 0 else zero - height)
        assert color.startswith("rgba(0,0,255" if value < 0 else "rgba(255,0,0")
    assert texts == ["-0.25 – 1", "of me"]


LANES = """
  const drawn = [], texts = [];
  const ctx = { beginPath() {}, fill() {}, fillText: (text) => texts.push(text), measureText: () => ({ width: 9 }),
                roundRect(...box) { drawn.push([...box.slice(0, 4), this.fillStyle]); } };
  const theme = { card: "#ffffff", chip: "#cccccc" };
  const lanes = { chosen: [[1, 2], [3, 4]], alone, colors: ["#100000", "#200000", "#300000"] };
  const scale = { kind: "linear", low: 0, high: 1, signed: false, by: "all", highs: null };
  const grid = { rows: 1, columns: 2, plane: 0, mode: "matrix", lanes, scale, row_ramps: [] };
  const ramp = Uint8Array.from({ length: 768 }, (_, i) => Math.floor(i / 3));
  const planes = [[0.5, 1], [0, NaN], [0.5, NaN], [4, NaN], [0.25, NaN]].map((one) => Float32Array.from(one));
  const plan = { left: 0, gridY: 0, cellX: 0, cellY: 0, across: [0, 2], down: [0, 1], row: 40, cell: 40, fonts: {} };
  const view = { header: { grid, theme }, dpr: 1, planes, ramps: [ramp], plan };
  f.drawLanes(view, ctx);
  return [drawn, texts];
"""


def test_the_experts_of_a_token_are_drawn_in_their_colours_as_wide_as_their_weights(canvas: Call) -> None:
    """The fourth expert has the colour of the first after three; a token without experts has none."""
    drawn, texts = canvas(LANES, alone=False)
    cell, first, second, other = drawn
    assert (cell[4], other[4]) == ("rgb(128,128,128)", "rgb(255,255,255)")
    assert (first[4], second[4]) == ("#100000", "#200000") and texts == []
    assert first[2] / second[2] == pytest.approx(2)
    (first, _, mark), texts = canvas(LANES, alone=True)
    assert first[4] == "rgba(16,0,0,0.625)" and mark[4] == "#200000"  # a quarter, and three of the weight 0.5
    assert texts == ["0"]


# --- the reading of four models ---------------------------------------------------------------------------------------
HERO = ["cellWeight", "inkShare", "tileValue", "writeShare"]
INKS = """
  const own = { lane: { ink: { plane: 0, window: most, names } } };
  const view = { planes: [Float32Array.from(values)] };
  const places = Array.from({ length: tokens }, (_, i) => i);
  return places.map((token) => names.map((_, ink) => places.map((back) => f.inkShare(view, own, token, ink, back))));
"""
WRITTEN = """
  const own = { lane: { tile: { plane: 0, written: 1, size } }, share: {} };
  for (const name of ["wrote", "kept", "written"]) own.share[name] = { style: {}, textContent: "" };
  const view = { header: { words: { kept: "kept", wrote: "written" } }, planes: [Float32Array.from(values), written] };
  const said = [-1, 0, 1].map((token) => {
    f.writeShare(view, own, token);
    return [own.share.wrote.style.width, own.share.kept.textContent, own.share.written.textContent];
  });
  return [f.tileValue(view, own, 1, 2, 3), said];
"""


@pytest.fixture(scope="module")
def hero(load) -> Call:
    return load(hero_script(), HERO)


@pytest.mark.parametrize("most", [1, 3, 9])
def test_each_ink_reads_the_share_of_its_own_token_and_band(hero: Call, most: int) -> None:
    """Counted out as they are packed: for each token, for each ink, the shares of the tokens back to the window."""
    tokens, names = 6, ["fast", "middle", "slow"]
    packed = [(t, ink, back) for t in range(tokens) for ink in range(3) for back in range(min(t + 1, most))]
    at = {place: float(index + 1) for index, place in enumerate(packed)}
    found = hero(INKS, values=list(at.values()), most=most, names=names, tokens=tokens)
    assert found == [[[at.get((t, ink, back), 0) for back in range(tokens)] for ink in range(3)] for t in range(tokens)]


@pytest.mark.parametrize("pool", [1, 2, 3])
def test_each_cell_of_the_cache_reads_the_weight_of_its_own_token_and_cell(hero: Call, pool: int) -> None:
    packed = [(token, cell) for token in range(8) for cell in range(token // pool + 1)]
    body = """
      const own = { lane: { cells: { plane: 0, pool } } };
      const view = { planes: [Float32Array.from(packed.map(([token, cell]) => 100 * token + cell))] };
      return packed.map(([token, cell]) => f.cellWeight(view, own, token, cell));
    """
    assert hero(body, packed=packed, pool=pool) == [100 * token + cell for token, cell in packed]


def test_the_state_reads_its_own_cell_and_says_what_was_written_and_kept(hero: Call) -> None:
    values = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    value, said = hero(WRITTEN, values=values.ravel().tolist(), written=[0.25, 0.75], size=[3, 4])
    assert value == values[1, 2, 3]
    shares = [[word.replace("\u202f", "") for word in one] for one in said]
    assert shares == [["0%", "", ""], ["25%", "kept 75%", "written 25%"], ["75%", "kept 25%", "written 75%"]]


# --- the labels of axes --------------------------------------------------------------------------------------------
FORMAT = """
  const trimmed = (value, digits) => String(Number(value.toPrecision(digits)));
  const format = (value, how) => {
    if (how === ".3~g") return trimmed(value, 3);
    if (how === ",") return value.toLocaleString("en-US");
    if (how === ".0%") return `${Math.round(100 * value)}%`;
    const step = Math.floor(Math.log10(value) / 3);
    return trimmed(value / 1000 ** step, 3) + ["", "k", "M", "G"][step];
  };
"""
LABELS = {
    "bytes": {0: "0 B", 512: "512 B", 1024: "1 KiB", 1536: "1.5 KiB", 2**20: "1 MiB", 5 * 2**29: "2.5 GiB"},
    "seconds": {2e-6: "2 µs", 0.000999: "999 µs", 0.001: "1 ms", 0.25: "250 ms", 1: "1 s", 12.5: "12.5 s"},
    "count": {128: "128", 1000: "1,000", 1024: "1k", 65536: "64k", 1500: "1,500"},
    "many": {20: "20", 1500: "1.5k", 2_000_000: "2M"},
    "plain": {0.125: "0.125", 3: "3"},
    "share": {0.25: "25%", 1: "100%"},
}


def test_an_axis_is_labelled_in_the_unit_of_its_values(canvas: Call) -> None:
    assert {*LABELS} == {*_EXPRESSIONS}
    for unit, known in LABELS.items():
        body = f"{FORMAT} return values.map((value) => {{ const datum = {{ value }}; return {_EXPRESSIONS[unit]}; }});"
        assert canvas(body, values=[*known]) == [*known.values()], unit


# --- the reading bar -----------------------------------------------------------------------------------------------
SPANS = [[0, 3], [3, 4], [3, 4], [4, 9], [9, 9], [9, 12]]  # the second word has two tokens, the fourth no character
WORDS = [(0, 0), (1, 2), (3, 3), (4, 4), (5, 5)]  # first and last token
MOVES = """
  return states.map(({ token, frame, moves }) => {
    const store = f.newSelection();
    const told = [];
    const data = { spans, layers };
    const bar = { store, data, words: f.wordsOf(spans), tell: (...one) => told.push(one), text: "text" };
    if (token !== null) store.set({ token, span: spans[token] });
    if (frame !== null) store.set({ frame, playing: false });
    const seen = moves.map((move) => {
      if (typeof move === "number") f.stepTime(bar, move);
      else f.pressed(bar, { target: "text", shiftKey: false, preventDefault() {}, ...move });
      const now = store.get();
      return [now.token, now.frame, now.span, now.playing];
    });
    return [seen, told];
  });
"""
EVERY_STATE = [(token, frame) for token in (None, *range(6)) for frame in (None, 0, 2, 5)]


def moves_of(bar: Call, moves: list[Any], *, layers: bool = True) -> list[tuple[int | None, int | None, list[Any]]]:
    """Return (token, frame, [states after each move, what the server was told]) from every state of the selection."""
    states = [{"token": token, "frame": frame, "moves": moves} for token, frame in EVERY_STATE]
    found = bar(MOVES, states=states, spans=SPANS, layers=layers)
    return [(token, frame, one) for (token, frame), one in zip(EVERY_STATE, found, strict=True)]


@pytest.mark.parametrize("step", [1, -1])
def test_the_step_buttons_move_the_time_on_and_on_to_the_end_of_the_text(bar: Call, step: int) -> None:
    """They begin at the time, without one at the chosen token, else before the text; the chosen token stays chosen."""
    for token, frame, (seen, told) in moves_of(bar, [step] * 7):
        at = frame if frame is not None else token if token is not None else -1 if step > 0 else 6
        known = [min(max(at + step * (n + 1), 0), 5) for n in range(7)]
        assert [state[1] for state in seen] == known, (token, frame)
        assert {state[0] for state in seen} == {token} and told == []


@pytest.mark.parametrize(("key", "side"), [("ArrowRight", 1), ("ArrowLeft", -1)])
def test_arrows_choose_the_next_word_from_the_time_or_the_chosen_one(bar: Call, key: str, side: int) -> None:
    for token, frame, (seen, told) in moves_of(bar, [{"key": key}] * 6):
        at = frame if frame is not None else token
        word = None if at is None else next(n for n, (first, last) in enumerate(WORDS) if first <= at <= last)
        for now in seen:
            word = (0 if side > 0 else 4) if word is None else min(max(word + side, 0), 4)
            first = WORDS[word][0]
            assert now == [first, None, SPANS[first], False], (token, frame)
        assert told == []


def test_other_keys_go_to_an_end_let_go_or_ask_for_another_layer(bar: Call) -> None:
    for key, token in (("Home", 0), ("End", 5), ("Escape", None)):
        span = None if token is None else SPANS[token]
        for *_, (seen, told) in moves_of(bar, [{"key": key}]):
            assert (seen, told) == ([[token, None, span, False]], [])
    for (key, side), layers in itertools.product((("ArrowRight", 1), ("ArrowLeft", -1)), (True, False)):
        for token, frame, (seen, told) in moves_of(bar, [{"key": key, "shiftKey": True}], layers=layers):
            assert told == ([["step", side]] if layers else [])
            assert seen[0][:2] == [token, frame]
    for key, more in (
        ("a", {}),
        ("ArrowRight", {"altKey": True}),
        ("End", {"ctrlKey": True}),
        ("Home", {"metaKey": True}),
    ):
        for token, frame, (seen, told) in moves_of(bar, [{"key": key, **more}]):
            assert (seen[0][:2], told) == ([token, frame], [])


BREAKS = [
    (bar_script, BAR, test_the_step_buttons_move_the_time_on_and_on_to_the_end_of_the_text, (1,),
     "const from = frame ?? token ??", "const from = token ?? frame ??"),
    (bar_script, BAR, test_the_step_buttons_move_the_time_on_and_on_to_the_end_of_the_text, (-1,),
     "(step > 0 ? -1 : last + 1)", "-1"),
    (bar_script, BAR, test_arrows_choose_the_next_word_from_the_time_or_the_chosen_one, ("ArrowRight", 1),
     "wordAt(bar, frame ?? token));", "wordAt(bar, token ?? frame));"),
    (bar_script, BAR, test_other_keys_go_to_an_end_let_go_or_ask_for_another_layer, (),
     "{ ArrowLeft: -1, ArrowRight: 1 }", "{ ArrowLeft: 1, ArrowRight: -1 }"),
    (script, CANVAS, test_a_cell_is_coloured_by_the_end_of_the_scale_of_its_own_group, ("row", "frames"),
     'scale.by === "tile" ? tile : scale.by === "row" ? row : 0', 'scale.by === "tile" ? tile : 0'),
    (script, CANVAS, test_every_key_leads_from_every_place_where_the_rule_says, ("mosaic",),
     "tile + right + down * view.plan.tiles.columns", "tile + right + down"),
    (script, CANVAS, test_a_film_shows_the_time_before_the_chosen_token_before_its_end, (4, 3),
     "Math.floor(token / view.header.grid.frame_pool)", "token"),
    (script, CANVAS, test_a_token_reads_out_its_place_its_bits_and_its_probability, (),
     "2 ** -bits", "Math.exp(-bits)"),
    (script, CANVAS, test_a_cell_of_a_tile_or_a_frame_reads_out_that_of_its_own_tile_or_frame, (),
     'grid.mode === "frames" ? view.frame : at.tile, token', "at.tile, token"),
    (script, CANVAS, test_a_bar_is_as_high_as_its_value_above_or_below_zero_and_the_ends_are_written, (),
     "at.height * (high / span)", "at.height"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "names", "check", "given", "before", "after"), BREAKS, ids=range(len(BREAKS)))
def test_a_broken_script_turns_the_checks_red(load, source, names, check, given, before, after) -> None:
    assert source().count(before) == 1
    with pytest.raises(AssertionError):
        check(load(source().replace(before, after), names), *given)
