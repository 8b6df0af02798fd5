"""The script of the canvas in every state: colours and keys; known answers counted in Python."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from viz.canvas import script

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(not CHROMIUM.exists(), reason="no /usr/bin/chromium")]
CANVAS = ["highOf", "colorOf", "readAt", "moved", "newSelection", "placeFrame", "frameToken"]
Call = Callable[..., Any]


@pytest.fixture(scope="module")
def canvas(load) -> Call:
    return load(script(), CANVAS)


# --- scales -------------------------------------------------------------------------------------------------------
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


# --- keys in a picture --------------------------------------------------------------------------------------------
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


BROKEN_STEPS = [
    (test_a_cell_is_coloured_by_the_end_of_the_scale_of_its_own_group, ("row", "frames"),
     'scale.by === "tile" ? tile : scale.by === "row" ? row : 0', 'scale.by === "tile" ? tile : 0'),
    (test_every_key_leads_from_every_place_where_the_rule_says, ("mosaic",),
     "tile + right + down * view.plan.tiles.columns", "tile + right + down"),
    (test_a_film_shows_the_time_before_the_chosen_token_before_its_end, (4, 3),
     "Math.floor(token / view.header.grid.frame_pool)", "token"),
]  # fmt: skip


@pytest.mark.parametrize(("check", "given", "before", "after"), BROKEN_STEPS, ids=range(len(BROKEN_STEPS)))
def test_a_broken_picture_turns_the_checks_of_colours_and_keys_red(load, check, given, before, after) -> None:
    assert script().count(before) == 1
    with pytest.raises(AssertionError):
        check(load(script().replace(before, after), CANVAS), *given)
