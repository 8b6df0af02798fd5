"""The canvas payload: it reads back, stays small, keeps peaks; and what a click may bring home."""

import numpy as np
import pytest

from pages.shared.canvas import Selection, _selection
from viz.canvas import CanvasSpec, Grid, Scale, Strip, decode, max_pool
from viz.canvas.pooling import BUDGET_VALUES, fit_columns, fit_square
from viz.theme import LIGHT

PAYLOAD_LIMIT = 1_500_000


def picture(values, **grid) -> CanvasSpec:
    shown = Grid(values, Scale(0.0, 1.0), ((LIGHT.card,) * 256,), ("{value}",), **grid)
    return CanvasSpec("test", "a test", LIGHT, "#000000", grid=shown)


def ramp(count: int) -> np.ndarray:
    return np.sin(np.arange(count, dtype=np.float32))


def test_payload_reads_back():
    values = ramp(24).reshape(2, 3, 4)
    values[0, 1, 2] = np.nan
    header, planes = decode(picture(values).payload())
    assert [header["grid"][name] for name in ("count", "rows", "columns")] == [2, 3, 4]
    np.testing.assert_array_equal(planes[header["grid"]["plane"]].reshape(2, 3, 4), values)


def test_planes_start_on_a_multiple_of_four(traces):
    for name in ("a", "ab", "가", "가나"):
        spec = CanvasSpec(name, name, LIGHT, "#000000", strip=Strip(traces["mamba"].tokens, ramp(11)))
        payload = spec.payload()
        assert len(payload) % 4 == 0
        np.testing.assert_array_equal(decode(payload)[1][0], ramp(11))


def test_decode_refuses_a_cut_payload():
    with pytest.raises(ValueError, match=r"buffer|payload"):
        decode(picture(ramp(24).reshape(2, 3, 4)).payload()[:-4])


def test_decode_refuses_a_payload_with_a_tail():
    with pytest.raises(ValueError, match="payload of"):
        decode(picture(ramp(24).reshape(2, 3, 4)).payload() + b"\0\0\0\0")


@pytest.mark.parametrize("length", [1, 7, 64, 613, 2048])
def test_square_pictures_stay_within_the_budget(length):
    values = np.zeros((1, length, length), dtype=np.float32)
    values[0, length // 3, length // 5] = 9.0
    pooled = fit_square(values)
    assert pooled.values.size <= BUDGET_VALUES
    assert pooled.values[0, length // 3 // pooled.rows, length // 5 // pooled.columns] == 9.0
    assert len(picture(pooled.values).payload()) < PAYLOAD_LIMIT


def test_pooling_keeps_the_value_of_largest_magnitude():
    values = np.array([[1.0, -5.0, np.nan], [2.0, 3.0, np.nan]])
    np.testing.assert_array_equal(max_pool(values, rows=2, columns=2).values, [[-5.0, np.nan]])


def test_a_short_last_block_is_pooled_over_what_it_has():
    np.testing.assert_array_equal(max_pool(np.arange(5.0)[None], columns=2).values, [[1.0, 3.0, 4.0]])


def test_columns_are_pooled_only_when_they_must():
    assert fit_columns(np.zeros((1, 32, 100))).columns == 1
    assert fit_columns(np.zeros((1, 128, 9000))).columns > 1


def click(**picked):
    spec = picture(ramp(24).reshape(2, 3, 4), pool=(2, 2))
    return _selection(picked, spec)


def test_a_click_becomes_a_selection():
    assert click(row=4, column=6, tile=1, token=None) == Selection(4, 6, 1, None)


@pytest.mark.parametrize(
    "picked",
    [
        None,
        "row",
        {"row": "1"},
        {"row": -1},
        {"row": 99},
        {"column": 0.5},
        {"tile": 2},
        {"row": True},
        {"row": float("nan")},
    ],
    ids=str,
)
def test_anything_else_is_dropped(picked):
    assert _selection(picked, picture(ramp(24).reshape(2, 3, 4))) is None
