"""What the script of the canvas reads out, reports and draws of its values; known answers counted in Python."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from viz.canvas import script
from viz.look.axes import _EXPRESSIONS

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(not CHROMIUM.exists(), reason="no /usr/bin/chromium")]
CANVAS = ["choose", "readout", "drawBars", "drawLanes"]
Call = Callable[..., Any]


@pytest.fixture(scope="module")
def canvas(load) -> Call:
    return load(script(), CANVAS)


# --- what is read out and reported --------------------------------------------------------------------------------
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


# --- the labels of axes -------------------------------------------------------------------------------------------
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
    "ratio": {1: "1", 1.25: "1.25", 0.5: "0.5", 12.345: "12.3"},
}


def test_an_axis_is_labelled_in_the_unit_of_its_values(canvas: Call) -> None:
    assert {*LABELS} == {*_EXPRESSIONS}
    for unit, known in LABELS.items():
        body = f"{FORMAT} return values.map((value) => {{ const datum = {{ value }}; return {_EXPRESSIONS[unit]}; }});"
        assert canvas(body, values=[*known]) == [*known.values()], unit


BROKEN_READINGS = [
    (test_a_token_reads_out_its_place_its_bits_and_its_probability, (),
     "2 ** -bits", "Math.exp(-bits)"),
    (test_a_cell_of_a_tile_or_a_frame_reads_out_that_of_its_own_tile_or_frame, (),
     'grid.mode === "frames" ? view.frame : at.tile, token', "at.tile, token"),
    (test_a_bar_is_as_high_as_its_value_above_or_below_zero_and_the_ends_are_written, (),
     "at.height * (high / span)", "at.height"),
]  # fmt: skip


@pytest.mark.parametrize(("check", "given", "before", "after"), BROKEN_READINGS, ids=range(len(BROKEN_READINGS)))
def test_a_broken_picture_turns_the_checks_of_what_is_read_out_red(load, check, given, before, after) -> None:
    assert script().count(before) == 1
    with pytest.raises(AssertionError):
        check(load(script().replace(before, after), CANVAS), *given)
