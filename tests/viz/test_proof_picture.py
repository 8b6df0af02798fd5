"""A picture that is spoiled after it was drawn, or drawn for another choice, has a red badge."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from proof_cases import (
    DRAWN,
    HEALTHY,
    MAPS,
    RED,
    TEXT,
    Spoil,
    drawn,
    english,
    is_red,
    spoiled,
    verdict,
)
from transformers import AutoModelForCausalLM, LlamaConfig

from models import registry
from models.alignment import align_all
from models.operators.backends import ATTENTION
from models.reconstruction.check import wide
from models.reconstruction.maps import affordable
from models.records.trace import LayerTrace, ModelTrace, NamedArray
from models.sources import weights
from models.tracing.adapter import Checkpoint
from viz import proof
from viz.canvas import CanvasSpec, decode
from viz.figure import Figure
from viz.look.theme import LIGHT
from viz.proof.maps import map_error
from viz.recall.example import recall_example
from viz.trace import attention
from viz.trace.overview import architecture_maps


def with_grid(figure: Figure, **changes: Any) -> Figure:
    assert isinstance(figure.body, CanvasSpec) and figure.body.grid is not None
    grid = dataclasses.replace(figure.body.grid, **changes)
    return dataclasses.replace(figure, body=dataclasses.replace(figure.body, grid=grid))


CANVASES = [
    name
    for name in DRAWN
    if name
    not in (
        "half_life",
        "wkv_ink",  # a mechanism: test_ink
        "key_curves",
        "token_shift",
        "decay_curves",
        "router_bars",
        "token_strip",
        "expert_routes",
        "expert_locality",
        "expert_words",
        "layer_flow",
    )
]


@pytest.mark.parametrize("name", CANVASES)
def test_other_cells_in_the_picture_are_red(name: str, runs: dict[str, ModelTrace]) -> None:
    """The exported arrays are right; what is sent to the browser is not."""
    trace = runs[DRAWN[name][0]]
    figure = drawn(name, trace)
    values = figure.body.grid.values  # type: ignore[union-attr]
    lies = {
        "shifted": np.roll(values, 1, axis=-1), "upside down": values[..., ::-1, :], "stronger": 1.3 * values,
        "squared": values**2, "log": np.log(np.abs(values) + 1e-9), "gone": 0 * values, "nan": values * np.nan,
    }  # fmt: skip
    if values.shape[-2] == values.shape[-1]:
        lies["transposed"] = np.swapaxes(values, -1, -2)
    for kind, lie in lies.items():
        assert is_red(verdict(name, with_grid(figure, values=np.asarray(lie)), trace)), kind


@pytest.mark.parametrize("name", CANVASES)
def test_the_picture_that_is_checked_is_the_one_that_is_sent(name: str, runs: dict[str, ModelTrace]) -> None:
    figure = drawn(name, runs[DRAWN[name][0]])
    header, planes = decode(figure.body.payload())  # type: ignore[union-attr]
    sent, values = planes[header["grid"]["plane"]], figure.body.grid.values.astype(np.float32).ravel()  # type: ignore[union-attr]
    if digits := header["grid"]["digits"]:
        sent, values = ([f"{one:.{digits - 1}e}" for one in array] for array in (sent, values))
    assert np.array_equal(sent, values, equal_nan=not digits)


@pytest.mark.parametrize("name", [n for n in DRAWN if n != "router_bars"])
def test_another_exported_array_is_red(name: str, runs: dict[str, ModelTrace]) -> None:
    """What is downloaded is checked as well as what is drawn."""
    trace = runs[DRAWN[name][0]]
    figure = drawn(name, trace)
    for part, array in figure.data.items():
        if part == "distance":
            continue
        values = np.roll(np.array(array.values), 1, axis=-1)
        if np.array_equal(values, array.values):  # the same number everywhere
            values = values + 1
        other = dataclasses.replace(figure, data={**figure.data, part: NamedArray(values, array.dims)})
        assert is_red(verdict(name, other, trace)), part


@pytest.mark.parametrize("name", ["state_film", "state_slice", "dt_map", "receptance_map", "wkv_film"])
def test_rows_under_other_names_are_red(name: str, runs: dict[str, ModelTrace]) -> None:
    trace = runs[DRAWN[name][0]]
    figure = drawn(name, trace)
    axis = figure.body.grid.rows  # type: ignore[union-attr]
    swapped = dataclasses.replace(axis, names=(axis.names[1], axis.names[0], *axis.names[2:]))
    assert is_red(verdict(name, with_grid(figure, rows=swapped), trace))
    if "channel" in figure.data:  # rows and numbers moved alike, so that the shortest memory stands on top
        body: Any = figure.body
        other = dataclasses.replace(axis, names=axis.names[::-1])
        turned = with_grid(figure, rows=other, values=np.ascontiguousarray(body.grid.values[..., ::-1, :]))
        data = {part: NamedArray(np.array(a.values[::-1]) if a.dims[0] == "channel" else np.array(a.values), a.dims)
                for part, a in figure.data.items()}  # fmt: skip
        if name != "state_slice":
            assert is_red(verdict(name, dataclasses.replace(turned, data=data), trace))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["half_life", "decay_curves", "router_bars"])
def test_other_rows_in_a_chart_are_red(name: str, runs: dict[str, ModelTrace]) -> None:
    trace = runs[DRAWN[name][0]]
    column = {"half_life": "half_life", "decay_curves": "weight", "router_bars": "p"}[name]
    mark = {"half_life": "tick", "decay_curves": "line", "router_bars": "bar"}[name]
    lies: dict[str, Callable[[Any], Any]] = {
        "squared": np.square, "threefold": lambda v: 3 * v, "next": lambda v: np.roll(v, 1),
        "nan": lambda v: v * np.nan, "reversed": lambda v: v[::-1],
    }  # fmt: skip
    for kind, lie in lies.items():
        figure = drawn(name, trace)
        rows = proof.drawn.chart_rows(figure, mark, column)
        rows[column] = lie(rows[column].to_numpy())
        assert is_red(verdict(name, figure, trace)), kind
        spec = figure.body.to_dict()  # type: ignore[union-attr]
        assert any(len(sent) == len(rows) and column in sent[0] for sent in spec["datasets"].values())


@pytest.mark.parametrize(
    "lie",
    [lambda v: v * 2, lambda v: v + 1, lambda v: np.roll(v, 1, axis=0), lambda v: v * np.nan],
    ids=["twice", "a token more", "of another layer", "nan"],
)
def test_another_distance_at_which_alpha_halves_is_red(lie: Spoil, runs: dict[str, ModelTrace]) -> None:
    trace = runs["mamba"]
    figure = drawn("half_life", trace)
    values = np.array(lie(np.array(figure.data["half_distance"].values)))
    data = {**figure.data, "half_distance": NamedArray(values, ("layer", "channel"))}
    assert is_red(verdict("half_life", dataclasses.replace(figure, data=data), trace))
    assert is_red(verdict("half_life", drawn("half_life", spoiled(trace, "half_distance", lie)), trace))


def test_other_surprisal_is_red(runs: dict[str, ModelTrace]) -> None:
    trace = runs["rwkv"]
    for spoil in (lambda v: np.roll(v, 1), lambda v: v * 1.1, lambda v: v * np.log(2), lambda v: v * np.nan):
        bits = np.array(spoil(np.array(trace.surprisal.values)))
        other = dataclasses.replace(trace, surprisal=NamedArray(bits, ("token",)))
        assert is_red(verdict("token_strip", drawn("token_strip", other), trace))


def test_other_experts_in_the_picture_are_red(runs: dict[str, ModelTrace]) -> None:
    trace = runs["jamba"]
    for name in ("expert_lanes", "layer_ribbon"):
        figure = drawn(name, trace)
        lanes: Any = figure.body.grid.lanes  # type: ignore[union-attr]
        (first, first_weight), (second, second_weight) = lanes.chosen
        lies = {
            "first": (((first + 1) % 8, first_weight), (second, second_weight)),
            "first weight": ((first, first_weight[::-1]), (second, second_weight)),
            "second": ((first, first_weight), (first, second_weight)),
            "second weight": ((first, first_weight), (second, 1.5 * second_weight)),
            "left out": ((first, first_weight),),
        }
        for kind, chosen in lies.items():
            other = with_grid(figure, lanes=dataclasses.replace(lanes, chosen=chosen))
            assert is_red(verdict(name, other, trace)), (name, kind)


def model_of(layers: int, heads: int) -> ModelTrace:
    """Trace a tiny seeded Llama of a given shape."""
    torch.manual_seed(5)
    vocab = registry.read_config(registry.bundled()[0]).vocab_size
    config = LlamaConfig(vocab_size=vocab, hidden_size=8 * heads, num_hidden_layers=layers, num_attention_heads=heads,
                         num_key_value_heads=heads, intermediate_size=40)  # fmt: skip
    model = AutoModelForCausalLM.from_config(config, attn_implementation=ATTENTION).eval().requires_grad_(False)
    for parameter in model.parameters():
        if parameter.ndim == 2:
            parameter.mul_(6)
    return registry.trace(Checkpoint("tiny", "transformer", model, weights.read_tokenizer(registry.bundled()[0])), TEXT)


SHAPES = [(6, 8), (2, 3), (3, 2), (3, 3)]


@pytest.mark.parametrize("score", attention.SCORES)
def test_every_score_of_the_mosaic_is_checked(score: str, runs: dict[str, ModelTrace]) -> None:
    trace = runs["transformer"]
    figure = drawn("head_mosaic", trace, score=score)
    assert verdict("head_mosaic", figure, trace, score=score).error < HEALTHY
    half = tuple(dataclasses.replace(tile, score=0.5) for tile in figure.body.grid.tiles)  # type: ignore[union-attr]
    assert is_red(verdict("head_mosaic", with_grid(figure, tiles=half), trace, score=score))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_tiles_stand_under_their_labels(shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """6 layers of 8 heads are the bundled model's shape: heads across, layers down. 3 of 2: layers across."""
    trace = model_of(*shape)
    choice = {"layer": 1, "head": 0, "score": "sink"}
    figure = attention.head_mosaic(trace, theme=LIGHT, t=english, **choice)
    check = proof.check(figure, trace, **choice)
    assert check is not None and check.error < HEALTHY
    grid: Any = figure.body.grid  # type: ignore[union-attr]
    layers, heads = shape
    assert grid.tile_columns == (max(layers, heads))
    assert grid.tile_column_labels[0] == ("head 0" if layers < heads else "layer 0")

    right = attention._order(trace, "attention")
    turned = [attention.Head(at.layer, at.head) for at in sorted(right, key=lambda at: (at.head, at.layer))]
    if turned == right:
        turned = sorted(right)
    monkeypatch.setattr(attention, "_order", lambda *_: turned)
    other = proof.check(attention.head_mosaic(trace, theme=LIGHT, t=english, **choice), trace, **choice)
    assert other is not None and is_red(other), "tiles head by head under labels of layers"


def test_an_outline_around_another_tile_is_red(runs: dict[str, ModelTrace]) -> None:
    trace = runs["transformer"]
    figure = drawn("head_mosaic", trace)
    assert is_red(verdict("head_mosaic", figure, trace, head=4))


MIXING = {"transformer": "attention", "mamba": "hidden_attention", "rwkv": "effective_attention"}


@pytest.mark.parametrize("architecture", MIXING)
@pytest.mark.parametrize("kind", ["transposed", "shifted", "mirrored", "random", "squared", "log", "constant", "nan"])
def test_a_spoiled_map_of_one_machine_is_red(architecture: str, kind: str, runs: dict[str, ModelTrace]) -> None:
    traces = list(runs.values())
    healthy = proof.check(architecture_maps(traces, theme=LIGHT, t=english), traces)
    assert healthy is not None and healthy.error < HEALTHY
    part = MIXING[architecture]
    others = [spoiled(t, part, MAPS[kind]) if t.architecture == architecture else t for t in traces]
    check = proof.check(architecture_maps(others, theme=LIGHT, t=english), others)
    assert check is not None and is_red(check), check


def last_head(layer: LayerTrace) -> np.ndarray:
    """Return what looks like the mean over heads, and is the last head alone."""
    values = layer.part(MIXING.get(layer.mixer, "attention"))
    return values[-1] if layer.mixer == "attention" else values


def test_machines_in_another_order_and_means_of_something_else_are_red(
    runs: dict[str, ModelTrace], monkeypatch: pytest.MonkeyPatch
) -> None:
    traces = list(runs.values())
    figure = architecture_maps(traces[::-1], theme=LIGHT, t=english)
    assert is_red(proof.check(figure, traces))  # type: ignore[arg-type]
    monkeypatch.setattr("viz.trace.overview.mixing_of", last_head)
    assert is_red(proof.check(architecture_maps(traces, theme=LIGHT, t=english), traces))  # type: ignore[arg-type]


def test_machines_that_cut_a_text_differently_are_laid_out_as_they_say(runs: dict[str, ModelTrace]) -> None:
    """One model reads half of the words as single tokens; the check follows each token to its place."""
    first = runs["rwkv"]
    traces = [first, registry.trace(registry.load("transformer"), TEXT)]
    alignment = align_all(first.prompt, [trace.tokens for trace in traces])
    figure = architecture_maps(traces, theme=LIGHT, t=english, alignment=alignment)
    check = proof.check(figure, traces, alignment=alignment)
    assert check is not None and check.error < HEALTHY
    owners = (tuple(alignment.owners[0][::-1]), alignment.owners[1])
    assert is_red(proof.check(figure, traces, alignment=dataclasses.replace(alignment, owners=owners)))  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("asked_at", [12, 20])
def test_the_asking_row_is_checked(asked_at: int, runs: dict[str, ModelTrace]) -> None:
    traces = list(runs.values())
    choice = {"asked_at": asked_at, "answer_at": 3}
    figure = recall_example(traces, theme=LIGHT, t=english, **choice)
    check = proof.check(figure, traces, **choice)
    assert check is not None and check.error < HEALTHY
    assert is_red(proof.check(figure, traces, asked_at=asked_at - 1, answer_at=3))  # type: ignore[arg-type]
    for architecture, part in MIXING.items():
        for kind in ("transposed", "shifted", "random", "squared", "nan"):
            others = [spoiled(t, part, MAPS[kind]) if t.architecture == architecture else t for t in traces]
            other = proof.check(recall_example(others, theme=LIGHT, t=english, **choice), others, **choice)
            assert other is not None and is_red(other), (architecture, kind)


@pytest.mark.parametrize(("architecture", "part"), [("mamba", "hidden_attention"), ("rwkv", "effective_attention")])
def test_the_chosen_row_is_recomputed_however_little_the_budget_allows(
    architecture: str, part: str, runs: dict[str, ModelTrace]
) -> None:
    """Its bars are drawn, so it is compared with float64 in any case, as is the last row; others as time allows."""

    def row_of_three(values: np.ndarray) -> np.ndarray:
        values[3, :4] = values[3, 3::-1] + values[3, :4].max()
        return values

    layer = spoiled(runs[architecture], part, row_of_three).layer(2)
    drawn_map = wide(layer.part(part))
    assert affordable(layer, budget=1.0, wanted=(3,)) == [3, len(drawn_map) - 1]
    assert map_error(drawn_map, layer, wanted=3, budget=1.0) > RED
    assert map_error(drawn_map, layer, wanted=None, budget=1.0) < HEALTHY
