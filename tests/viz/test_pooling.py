"""Pooled pictures: colours are peaks, numbers are sums over a block, and a mosaic of many heads stays small."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from models.records.trace import Alignment, LayerTrace, ModelTrace, NamedArray, Token
from viz.canvas import CanvasSpec, decode
from viz.canvas.pooling import block_sums, fit_square, max_pool, pooled_sums, runs
from viz.look.theme import LIGHT
from viz.trace import attention, routing
from viz.trace.matrix import matrix_picture
from viz.trace.overview import architecture_maps, row_shares

PAYLOAD_LIMIT = 1_500_000


def weights(*shape: int) -> np.ndarray:
    """Return causal rows that add up to 1 (..., query, key), nan above the diagonal, from a fixed formula."""
    scores = np.exp(2 * np.sin((np.arange(int(np.prod(shape))) + 1.0) ** 1.5)).reshape(shape)
    past = np.tri(shape[-1], dtype=bool)
    kept = np.where(past, scores, 0)
    return np.where(past, kept / kept.sum(-1, keepdims=True), np.nan).astype(np.float32)


def long_trace(length: int, *, layers: int = 1, heads: int = 1, architecture: str = "transformer") -> ModelTrace:
    """Read a text of a length with attention of a fixed formula; every token occurs five times."""
    tokens = tuple(Token(i, i % (length // 5), f"w{i}", i, i + 1) for i in range(length))
    shown = tuple(
        LayerTrace(n, "attention", "dense", {"attention": NamedArray(np.nan_to_num(map_), ("head", "query", "key"))})
        for n, map_ in enumerate(weights(layers, heads, length, length))
    )
    nothing = NamedArray(np.zeros((length, 3), np.float32), ("token", "vocab"))
    bits = NamedArray(np.full(length, np.nan, np.float32), ("token",))
    return ModelTrace("x", architecture, "", tokens, nothing, bits, shown, 1, 1, {}, "cpu", "float32", 0.1)


def sums_of(body: object) -> tuple[np.ndarray, np.ndarray, dict]:
    """Return what colours a pooled picture and what it says, (tile, row, column) each, and its header."""
    assert isinstance(body, CanvasSpec)
    header, planes = decode(body.payload())
    grid = header["grid"]
    shape = grid["count"], grid["rows"], grid["columns"]
    return planes[grid["plane"]].reshape(shape), planes[grid["sums"]].reshape(shape), header


def by_hand(map_: np.ndarray, rows: range, columns: range) -> float:
    """Average, over the rows of a block, the sum of what each of them has in its columns."""
    return float(np.mean([sum(map_[r, c] for c in columns if not np.isnan(map_[r, c])) for r in rows]))


def test_a_block_is_the_sum_over_its_columns_averaged_over_its_rows():
    nan = np.nan
    map_ = np.array([[1.0, nan, nan], [0.75, 0.25, nan], [0.5, 0.25, 0.25]])
    blocks = runs(3, 2)
    np.testing.assert_allclose(block_sums(map_, rows=blocks, columns=blocks), [[1.0, nan], [0.75, 0.25]])
    np.testing.assert_allclose(max_pool(map_, rows=2, columns=2).values, [[1.0, nan], [0.5, 0.25]])


def test_signed_values_cancel_in_a_sum_and_not_in_a_peak():
    map_ = np.array([[2.0, -3.0], [1.0, 1.0]])
    assert block_sums(map_, rows=[[0, 1]], columns=[[0, 1]]) == [[0.5]]
    assert max_pool(map_, rows=2, columns=2).values == [[-3.0]]


@pytest.mark.parametrize(("length", "block"), [(7, 2), (7, 3), (96, 5), (194, 3)])
def test_rows_that_add_up_to_one_still_do(length, block):
    map_ = weights(length, length)
    pooled = max_pool(map_, rows=block, columns=block)
    sums = pooled_sums(map_, pooled)
    np.testing.assert_allclose(np.nansum(sums, axis=1), 1, rtol=1e-5)
    assert np.nansum(np.nan_to_num(pooled.values), axis=1).min() < 0.99, "peaks would not, or this shows nothing"
    np.testing.assert_array_equal(np.isnan(sums), np.isnan(pooled.values))


def test_what_is_not_pooled_has_no_sums():
    map_ = weights(5, 5)
    assert pooled_sums(map_, max_pool(map_)) is None


def test_a_matrix_too_long_to_send_reads_out_shares(english):
    trace = long_trace(1000)
    figure = attention.head_matrix(trace, theme=LIGHT, t=english, layer=0, head=0, selected=777)
    peaks, sums, header = sums_of(figure.body)
    block = header["grid"]["pool"][0]
    assert block > 1
    assert len(figure.body.payload()) < PAYLOAD_LIMIT
    map_ = trace.layer(0).part("attention")[0]
    row = 777 // block
    of = range(row * block, (row + 1) * block)
    for column in (0, 5, row):
        assert sums[0, row, column] == pytest.approx(by_hand(map_, of, range(column * block, (column + 1) * block)))
    assert np.nansum(sums[0, row]) == pytest.approx(1, rel=1e-5)
    assert abs(np.nansum(peaks[0, row]) - 1) > 0.02, "peaks do not, or this shows nothing"
    assert english("viz.pooled", rows=block, columns=block) in header["note"]
    assert header["words"]["summed"] == english("viz.words.summed")


def test_scores_before_the_softmax_are_not_added_up(traces, english):
    values = np.sin(np.arange(1000.0**2)).reshape(1000, 1000)
    trace = replace(traces["transformer"], tokens=long_trace(1000).tokens)
    made = matrix_picture(
        "head_logits", values, trace, theme=LIGHT, t=english, color="#000000", alt="x", additive=False
    )
    header, _ = decode(made.payload())
    assert header["grid"]["sums"] is None
    block = header["grid"]["pool"][0]
    assert header["note"] == english("viz.pooled_strongest", rows=block, columns=block)


@pytest.mark.parametrize("figure", ["head_logits", "head_matrix", "value_norm_matrix"])
def test_only_scores_before_the_softmax_are_not_additive(figure, traces, english, monkeypatch):
    seen = []
    monkeypatch.setattr(attention, "matrix_picture", lambda *_, additive, **__: seen.append(additive))
    getattr(attention, figure)(traces["transformer"], theme=LIGHT, t=english, layer=0, head=0)
    assert seen == [figure != "head_logits"]


def stack(trace: ModelTrace, english: Callable[..., str]) -> tuple[np.ndarray, CanvasSpec]:
    body = routing.hybrid_stack(trace, theme=LIGHT, t=english).body
    return trace.layer(0).part("attention").mean(0), body


def mosaic(trace: ModelTrace, english: Callable[..., str]) -> tuple[np.ndarray, CanvasSpec]:
    body = attention.head_mosaic(trace, theme=LIGHT, t=english).body
    return trace.layer(0).part("attention")[0], body


def machines(trace: ModelTrace, english: Callable[..., str]) -> tuple[np.ndarray, CanvasSpec]:
    return row_shares(trace), architecture_maps([trace], theme=LIGHT, t=english).body


@pytest.mark.parametrize("drawn", [stack, mosaic, machines])
def test_a_tile_says_the_share_of_the_range_it_names(drawn, english):
    map_, body = drawn(long_trace(194), english)
    _, sums, header = sums_of(body)
    block = header["grid"]["pool"][0]
    assert block >= 3
    for row, column in ((10, 0), (10, 4), (20, 20)):
        of, to = (range(at * block, min(194, (at + 1) * block)) for at in (row, column))
        assert sums[0, row, column] == pytest.approx(by_hand(map_, of, to), rel=1e-5)
    assert english("viz.pooled", rows=block, columns=block) in header["note"]


@pytest.mark.parametrize("drawn", [stack, mosaic, machines])
def test_a_short_text_is_drawn_and_said_as_it_is(drawn, english):
    _, body = drawn(long_trace(30), english)
    header, _ = decode(body.payload())
    assert header["grid"]["sums"] is None
    assert english("viz.pooled", rows=1, columns=1)[:16] not in header["note"]


def test_a_token_that_covers_several_segments_counts_once(english):
    trace = long_trace(100)
    own = tuple(i // 2 for i in range(200))  # every token covers two segments
    segments = long_trace(200).tokens
    axis = Alignment(segments, (own, own))
    body = architecture_maps([trace, replace(trace, architecture="mamba")], theme=LIGHT, t=english, alignment=axis).body
    _, sums, header = sums_of(body)
    block = header["grid"]["pool"][0]
    assert block == 3
    shares = row_shares(trace)
    for row, column in ((20, 3), (40, 11), (66, 0)):
        of, to = (sorted({own[i] for i in range(at * 3, min(200, at * 3 + 3))}) for at in (row, column))
        expected = np.mean([sum(shares[r, c] for c in to) for r in of])
        assert sums[0, row, column] == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("layers", "heads", "length"), [(24, 16, 160), (30, 9, 256), (6, 8, 256)])
def test_a_mosaic_of_many_heads_stays_small_and_keeps_its_peaks(layers, heads, length, t):
    trace = long_trace(length, layers=layers, heads=heads)
    body = attention.head_mosaic(trace, theme=LIGHT, t=t).body
    assert len(body.payload()) < PAYLOAD_LIMIT
    peaks, sums, header = sums_of(body)
    assert header["grid"]["columns"] <= attention.THUMBNAIL
    places = [attention.mosaic_head(trace, tile) for tile in range(layers * heads)]
    maps = np.stack([trace.layer(at.layer).part("attention")[at.head] for at in places])
    np.testing.assert_array_equal(np.nanmax(peaks, axis=(1, 2)), maps.max(axis=(1, 2)))
    np.testing.assert_allclose(np.nansum(sums, axis=2), 1, rtol=1e-5)


def test_sums_count_in_the_budget():
    values = np.zeros((650, 650), dtype=np.float32)
    alone, both = fit_square(values, budget=110_000), fit_square(values, planes=2, budget=110_000)
    assert (alone.rows, both.rows) == (2, 3)
    assert 2 * both.values.size <= 110_000
