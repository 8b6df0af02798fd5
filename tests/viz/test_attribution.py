"""The residual stream, a followed token and what adds to a logit, as they are drawn, and badges that turn red."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from figure_words import strict

from models import registry
from models.records.trace import Attribution, ModelTrace, NamedArray, TokenLens
from viz import proof
from viz.canvas import decode
from viz.figure import Figure
from viz.look.theme import DARK, LIGHT
from viz.trace.attribution import head_attribution, logit_attribution
from viz.trace.residual import norms_of, residual_norms
from viz.trace.token_lens import token_lens

pytestmark = pytest.mark.skipif(not registry.bundled(), reason="no bundled checkpoints")
TEXT = "Once upon a time a wolf met a wolf, and the wolf said to the King: 늑대 🐺"


class Run:
    """A bundled model that read a text, and what it was asked about it."""

    def __init__(self, name: str) -> None:
        self.model = registry.load(name)
        self.trace: ModelTrace = registry.trace(self.model, TEXT)
        self.token = self.trace.tokens[2].id
        self.lens: TokenLens = registry.lens_of(self.model, self.trace, self.token)
        ids = [token.id for token in self.trace.tokens[1:]]
        self.found: Attribution = registry.attribution_of(self.model, self.trace, [*ids, -1])


@pytest.fixture(scope="module", params=[adapter.bundled for adapter in registry.ADAPTERS])
def run(request: pytest.FixtureRequest) -> Run:
    return Run(request.param)


def error(figure: Figure, run: Run, trace: ModelTrace | None = None, **choice: Any) -> float:
    check = proof.check(figure, trace or run.trace, **choice)
    assert check is not None and check.kind == "rebuilds"
    return check.error


def spoiled(figure: Figure, name: str, change: Callable[[np.ndarray], np.ndarray]) -> Figure:
    named = figure.data[name]
    values = np.array(change(np.array(named.values)))
    return dataclasses.replace(figure, data={**figure.data, name: NamedArray(values, named.dims)})


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_healthy_figures_are_green(run: Run, lang: str) -> None:
    options = {"theme": DARK if lang == "ko" else LIGHT, "t": strict(lang)}
    assert error(residual_norms(run.trace, **options), run) < 1e-5
    assert error(token_lens(run.trace, lens=run.lens, **options), run, lens=run.lens) < 1e-4
    for at in (0, 5, None):
        figure = logit_attribution(run.trace, found=run.found, selected=at, **options)
        assert error(figure, run, found=run.found) < 1e-5
    if run.found.heads:
        assert error(head_attribution(run.trace, found=run.found, **options), run, found=run.found) < 1e-5
    assert bool(run.found.heads) == bool(run.trace.layers_with("attention"))


def test_lengths_are_those_of_the_record(run: Run) -> None:
    norms = norms_of(run.trace)
    layers = len(run.trace.layers)
    assert norms["stream"].shape == (layers + 1, len(run.trace.tokens))
    t = 3
    assert norms["stream"][0, t] == pytest.approx(
        np.sqrt((run.trace.stream[0].part("resid_post")[t] ** 2).sum()), rel=1e-5
    )
    for layer in run.trace:
        assert np.isnan(norms["ffn"][layer.index]).all() == (layer.ffn == "none")
    figure = residual_norms(run.trace, theme=LIGHT, t=strict("en"))
    rows = next(iter(figure.body.rows.values()))
    kinds = {"stream", "mixer"} | ({"ffn"} if run.trace.layers_with("ffn_write") else set())
    assert set(rows["kind"]) == kinds and len(figure.each) == len(run.trace.tokens)
    assert "times as long" in figure.finding


@pytest.mark.parametrize("kind", ["stream", "mixer"])
@pytest.mark.parametrize(
    "change", [lambda x: np.roll(x, 1, axis=0), lambda x: np.roll(x, 1, axis=1), lambda x: 1.01 * x]
)
def test_other_lengths_are_red(run: Run, kind: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    figure = residual_norms(run.trace, theme=LIGHT, t=strict("en"))
    assert error(spoiled(figure, kind, change), run) > 1e-3
    name = next(iter(figure.body.rows))
    rows = figure.body.rows[name].copy()
    own = rows["kind"] == kind
    rows.loc[own, "norm"] = change(rows.loc[own, "norm"].to_numpy()[None])[0] * (1.0 if kind != "x" else 1)
    if not np.array_equal(rows["norm"], figure.body.rows[name]["norm"]):
        body = dataclasses.replace(figure.body, rows={**figure.body.rows, name: rows})
        assert error(dataclasses.replace(figure, body=body), run) > 1e-3


@pytest.mark.parametrize("part", ["mixer_write", "resid_post"])
def test_writes_of_another_layer_do_not_add_up(run: Run, part: str) -> None:
    layers = list(run.trace.layers)
    moved = {layers[0].index: layers[1].parts[part], layers[1].index: layers[0].parts[part]}
    changed = tuple(
        dataclasses.replace(one, parts={**dict(one.parts.ready), part: moved[one.index]}) if one.index in moved else one
        for one in layers
    )
    other = dataclasses.replace(run.trace, layers=changed)
    figure = residual_norms(run.trace, theme=LIGHT, t=strict("en"))
    assert error(figure, run, other) > 1e-3


CHANGES = {
    "parts in another order": lambda x: np.roll(x, 1, axis=0),
    "positions shifted": lambda x: np.roll(x, 1, axis=1),
    "rescaled": lambda x: 1.01 * x,
    "no number": lambda x: x * np.nan,
}


@pytest.mark.parametrize("name", CHANGES)
def test_other_shares_of_a_logit_are_red(run: Run, name: str) -> None:
    figure = logit_attribution(run.trace, found=run.found, theme=LIGHT, t=strict("en"))
    assert not error(spoiled(figure, "added", CHANGES[name]), run, found=run.found) <= 1e-3
    grid = dataclasses.replace(figure.body.grid, values=CHANGES[name](figure.body.grid.values))
    drawn = dataclasses.replace(figure, body=dataclasses.replace(figure.body, grid=grid))
    assert not error(drawn, run, found=run.found) <= 1e-3


def test_the_numbers_beside_the_rows_follow_the_token(run: Run) -> None:
    figure = logit_attribution(run.trace, found=run.found, theme=LIGHT, t=strict("en"), selected=4)
    header, planes = decode(figure.body.payload())
    grid = header["grid"]
    values = planes[grid["plane"]].reshape(grid["rows"], grid["columns"])
    written = [float(one.replace("−", "-")) for one in grid["row_notes"]]
    np.testing.assert_allclose(written, values[:, 4], atol=0.051)
    assert all((one[0] in "+−") == (number != 0) for one, number in zip(grid["row_notes"], written, strict=True))
    logit = run.trace.logits.values[4, run.trace.tokens[5].id]
    assert f"{logit:.2f}" in header["note"] and run.trace.tokens[5].label in header["note"]
    ffn = sum(layer.ffn != "none" for layer in run.trace)
    bias = int(np.nanmax(np.abs(run.found.bias.values)) > 0)
    assert grid["rows"] == 1 + len(run.trace.layers) + ffn + bias
    last = logit_attribution(run.trace, found=run.found, theme=LIGHT, t=strict("en"))
    assert "no token came" in decode(last.body.payload())[0]["note"]


def test_the_attribution_of_another_token_is_red(run: Run) -> None:
    other = registry.attribution_of(run.model, run.trace, [run.token] * len(run.trace.tokens))
    figure = logit_attribution(run.trace, found=other, theme=LIGHT, t=strict("en"))
    assert not error(figure, run, found=run.found) <= 1e-3


def test_heads_of_another_layer_or_order_are_red(run: Run) -> None:
    if not run.found.heads:
        pytest.skip("no heads")
    figure = head_attribution(run.trace, found=run.found, theme=LIGHT, t=strict("en"))
    for axis in (0, 2):
        assert (
            not error(spoiled(figure, "added", lambda x, axis=axis: np.roll(x, 1, axis=axis)), run, found=run.found)
            <= 1e-3
        )
    assert not error(spoiled(figure, "added", lambda x: 1.01 * x), run, found=run.found) <= 1e-3
    rows = dataclasses.replace(figure.body.grid.rows, labels=("layer 99",) * len(figure.body.grid.rows.labels))
    grid = dataclasses.replace(figure.body.grid, rows=rows)
    assert (
        error(dataclasses.replace(figure, body=dataclasses.replace(figure.body, grid=grid)), run, found=run.found)
        == 1.0
    )


def test_a_followed_token_of_another_id_or_layer_is_red(run: Run) -> None:
    figure = token_lens(run.trace, lens=run.lens, theme=LIGHT, t=strict("en"))
    best = int(run.trace.logits.values[3].argmax())
    lens = registry.lens_of(run.model, run.trace, best)
    good = token_lens(run.trace, lens=lens, theme=LIGHT, t=strict("en"))
    assert error(good, run, lens=lens) < 1e-4
    assert not error(figure, run, lens=lens) <= 1e-3 or best == run.token
    for name in ("probability", "rank"):
        assert not error(spoiled(good, name, lambda x: np.roll(x, 1, axis=0)), run, lens=lens) <= 1e-3
    header = decode(good.body.payload())[0]
    assert header["grid"]["texts"][-1][3] == "1" and not header["grid"].get("reports")


@pytest.mark.parametrize("text", ["a", "a b"])
def test_the_shortest_texts_are_drawn(text: str) -> None:
    for name in registry.bundled():
        model = registry.load(name)
        trace = registry.trace(model, text)
        found = registry.attribution_of(model, trace, [token.id for token in trace.tokens[1:]] + [-1])
        lens = registry.lens_of(model, trace, 7)
        for figure, choice in (
            (residual_norms(trace, theme=LIGHT, t=strict("ko")), {}),
            (logit_attribution(trace, found=found, theme=LIGHT, t=strict("ko")), {"found": found}),
            (token_lens(trace, lens=lens, theme=LIGHT, t=strict("ko")), {"lens": lens}),
        ):
            check = proof.check(figure, trace, **choice)
            assert check is not None and check.passed, (name, figure.id, check.error)
