"""The logit lens as it is drawn: cells, ranks and words of a real run, and a badge that turns red when they are not."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from figure_words import strict

from models import registry
from models.records.trace import ModelTrace, NamedArray, Token
from viz import proof
from viz.canvas import decode
from viz.figure import Figure
from viz.look.theme import DARK, LIGHT
from viz.trace.lens import PARTS, logit_lens

pytestmark = pytest.mark.skipif(not registry.bundled(), reason="no bundled checkpoints")

TEXT = "Once upon a time a wolf met a wolf, and the wolf said to the King: 늑대 🐺"
AT = 3


@pytest.fixture(scope="module", params=[adapter.bundled for adapter in registry.ADAPTERS])
def run(request: pytest.FixtureRequest) -> ModelTrace:
    return registry.trace(registry.load(request.param), TEXT)


def drawn(run: ModelTrace, **options: Any) -> Figure:
    return logit_lens(run, **({"theme": LIGHT, "t": strict("en"), "selected": AT} | options))


def error(figure: Figure, run: ModelTrace, at: int | None = AT) -> float:
    check = proof.check(figure, run, selected=at)
    assert check is not None and check.kind == "rebuilds"
    return check.error


@pytest.mark.slow
def test_cells_are_the_record_and_the_last_row_is_the_models_prediction(run: ModelTrace) -> None:
    figure = drawn(run)
    header, planes = decode(figure.body.payload())
    grid = header["grid"]
    assert (grid["rows"], grid["columns"]) == (len(run.layers) + 1, len(run.tokens))
    values = planes[grid["plane"]].reshape(grid["rows"], grid["columns"])
    for row, layer in enumerate(run.stream):
        np.testing.assert_array_equal(values[row], layer.part("lens_probs")[:, 0])
        assert grid["texts"][row] == [run.label_of(int(token)) for token in layer.part("lens_tokens")[:, 0]]
    logits = run.logits.values.astype(np.float64)
    own = np.exp(logits - logits.max(-1, keepdims=True))
    np.testing.assert_allclose(values[-1], (own / own.sum(-1, keepdims=True)).max(-1), rtol=1e-4)
    assert grid["texts"][-1] == [run.label_of(int(token)) for token in logits.argmax(-1)]


@pytest.mark.slow
@pytest.mark.parametrize("lang", ["en", "ko"])
def test_ranks_and_readout_follow_the_chosen_token(run: ModelTrace, lang: str) -> None:
    t = strict(lang)
    grid = decode(drawn(run, t=t, theme=DARK).body.payload())[0]["grid"]
    final, following = (run.stream[2].part(f"lens_rank_{name}")[AT] for name in ("final", "next"))
    assert grid["row_notes"][2] == t("viz.logit_lens.ranks", final=int(final), next=int(following))
    lines = grid["cell_names"][2][AT].split("\n")
    top = [run.label_of(int(token)) for token in run.stream[2].part("lens_tokens")[AT]]
    assert len(lines) == 3 and all(label in lines[0] for label in top) and len(top) == 5
    assert lines[2] == grid["row_notes"][2]
    last = decode(drawn(run, t=t, selected=None).body.payload())[0]["grid"]
    assert last["row_notes"][-1] == t("viz.logit_lens.rank", final=1)


@pytest.mark.slow
def test_a_healthy_lens_is_green_at_any_token(run: ModelTrace) -> None:
    for at in (0, AT, len(run.tokens) - 1, None):
        assert error(drawn(run, selected=at), run, at) < 1e-4


def with_grid(figure: Figure, **changes: Any) -> Figure:
    grid = dataclasses.replace(figure.body.grid, **changes)
    return dataclasses.replace(figure, body=dataclasses.replace(figure.body, grid=grid))


def with_part(figure: Figure, part: str, spoil: Callable[[np.ndarray], np.ndarray]) -> Figure:
    named = figure.data[part]
    return dataclasses.replace(figure, data={**figure.data, part: NamedArray(spoil(named.values.copy()), named.dims)})


SPOILED = {
    "rows in another order": lambda one: with_grid(one, values=np.roll(one.body.grid.values, 1, axis=0)),
    "columns shifted": lambda one: with_grid(one, values=np.roll(one.body.grid.values, 1, axis=1)),
    "other words": lambda one: with_grid(one, texts=one.body.grid.texts[::-1]),
    "another read-out": lambda one: with_grid(one, cell_names=tuple(("?",) * len(row) for row in one.body.grid.texts)),
    "rows named upwards": lambda one: with_grid(
        one, rows=dataclasses.replace(one.body.grid.rows, labels=one.body.grid.rows.labels[::-1])
    ),
    "ranks of another row": lambda one: with_grid(
        one, rows=dataclasses.replace(one.body.grid.rows, notes=(*one.body.grid.rows.notes[1:], "final 7 next 9999999"))
    ),
    "no number": lambda one: with_part(one, "lens_probs", lambda values: values * np.nan),
} | {
    f"{part} one row up": lambda one, part=part: with_part(one, part, lambda values: np.roll(values, 1, axis=0))
    for part in PARTS
}


@pytest.mark.parametrize("name", SPOILED)
def test_a_spoiled_picture_is_red(run: ModelTrace, name: str) -> None:
    assert not error(SPOILED[name](drawn(run)), run) <= 1e-2


@pytest.mark.parametrize("part", PARTS)
def test_a_record_spoiled_in_the_last_layer_is_red(run: ModelTrace, part: str) -> None:
    """Picture and record then agree, but not with the probabilities that the model itself gave."""
    last = run.layers[-1]
    values = np.array(last.part(part))
    wrong = np.roll(values, 1, axis=0) if values.dtype.kind == "i" else values * 1.5 + 1
    parts = {name: last.parts[name] for name in last.parts} | {part: NamedArray(wrong, last.parts[part].dims)}
    layers = (*run.layers[:-1], dataclasses.replace(last, parts=parts))
    spoiled = dataclasses.replace(run, layers=layers)
    assert not error(drawn(spoiled), spoiled) <= 1e-2


def test_a_lens_of_another_token_than_chosen_is_red(run: ModelTrace) -> None:
    assert error(drawn(run, selected=AT + 1), run) == 1.0


@pytest.mark.slow
@pytest.mark.parametrize(("count", "layers"), [(256, 6), (256, 64)])
def test_a_long_text_still_fits_into_a_payload(run: ModelTrace, count: int, layers: int) -> None:
    places = np.arange(count) % len(run.tokens)

    def longer(layer: Any, index: int) -> Any:
        parts = {part: NamedArray(layer.part(part)[places], layer.parts[part].dims) for part in PARTS}
        return dataclasses.replace(layer, index=index, parts=parts)

    tokens = tuple(Token(i, run.tokens[p].id, run.tokens[p].label, i, i + 1) for i, p in enumerate(places))
    many = tuple(longer(run.layers[i % len(run.layers)], i) for i in range(layers))
    bits = NamedArray(np.full(count, np.nan, np.float32), ("token",))
    logits = NamedArray(run.logits.values[places], ("token", "vocab"))
    long = dataclasses.replace(run, tokens=tokens, layers=many, surprisal=bits, logits=logits, embedding=None)
    assert len(drawn(long).body.payload()) < 1_500_000
