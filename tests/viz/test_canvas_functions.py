"""The functions of the canvas by themselves, with known answers: scales, images, blocks, layout, read-out, keyboard."""

import base64
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from viz.canvas import decode, script
from viz.canvas.payload import Planes, encode

CHROMIUM = Path("/usr/bin/chromium")
NAMES = ["place", "imageOf", "layout", "readout", "drawLiveBars", "cellAt", "choose", "moved", "fit", "newSelection",
         "ranksOf", "landmarks", "decode", "shown", "shortened"]  # fmt: skip
pytestmark = [pytest.mark.browser, pytest.mark.skipif(not CHROMIUM.exists(), reason="no /usr/bin/chromium")]

# A view without a picture: the header of a test, planes of numbers, and type that is 10 px wide per character.
VIEW = """
  const viewOf = ({ header, planes = [], ...rest }) => {
    const view = { dpr: 1, width: 400, frame: null, cursor: null, images: new Map(), ...rest };
    view.header = { bars: [], words: {}, strip: null, ...header };
    view.planes = planes.map((plane) => Float32Array.from(plane, (v) => v ?? NaN));
    view.ramps = [Uint8Array.from({ length: 768 }, (_, i) => Math.floor(i / 3))];
    view.measure = (font, text) => 10 * text.length;
    return view;
  };
"""
GRID = {
    "mode": "matrix",
    "count": 1,
    "pool": [1, 1],
    "plane": 0,
    "sums": None,
    "scale": {"kind": "linear", "low": 0, "high": 1, "signed": False, "by": "all", "highs": None},
    "row_ramps": [],
    "row_notes": [],
    "row_colors": [],
    "row_labels": [],
    "column_labels": [],
    "row_title": "x",
    "column_title": "",
    "row_height": 28,
    "max_height": 530,
    "row_tokens": True,
    "selected_row": None,
    "picks": "row",
    "readout": ["{row} ← {column}", "{value}"],
}
THEME = {"mono": "monospace", "font": "sans-serif", "card": "#FFFFFF", "muted": "#000000"}
Call = Callable[..., Any]


@pytest.fixture(scope="module")
def load(blank) -> Iterator[Callable[[str], Call]]:
    """Return a function that loads a script and gives a way to run a body with it: call(body, view=..., **names)."""
    pages = []

    def opened(source: str) -> Call:
        page = blank()
        pages.append(page)
        packed = base64.b64encode(f"{source}\nexport {{ {', '.join(NAMES)} }};".encode()).decode()
        page.evaluate(
            """async (packed) => {
              const bytes = Uint8Array.from(atob(packed), (c) => c.charCodeAt(0));
              window.f = await import(URL.createObjectURL(new Blob([bytes], { type: "text/javascript" })));
            }""",
            packed,
        )

        def call(expression: str, *, view: dict | None = None, **rest: Any) -> Any:
            source = f"({{ spec, {', '.join(rest)} }}) => {{ {VIEW} const view = spec && viewOf(spec); {expression} }}"
            return page.evaluate(source, {"spec": view, **rest})

        return call

    yield opened
    for page in pages:
        page.close()


@pytest.fixture(scope="module")
def call(load) -> Call:
    """Give access to the functions of the script as it is."""
    return load(script())


def strip(count: int, **rest: object) -> dict:
    names = [f"t{i}" for i in range(count)]
    empty = {"surprisal": None, "extra": [], "readout": ["{label}"], "selected": None, "role": "columns"}
    return {"labels": names, "piece": [1] * count, "ids": list(range(count)), **empty, **rest}


SCALES = [
    ({"kind": "linear", "low": 0}, 4.0, {0: 0, 1: 0.25, 2: 0.5, 4: 1, 9: 1, -1: 0}),
    ({"kind": "linear", "low": 2}, 4.0, {2: 0, 3: 0.5, 4: 1, 1: 0}),
    ({"kind": "sqrt", "low": 0}, 4.0, {0: 0, 1: 0.5, 0.25: 0.25, 4: 1, 9: 1}),
    ({"kind": "log", "low": 0.01}, 1.0, {0.01: 0, 0.1: 0.5, 1: 1, 0.001: 0, 0: 0, 10: 1}),
    ({"kind": "linear", "low": 0, "signed": True}, 4.0, {-4: 0, -1: 0.375, 0: 0.5, 1: 0.625, 4: 1, -9: 0}),
    ({"kind": "sqrt", "low": 0, "signed": True}, 4.0, {-4: 0, -1: 0.25, 0: 0.5, 1: 0.75, 4: 1}),
    ({"kind": "sqrt", "low": 0, "signed": True}, 0.0, {-4: 0.5, 0: 0.5, 4: 0.5}),
    ({"kind": "linear", "low": 1}, 1.0, {1: 0, 2: 0}),
]


def check_scales(call: Call) -> None:
    for given, high, wanted in SCALES:
        scale = {"signed": False, **given}
        found = call("return values.map((v) => f.place(scale, high, v))", scale=scale, high=high, values=[*wanted])
        assert found == pytest.approx([*wanted.values()]), scale


def test_every_scale_puts_values_where_it_says(call):
    check_scales(call)


def pooled_view(values: np.ndarray, sums: np.ndarray | None = None, **grid: object) -> dict:
    """Describe a matrix picture of blocks of two tokens, over five tokens."""
    arrays = (values,) if sums is None else (values, sums)
    planes = [[None if np.isnan(v) else float(v) for v in array.ravel()] for array in arrays]
    rows, columns = values.shape
    blocks = {"rows": rows, "columns": columns, "pool": [2, 2], "sums": None if sums is None else 1}
    words = {"summed": "SUM", "strongest": "STRONGEST"}
    bar = {"plane": None, "label": "{row}", "color": "#000000"}
    header = {"grid": GRID | blocks | grid, "strip": strip(5), "words": words, "bars": [bar], "theme": THEME}
    return {"header": header, "planes": planes}


PEAKS = np.array([[0.9, np.nan, np.nan], [0.4, 0.6, np.nan], [0.3, 0.2, 0.3]])
SUMS = np.array([[1.0, np.nan, np.nan], [0.55, 0.45, np.nan], [0.45, 0.25, 0.3]])


def check_readout(call: Call) -> None:
    view = pooled_view(PEAKS, SUMS)
    at = {"zone": "grid", "tile": 0, "row": 1, "column": 0}
    assert call("return f.readout(view, at)", view=view, at=at) == ["t2 … t3 (2–3) ← t0 … t1 (0–1)", "0.55", "SUM"]


def test_a_block_reads_out_its_sum_and_says_so(call):
    check_readout(call)


def test_a_block_that_does_not_add_up_reads_out_its_strongest_cell_and_says_so(call):
    at = {"zone": "grid", "tile": 0, "row": 1, "column": 0}
    found = call("return f.readout(view, at)", view=pooled_view(PEAKS), at=at)
    assert found == ["t2 … t3 (2–3) ← t0 … t1 (0–1)", "0.4", "STRONGEST"]


def test_a_block_of_one_cell_and_a_future_block_say_nothing_more(call):
    def read(row: int, column: int) -> list[str]:
        at = {"zone": "grid", "tile": 0, "row": row, "column": column}
        return call("return f.readout(view, at)", view=pooled_view(PEAKS, SUMS), at=at)

    assert read(2, 2) == ["t4 ← t4", "0.3"]
    assert read(0, 1) == ["t0 … t1 (0–1) ← t2 … t3 (2–3)", "–"]


BARS = """
  const drawn = [];
  const ctx = { beginPath() {}, fill() {}, fillText() {}, measureText: (text) => ({ width: 10 * text.length }),
                roundRect: (...box) => drawn.push(box) };
  view.plan = f.layout(view);
  f.drawLiveBars(view, ctx);
  return { drawn, plan: view.plan };
"""


def check_bars(call: Call) -> None:
    view = pooled_view(PEAKS, SUMS)
    result = call(BARS, view=view)
    boxes, plan = result["drawn"], result["plan"]
    assert len(boxes) == 3, "one bar for each block"
    heights = np.array([box[3] for box in boxes])
    np.testing.assert_allclose(heights / 36, np.array([0.45, 0.25, 0.3]) / 0.45, atol=1e-6)
    token, left = plan["token"], plan["left"]
    edges = [(left + token * i, left + token * j) for i, j in ((0, 2), (2, 4), (4, 5))]
    for (x, _, width, *_), (start, stop) in zip(boxes, edges, strict=True):
        assert start <= x
        assert x + width <= stop
        assert width > (stop - start) - 5


def test_bars_of_a_pooled_row_are_its_sums_once_each(call):
    check_bars(call)


SMALL_IMAGE = """
  const canvas = f.imageOf(view, 0, width, height);
  return [canvas.width, canvas.height, ...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data];
"""


def small_image(call: Call, values: np.ndarray, side: int, **scale: object) -> np.ndarray:
    """Paint a map with the grey ramp into a square of pixels and return the greys."""
    rows, columns = values.shape
    grid = GRID | {"rows": rows, "columns": columns, "scale": GRID["scale"] | scale}
    view = {"header": {"grid": grid}, "planes": [values.ravel().tolist()]}
    width, height, *data = call(SMALL_IMAGE, view=view, width=side, height=side)
    return np.array(data).reshape(height, width, 4)[:, :, 0]


def check_no_cell_is_lost(call: Call) -> None:
    for at in range(32):
        values = np.full((32, 32), 0.1)
        values[31 - at, at] = 1.0
        image = small_image(call, values, 18)
        assert image.shape == (18, 18)
        assert image.max() == 255, f"the strong cell in column {at} is not on screen"


@pytest.mark.slow
def test_a_thumbnail_smaller_than_its_grid_keeps_every_strong_cell(call):
    check_no_cell_is_lost(call)


def test_a_small_signed_map_keeps_the_cell_farthest_from_zero(call):
    values = np.zeros((4, 4))
    values[1, 1], values[0, 0], values[3, 3] = -1.0, 0.5, 0.25
    np.testing.assert_array_equal(small_image(call, values, 2, signed=True), [[0, 128], [128, 159]])


def test_a_map_with_room_has_a_pixel_for_each_cell(call):
    values = np.arange(16.0).reshape(4, 4) / 15
    np.testing.assert_array_equal(small_image(call, values, 100), np.round(values * 255))


LONG = [
    "<s>",
    "␣The",
    "␣fox",
    "es",
    ",",
    "␣ran",
    ".",
    "”",
    "␣“",
    "He",
    "␣saw",
    "!",
    "␣늑",
    "대",
    "가",
    "␣왔다",
    ".",
    "␣3",
    "␣",
    "x",
]
RANKS = [2, 0, 1, 2, 2, 1, 2, 2, 2, 0, 1, 2, 0, 2, 2, 1, 2, 0, 2, 2]


def check_ranks(call: Call) -> None:
    assert call("return f.ranksOf(labels)", labels=LONG) == RANKS


def check_landmarks(call: Call) -> None:
    ask = (
        "const clear = (i, j) => Math.abs(i - j) >= apart;"
        "return [...f.landmarks(ranks.length, (i) => ranks[i], clear, kept)].sort((a, b) => a - b)"
    )
    assert call(ask, ranks=RANKS, apart=1, kept=[]) == list(range(20))
    # sentences at 1, 9, 12, 17; then words that are three away from them: 5, and 15 is too near to 17
    assert call(ask, ranks=RANKS, apart=3, kept=[]) == [1, 5, 9, 12, 17]
    assert call(ask, ranks=RANKS, apart=3, kept=[10]) == [1, 5, 10, 13, 17], (
        "the chosen one stands, and not its neighbours"
    )
    assert call(ask, ranks=[None, 2, 1], apart=9, kept=[]) == [2], "what may not stand does not"


def test_the_labels_of_a_long_text_are_beginnings_of_sentences_then_of_words(call):
    check_ranks(call)
    check_landmarks(call)


def test_labels_over_ticks_do_not_touch_and_stay_inside(call):
    labels = ["␣One", *(["␣day", "s", "."] * 60)]
    own = strip(len(labels)) | {"labels": labels}
    header = {"grid": None, "strip": own, "theme": THEME}
    plan = call("return f.layout(view)", view={"header": header, "width": 700})
    named = [group for group in plan["labels"]["groups"] if group["named"]]
    assert plan["labels"]["ticks"] and 8 <= len(named) < 20
    assert {group["label"] for group in named} <= {"␣One", "␣day"}
    ends = [((g["start"] + 0.5) * plan["token"] + plan["left"], len(g["label"]) * 5) for g in named]
    assert ends[0][0] - ends[0][1] >= 0 and ends[-1][0] + ends[-1][1] <= 700
    assert all(b - half_b - a - half_a >= 12 for (a, half_a), (b, half_b) in itertools.pairwise(ends))


BREAKS = [
    (check_ranks, "if (reads) ended = false;", "ended = false;"),
    (check_ranks, "if (SENTENCE_END.test(label)) ended = true;", ""),
    (check_landmarks, "free &&= clear(i, other)", "free = clear(i, other)"),
    (check_landmarks, "new Set(kept)", "new Set()"),
    (check_scales, 'return scale.kind === "sqrt" ? Math.sqrt(part) : part;', "return part;"),
    (check_scales, 'scale.kind === "sqrt" ? Math.sqrt(size) : size', "size"),
    (check_scales, "Math.log(value / scale.low) / Math.log(high / scale.low)", "value / high"),
    (check_readout, "sums ?? plane", "plane"),
    (check_readout, '"strongest" : "summed"', '"summed" : "strongest"'),
    (check_bars, "Math.min(i * pool, tokens[1])", "i"),
    (check_bars, "sums ?? plane", "plane"),
    (check_no_cell_is_lost, "Math.ceil(((pixel + 1) * cells) / pixels)", "Math.floor((pixel * cells) / pixels) + 1"),
    (check_no_cell_is_lost, "strength > most", "most < 0"),
]


@pytest.mark.parametrize(("check", "before", "after"), BREAKS, ids=lambda part: getattr(part, "__name__", None))
def test_a_broken_script_turns_the_checks_red(load, check, before, after):
    assert script().count(before) == 1
    broken = load(script().replace(before, after))
    with pytest.raises(AssertionError):
        check(broken)


def test_the_plan_of_a_short_text(call):
    def planned(width: int, **rest: object) -> dict:
        header = {"grid": GRID | {"rows": 4, "columns": 4} | rest, "strip": strip(4), "theme": THEME}
        return call("return f.layout(view)", view={"header": header, "width": width})

    plan = planned(1000)
    assert plan["left"] == 2 * 10 + 12  # the widest label and a gap
    assert plan["token"] == plan["cell"] == 76  # as wide as a column may be
    assert (plan["row"], plan["gridHeight"]) == (28, 4 * 28)
    assert plan["gridY"] == plan["labels"]["height"] + 6
    assert plan["height"] == plan["gridY"] + 4 * 28 + 20 + 1
    assert planned(200)["token"] == (200 - 32) / 4
    assert planned(1000, pool=[2, 2])["cell"] == 2 * 76


def test_a_pointer_finds_the_cell_that_the_plan_put_there(call):
    view = pooled_view(PEAKS)
    drawn = {"gridY": 100, "gridWidth": 50, "gridHeight": 60, "row": 20, "cell": 20, "token": 10}
    view["plan"] = drawn | {"left": 30, "stripX": 30, "cellX": 30, "cellY": 100, "tokens": [0, 5]}
    find = "return f.cellAt(view, x, y)"
    assert call(find, view=view, x=71, y=145) == {"zone": "grid", "tile": 0, "row": 2, "column": 2, "x": 71, "y": 145}
    assert call(find, view=view, x=81, y=145) is None
    assert call(find, view=view, x=31, y=50)["token"] == 0
    assert call(find, view=view, x=5, y=125)["token"] == 2  # the name of a row of two tokens: the first of them
    view["plan"] |= {
        "stripX": 10,
        "cellX": 10,
        "cellY": 80,
        "tokens": [2, 5],
    }  # a range that begins with the third token
    assert call(find, view=view, x=31, y=50)["token"] == 2
    found = call(find, view=view, x=51, y=131)
    assert (found["row"], found["column"]) == (2, 2)
    assert call(find, view=view, x=51, y=161) is None, "below the picture"


CLICK = """
  const found = [];
  view.pick = (one) => found.push(one);
  view.store = f.newSelection();
  f.choose(view, at);
  return [view.store.get().token, found];
"""


@pytest.mark.parametrize(("picks", "token"), [("row", 2), ("column", 4), ("cell", None)])
def test_a_click_on_a_block_chooses_its_first_token_in_each_direction(call, picks, token):
    at = {"zone": "grid", "tile": 0, "row": 1, "column": 2}
    assert call(CLICK, view=pooled_view(PEAKS, picks=picks), at=at) == [token, []]
    chosen, reported = call(CLICK, view=pooled_view(PEAKS, picks=picks, reports=True), at=at)
    assert (chosen, reported) == (token, [{"row": 2, "column": 4, "tile": None, "token": token}])


def token(index: int) -> dict:
    return {"zone": "strip", "token": index}


def block(row: int, column: int) -> dict:
    return {"zone": "grid", "tile": 0, "row": row, "column": column}


@pytest.mark.parametrize(
    ("at", "step", "wanted"),
    [
        (token(3), [0, 1], token(4)),
        (token(4), [0, 1], token(4)),
        (token(3), [1, 0], block(0, 1)),
        (block(0, 1), [-1, 0], token(2)),
        (block(1, 2), [1, 0], block(2, 2)),
        (block(1, 2), [0, 1e6], block(1, 2)),
    ],
    ids=str,
)
def test_arrow_keys_walk_from_tokens_to_blocks_and_back(call, at, step, wanted):
    assert call("return f.moved(view, at, step, false)", view=pooled_view(PEAKS), at=at, step=step) == wanted


@pytest.mark.parametrize(
    ("text", "room", "wanted"),
    [
        ("token", 50, "token"),
        ("token", 40, "tok…"),
        ("token", 15, ""),
        ("토큰나이저", 30, "토큰…"),
        ("\u1112\u1161\u11ab\u1100\u1173\u11af\u110b\u1175", 40, "\u1112\u1161\u11ab…"),  # jamo: no half syllable
        ("👩‍👩‍👧x", 40, ""),  # a family is one sign
    ],
)
def test_a_text_is_shortened_by_whole_signs(call, text, room, wanted):
    measured = "const ctx = { measureText: (text) => ({ width: 10 * text.length }) };"
    assert call(f"{measured} return f.fit(ctx, text, room)", text=text, room=room) == wanted


@pytest.mark.parametrize(
    ("room", "gap", "wanted"),
    [
        (80, 6, [f"layer {n}" for n in range(8, 12)]),  # 70 or 80 px wide
        (79, 6, ["8", "9", "10", "11"]),
        (17, 6, ["8", "9", "10", "11"]),  # 22 px for a number and 2 px of air
        (14, 6, ["8", "", "10", ""]),
        (4, 6, ["8", "", "", "11"]),
    ],
)
def test_names_above_columns_never_touch(call, room, gap, wanted):
    measured = "const ctx = { measureText: (text) => ({ width: 10 * text.length }) };"
    labels = [f"layer {n}" for n in range(8, 12)]
    assert call(f"{measured} return f.shortened(ctx, labels, room, gap)", labels=labels, room=room, gap=gap) == wanted


# --- the bytes -----------------------------------------------------------------------------------------------------
def packed(values: np.ndarray, *, digits: int | None = None, note: str = "") -> str:
    planes = Planes()
    planes.add(values, digits=digits)
    return base64.b64encode(encode({"note": note}, planes)).decode()


READ = "const { header, planes } = f.decode(Uint8Array.from(atob(payload), (sign) => sign.charCodeAt(0)));"
MIXED = np.sin(np.arange(1, 3001)) * 10.0 ** np.linspace(-12, 9, 3000)
STREAMS = {
    "nothing": np.zeros(0), "one number": np.array([1.5]), "all alike": np.full(70_000, 0.25),
    "not to be packed": np.sin(np.arange(1, 40_000) * 12.9898) * 43_758.5453,
    "with gaps": np.where(np.arange(900) % 7, 2.0, np.nan),
    "far repeats": np.tile(MIXED, 5), "of all sizes": MIXED,
}  # fmt: skip


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("digits", [None, 3, 5])
def test_the_browser_reads_the_numbers_that_were_packed(call, name: str, digits: int | None) -> None:
    note = "가 token " * (len(STREAMS[name]) % 97)
    payload = packed(STREAMS[name], digits=digits, note=note)
    header, (known,) = decode(base64.b64decode(payload))
    found = call(
        f"{READ} return [header.note, Array.from(planes[0], (one) => (isNaN(one) ? null : one))]", payload=payload
    )
    assert found[0] == note == header["note"]
    np.testing.assert_array_equal(np.array(found[1], np.float64), known.astype(np.float64))


def test_a_number_reads_as_the_one_that_was_sent(call) -> None:
    values = np.concatenate([MIXED, [0, 0.0625, -0.3125, 9.995, 999.5, -99950]]).astype(np.float32)
    read = "(one) => Number(f.shown(one, 3))"
    body = f"{READ} return [Array.from(planes[0], {read}), values.map({read})]"
    found, known = call(body, payload=packed(values, digits=3), values=[float(one) for one in values])
    assert found == known and len(set(found)) > 2000


@pytest.mark.parametrize("harm", ["cut", "longer", "other bits"])
def test_the_browser_refuses_bytes_that_are_harmed(call, harm: str) -> None:
    data = base64.b64decode(packed(MIXED))
    harmed = {"cut": data[:-40], "longer": b"\xff" + data[1:], "other bits": data[:4] + b"\xff" + data[5:]}[harm]
    body = f"try {{ {READ} return ''; }} catch (error) {{ return error.message; }}"
    assert "a packed picture" in call(body, payload=base64.b64encode(harmed).decode())
