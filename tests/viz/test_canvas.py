"""The canvas payload: it reads back, stays small, keeps peaks; and what a click may bring home."""

from decimal import ROUND_HALF_UP, Context

import numpy as np
import pytest

from pages.shared.canvas import Selection, _selection
from viz.canvas import (
    Axis,
    Bars,
    CanvasSpec,
    Frames,
    Lanes,
    Matrix,
    Scale,
    Strip,
    Tile,
    Tiles,
    decode,
    max_pool,
    script,
)
from viz.canvas.payload import MOST_DIGITS, VERSION, Planes, encode
from viz.canvas.pooling import BUDGET_VALUES, fit_columns, fit_square
from viz.look.theme import LIGHT

PAYLOAD_LIMIT = 1_500_000


COMMON = {"scale": Scale(0.0, 1.0), "ramps": ((LIGHT.card,) * 256,), "readout": ("{value}",)}


def picture(values, **options) -> CanvasSpec:
    tiles = tuple(Tile(str(n), str(n), LIGHT.ink) for n in range(len(values)))
    return CanvasSpec("test", "a test", LIGHT, "#000000", grid=Tiles(values, **COMMON, tiles=tiles, **options))


def ramp(count: int) -> np.ndarray:
    return np.sin(np.arange(count, dtype=np.float32))


def test_payload_reads_back():
    values = ramp(24).reshape(2, 3, 4)
    values[0, 1, 2] = np.nan
    header, planes = decode(picture(values).payload())
    assert [header["grid"][name] for name in ("count", "rows", "columns")] == [2, 3, 4]
    np.testing.assert_array_equal(planes[header["grid"]["plane"]].reshape(2, 3, 4), values)


@pytest.mark.parametrize("kind", [Matrix, Frames, Tiles], ids=lambda kind: kind.mode)
def test_every_kind_says_what_it_is_and_only_its_own_fields(kind):
    values = ramp(24).reshape((4, 6) if kind is Matrix else (2, 3, 4))
    own = {"tiles": (Tile("a", "a", LIGHT.ink),) * 2} if kind is Tiles else {"rows": Axis(names=("a", "b"))}
    header, _ = decode(CanvasSpec("x", "x", LIGHT, "#000000", grid=kind(values, **COMMON, **own)).payload())
    grid = header["grid"]
    assert grid["mode"] == kind.mode
    assert [grid[name] for name in ("count", "rows", "columns")] == list((1, 4, 6) if kind is Matrix else (2, 3, 4))
    assert ("marks" in grid, "frame_pool" in grid, "selected_row" in grid) == (
        kind is Tiles,
        kind is Frames,
        kind is Matrix,
    )
    assert grid.get("row_names") == (None if kind is Tiles else ["a", "b"])


@pytest.mark.parametrize(("kind", "shape"), [(Matrix, (1, 2, 3)), (Frames, (2, 3)), (Tiles, (2, 3))], ids=str)
def test_a_kind_refuses_values_of_other_dimensions(kind, shape):
    with pytest.raises(ValueError, match=rf"{kind.__name__} takes values of \d dimensions, got the shape"):
        kind(np.zeros(shape), **COMMON)


def test_a_mosaic_refuses_fewer_tiles_than_maps():
    with pytest.raises(ValueError, match="2 maps for 1 tiles"):
        Tiles(np.zeros((2, 3, 3)), **COMMON, tiles=(Tile("a", "a", LIGHT.ink),))


def test_lanes_carry_as_many_choices_as_there_are():
    chosen = tuple((ramp(6).reshape(2, 3) + n, ramp(6).reshape(2, 3) / 10 - n) for n in range(3))
    shown = Matrix(ramp(6).reshape(2, 3), **COMMON, lanes=Lanes(chosen, (LIGHT.ink,), alone=True))
    header, planes = decode(CanvasSpec("x", "x", LIGHT, "#000000", grid=shown).payload())
    for pair, wanted in zip(header["grid"]["lanes"]["chosen"], chosen, strict=True):
        for plane, values in zip(pair, wanted, strict=True):
            np.testing.assert_array_equal(planes[plane].reshape(2, 3), values)


def test_decode_refuses_another_version():
    payload = encode({"version": VERSION - 1}, Planes())
    with pytest.raises(ValueError, match=f"version {VERSION - 1}, this program reads version {VERSION}"):
        decode(payload)


def test_the_browser_reads_the_version_that_is_written():
    assert f"const VERSION = {VERSION};" in script()


def test_a_header_of_any_length_stands_before_its_planes(traces):
    for name in ("a", "ab", "가", "가나"):
        spec = CanvasSpec(name, name, LIGHT, "#000000", strip=Strip(traces["mamba"].tokens, ramp(11)))
        header, planes = decode(spec.payload())
        assert header["alt"] == name
        np.testing.assert_array_equal(planes[0], ramp(11))


NUMBERS = np.concatenate(
    [
        np.sin(np.arange(1, 4000)) * 10.0 ** np.linspace(-44, 38, 3999),
        [0, -0.0, np.nan, 0.0625, -0.3125, 1.125, 9.995, 999.5, -99950, 1e-45, 3.4e38, 1, 10, 1e-4],
    ]
).astype(np.float32)


@pytest.mark.parametrize("digits", [1, 2, 3, 4, 5])
def test_numbers_sent_to_some_digits_are_those_rounded_half_away_from_zero(digits: int) -> None:
    planes = Planes()
    planes.add(NUMBERS, digits=digits)
    (sent,) = decode(encode({}, planes))[1]
    context = Context(prec=digits, rounding=ROUND_HALF_UP)
    known = [np.nan if np.isnan(one) else np.float32(float(context.create_decimal(float(one)))) for one in NUMBERS]
    np.testing.assert_array_equal(sent, np.array(known, np.float32))


@pytest.mark.parametrize(("values", "digits"), [(np.array([np.inf]), 3), (ramp(3), 0), (ramp(3), MOST_DIGITS + 1)])
def test_what_has_no_such_digits_is_refused(values: np.ndarray, digits: int) -> None:
    with pytest.raises(ValueError, match="digits"):
        Planes().add(values, digits=digits)


def test_fewer_digits_take_fewer_bytes() -> None:
    sizes = [len(picture(ramp(6000).reshape(2, 50, 60), digits=digits).payload()) for digits in (3, 4, 5, None)]
    assert sizes == sorted(sizes) and sizes[0] < sizes[-1] / 2


def test_decode_refuses_a_cut_payload():
    with pytest.raises(ValueError, match=r"buffer|payload"):
        decode(picture(ramp(24).reshape(2, 3, 4)).payload()[:-4])


def test_decode_refuses_a_payload_with_a_tail():
    with pytest.raises(ValueError, match="payload of"):
        decode(picture(ramp(24).reshape(2, 3, 4)).payload() + b"\0\0\0\0")


WRONG_TEXTS = {"texts": (("a", "b"),), "cell_names": (("a",), ("b",))}


@pytest.mark.parametrize("name", WRONG_TEXTS)
def test_texts_for_other_cells_are_refused(name):
    with pytest.raises(ValueError, match=rf"{name} of Matrix must have one text for each cell of the shape \(2, 2\)"):
        Matrix(np.zeros((2, 2)), **COMMON, **{name: WRONG_TEXTS[name]})


def test_bars_without_tokens_are_refused():
    with pytest.raises(ValueError, match="bars and no strip"):
        CanvasSpec("x", "x", LIGHT, "#000000", bars=(Bars(None, "x", LIGHT.ink),))


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


def test_the_first_and_the_last_of_everything_can_be_chosen():
    """Two tiles of 6 × 8 cells, pooled to 3 × 4; without a strip the longer side counts the tokens."""
    assert click(row=0, column=0, tile=0, token=0) == Selection(0, 0, 0, 0)
    assert click(token=0.0) == Selection(None, None, None, 0)
    assert click(row=7, column=7, tile=1, token=7) == Selection(7, 7, 1, 7)
    for name, count in {"row": 8, "column": 8, "tile": 2, "token": 8}.items():
        assert click(**{name: count}) is None, name
        assert click(**{name: -1}) is None, name


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
