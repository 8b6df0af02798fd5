"""Four machines with different tokenizers: laid out by characters, with known answers."""

import numpy as np
import pytest

from models.alignment import align_all
from models.records.trace import LayerTrace, ModelTrace, NamedArray, Token
from viz.canvas import decode
from viz.look.theme import theme_for
from viz.trace.overview import architecture_maps, laid, row_shares

PROMPT = "ab cd"
CUTS = {
    "transformer": ((0, 2, "ab"), (2, 5, "␣cd")),
    "mamba": ((0, 0, "<s>"), (0, 1, "a"), (1, 2, "b"), (2, 3, "␣"), (3, 5, "cd")),
    "rwkv": ((0, 2, "ab"), (2, 4, "␣c"), (4, 5, "d"), (4, 5, "d")),  # the last character in two pieces
}


def t(key: str, **values: object) -> str:
    return f"{key} {values}" if values else key


def read_by(architecture: str) -> ModelTrace:
    tokens = tuple(Token(i, 10 + i, label, start, stop) for i, (start, stop, label) in enumerate(CUTS[architecture]))
    count = len(tokens)
    weights = np.tril(np.arange(1, count * count + 1, dtype=np.float32).reshape(count, count))
    part = {"transformer": "attention", "mamba": "hidden_attention", "rwkv": "effective_attention"}[architecture]
    values = weights[None] if part == "attention" else weights
    dims = ("head", "query", "key") if part == "attention" else ("query", "key")
    layer = LayerTrace(0, architecture, "none", {part: NamedArray(values, dims)})
    nothing = NamedArray(np.zeros((count, 3), np.float32), ("token", "vocab"))
    bits = NamedArray(np.full(count, np.nan, np.float32), ("token",))
    return ModelTrace("x", architecture, PROMPT, tokens, nothing, bits, (layer,), 1, 1, {}, "cpu", "float32", 0.1)


@pytest.fixture(scope="module")
def traces() -> list[ModelTrace]:
    """Read one text by three tokenizers."""
    return [read_by(name) for name in CUTS]


def test_different_tokens_need_an_alignment(traces: list[ModelTrace]) -> None:
    with pytest.raises(ValueError, match="do not share"):
        architecture_maps(traces, theme=theme_for("light"), t=t)


def test_a_token_is_as_wide_as_its_characters(traces: list[ModelTrace]) -> None:
    axis = align_all(PROMPT, [trace.tokens for trace in traces])
    assert [segment.label for segment in axis.segments] == ["<s>", "a", "b", "␣", "c", "d", "d"]
    assert axis.owners == ((-1, 0, 0, 1, 1, 1, 1), (0, 1, 2, 3, 4, 4, 4), (-1, 0, 0, 1, 1, 2, 3))
    figure = architecture_maps(traces, theme=theme_for("light"), t=t, alignment=axis, span=(2, 5))
    header, planes = decode(figure.body.payload())
    maps = planes[header["grid"]["plane"]].reshape(3, 7, 7)
    for tile, trace in enumerate(traces):
        shares = row_shares(trace)
        for row, i in enumerate(axis.owners[tile]):
            for column, j in enumerate(axis.owners[tile]):
                cell = maps[tile, row, column]
                assert np.isnan(cell) if min(i, j) < 0 or j > i else cell == shares[i, j]


def test_the_chosen_characters_mark_every_token_that_shares_one(traces: list[ModelTrace]) -> None:
    axis = align_all(PROMPT, [trace.tokens for trace in traces])

    def marks(span: tuple[int, int] | None) -> tuple[object, object]:
        header, _ = decode(
            architecture_maps(traces, theme=theme_for("dark"), t=t, alignment=axis, span=span).body.payload()
        )
        return header["grid"]["marks"], header["strip"]["chosen"]

    assert marks((3, 5)) == ([[3, 7], [4, 7], [3, 7]], [4, 7])  # " cd" | "cd" | " c" and both pieces of "d"
    assert marks((0, 1)) == ([[1, 3], [1, 2], [1, 3]], [1, 2])
    assert marks((0, 0)) == ([[0, 0], [0, 1], [0, 0]], [0, 1])  # a start token, which one model has
    assert marks(None) == ([], None)


def test_every_model_keeps_its_own_numbers_in_the_export(traces: list[ModelTrace]) -> None:
    axis = align_all(PROMPT, [trace.tokens for trace in traces])
    figure = architecture_maps(traces, theme=theme_for("light"), t=t, alignment=axis)
    for trace in traces:
        own = figure.data[f"mixing_{trace.architecture}"].values
        assert own.shape == (len(trace.tokens),) * 2
        np.testing.assert_allclose(own.sum(1), 1, rtol=1e-6)


def test_the_strip_says_how_each_model_cuts_the_text(traces: list[ModelTrace]) -> None:
    axis = align_all(PROMPT, [trace.tokens for trace in traces])
    header, _ = decode(architecture_maps(traces, theme=theme_for("light"), t=t, alignment=axis).body.payload())
    assert header["strip"]["extra"][4] == (
        "viz.architecture.transformer ␣cd · viz.architecture.mamba cd · viz.architecture.rwkv ␣c"
    )
    assert header["strip"]["piece"][5:] == [1, 2] and header["strip"]["surprisal"] is None


def test_shared_tokens_stay_as_they_were(traces: list[ModelTrace]) -> None:
    same = [traces[1], read_by("mamba")]
    header, planes = decode(architecture_maps(same, theme=theme_for("light"), t=t, selected=2).body.payload())
    assert header["grid"]["marks"] == [[2, 3], [2, 3]] and header["grid"]["owners"] == []
    maps = planes[header["grid"]["plane"]].reshape(2, 5, 5)
    np.testing.assert_array_equal(np.tril(np.nan_to_num(maps[0])), row_shares(traces[1]))


def test_a_map_is_spread_over_its_segments() -> None:
    spread = laid(np.array([[1.0, np.nan], [0.25, 0.75]], np.float32), (0, 0, -1, 1))
    expected = [[1, 1, np.nan, np.nan], [1, 1, np.nan, np.nan], [np.nan] * 4, [0.25, 0.25, np.nan, 0.75]]
    np.testing.assert_array_equal(spread, np.array(expected, np.float32))


def test_all_maps_share_one_legend_of_the_one_range(traces: list[ModelTrace]) -> None:
    axis = align_all(PROMPT, [trace.tokens for trace in traces])
    header, _ = decode(architecture_maps(traces, theme=theme_for("light"), t=t, alignment=axis).body.payload())
    (legend,) = header["legends"]
    assert legend["ramp"] == [0, 1, 2] and len(header["grid"]["ramps"]) == 3
    assert [tick[0] for tick in legend["ticks"]] == [0.0, 1.0] and header["grid"]["scale"]["by"] == "all"
