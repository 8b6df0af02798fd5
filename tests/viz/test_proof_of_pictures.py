"""A finished picture that is spoiled, or that shows another layer, head or token than was chosen, has a red badge."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from proof_cases import (
    DRAWN,
    HEALTHY,
    TEXT,
    drawn,
    english,
    is_red,
    verdict,
)
from transformers import AutoModelForCausalLM, LlamaConfig

from models import hf, registry
from models.capture import ATTENTION
from models.records import ModelTrace, Named
from models.spec import Checkpoint
from viz import attention, proof
from viz.canvas import CanvasSpec, decode
from viz.figure import Figure
from viz.theme import LIGHT


# --- the finished picture is spoiled ----------------------------------------------------------------------------
def with_grid(figure: Figure, **changes: Any) -> Figure:
    assert isinstance(figure.body, CanvasSpec) and figure.body.grid is not None
    grid = dataclasses.replace(figure.body.grid, **changes)
    return dataclasses.replace(figure, body=dataclasses.replace(figure.body, grid=grid))


CANVASES = [name for name in DRAWN if name not in ("half_life", "decay_curves", "router_bars", "token_strip")]


@pytest.mark.parametrize("name", CANVASES)
def test_other_cells_in_the_picture_are_red(name: str, runs: dict[str, ModelTrace]) -> None:
    """The exported arrays are right; what is sent to the browser is not."""
    trace = runs[DRAWN[name][0]]
    figure = drawn(name, trace)
    values = figure.body.grid.values  # type: ignore[union-attr]
    lies = {
        "shifted": np.roll(values, 1, axis=-1), "upside down": values[:, ::-1], "stronger": 1.3 * values,
        "squared": values**2, "log": np.log(np.abs(values) + 1e-9), "gone": 0 * values, "nan": values * np.nan,
    }  # fmt: skip
    if values.shape[1] == values.shape[2]:
        lies["transposed"] = np.swapaxes(values, 1, 2)
    for kind, lie in lies.items():
        assert is_red(verdict(name, with_grid(figure, values=np.asarray(lie)), trace)), kind


@pytest.mark.parametrize("name", CANVASES)
def test_the_picture_that_is_checked_is_the_one_that_is_sent(name: str, runs: dict[str, ModelTrace]) -> None:
    figure = drawn(name, runs[DRAWN[name][0]])
    header, planes = decode(figure.body.payload())  # type: ignore[union-attr]
    sent = planes[header["grid"]["plane"]]
    assert np.array_equal(sent, figure.body.grid.values.astype(np.float32).ravel(), equal_nan=True)  # type: ignore[union-attr]


@pytest.mark.parametrize("name", [n for n in DRAWN if n != "router_bars"])
def test_another_exported_array_is_red(name: str, runs: dict[str, ModelTrace]) -> None:
    """What is downloaded is checked as well as what is drawn."""
    trace = runs[DRAWN[name][0]]
    figure = drawn(name, trace)
    for part, array in figure.data.items():
        if part == "distance":
            continue
        values = np.roll(np.array(array.values), 1, axis=-1)
        other = dataclasses.replace(figure, data={**figure.data, part: Named(values, array.dims)})
        assert is_red(verdict(name, other, trace)), part


@pytest.mark.parametrize("name", ["state_film", "state_slice", "dt_map", "receptance_map", "wkv_film"])
def test_rows_under_other_names_are_red(name: str, runs: dict[str, ModelTrace]) -> None:
    trace = runs[DRAWN[name][0]]
    figure = drawn(name, trace)
    names = figure.body.grid.row_names  # type: ignore[union-attr]
    assert is_red(verdict(name, with_grid(figure, row_names=(names[1], names[0], *names[2:])), trace))
    if "channel" in figure.data:  # rows and numbers moved alike, so that the shortest memory stands on top
        body: Any = figure.body
        turned = with_grid(figure, row_names=names[::-1], values=np.ascontiguousarray(body.grid.values[:, ::-1]))
        data = {part: Named(np.array(a.values[::-1]) if a.dims[0] == "channel" else np.array(a.values), a.dims)
                for part, a in figure.data.items()}  # fmt: skip
        if name != "state_slice":
            assert is_red(verdict(name, dataclasses.replace(turned, data=data), trace))


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


def test_other_surprisal_is_red(runs: dict[str, ModelTrace]) -> None:
    trace = runs["rwkv"]
    for spoil in (lambda v: np.roll(v, 1), lambda v: v * 1.1, lambda v: v * np.log(2), lambda v: v * np.nan):
        bits = np.array(spoil(np.array(trace.surprisal.values)))
        other = dataclasses.replace(trace, surprisal=Named(bits, ("token",)))
        assert is_red(verdict("token_strip", drawn("token_strip", other), trace))


def test_other_experts_in_the_picture_are_red(runs: dict[str, ModelTrace]) -> None:
    trace = runs["jamba"]
    for name in ("expert_lanes", "layer_ribbon"):
        figure = drawn(name, trace)
        experts: Any = figure.body.grid.experts  # type: ignore[union-attr]
        lies = {"first": (experts.first + 1) % 8, "first_weight": experts.first_weight[::-1],
                "second": experts.first, "second_weight": 1.5 * experts.second_weight}  # fmt: skip
        for plane, lie in lies.items():
            other = with_grid(figure, experts=dataclasses.replace(experts, **{plane: lie}))
            assert is_red(verdict(name, other, trace)), (name, plane)


# --- the mosaic -------------------------------------------------------------------------------------------------
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
    return registry.trace(Checkpoint("tiny", "transformer", model, hf.read_tokenizer(registry.bundled()[0])), TEXT)


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
