"""Every badge is computed from what is drawn: healthy figures pass, and whatever is spoiled on purpose turns red.

Spoiled are the record (after the run), the finished picture, the choice that it was drawn for, and the model itself.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import altair as alt
import numpy as np
import pytest
import torch
from figure_words import figure_words
from transformers import AutoModelForCausalLM, LlamaConfig

from models import registry
from models.alignment import align_all
from models.operators.backends import ATTENTION
from models.reconstruction import Check, reconstruction_errors, worst
from models.reconstruction.check import wide
from models.reconstruction.maps import affordable
from models.records.trace import PARTS, LayerTrace, ModelTrace, NamedArray
from models.sources import weights
from models.tracing.adapter import Checkpoint
from models.tracing.mixing import channel_mixing
from viz import proof
from viz.canvas import CanvasSpec, decode
from viz.figure import Figure
from viz.gallery.figures import every
from viz.look.theme import LIGHT
from viz.proof.maps import map_error
from viz.recall.example import recall_example
from viz.trace import attention, decay, routing, state, tokens
from viz.trace.matrix import channel_matrix
from viz.trace.overview import architecture_maps

TEXT = "Once upon a time a wolf met a wolf, and the wolf said to the King: 늑대 🐺"
RED = 1e-2  # what is spoiled must err by at least this much
HEALTHY = 1e-5

Spoil = Callable[[np.ndarray], np.ndarray]
WORDS = figure_words("en")


def english(key: str, **values: object) -> str:
    return WORDS[key].format_map(values)


@pytest.fixture(scope="module")
def runs() -> dict[str, ModelTrace]:
    """Trace the bundled models over one text, everything derived."""
    found = {name: registry.trace(registry.load(name), TEXT) for name in registry.bundled()}
    for trace in found.values():
        trace.derive()
    return found


def spoiled(trace: ModelTrace, part: str, spoil: Spoil, layer: int | None = None) -> ModelTrace:
    """Return a trace whose record of a part is spoiled, in one layer or in all."""
    layers = []
    for shown in trace:
        parts = dict(shown.parts)
        if part in parts and layer in (None, shown.index):
            parts[part] = NamedArray(np.array(spoil(np.array(parts[part].values))), PARTS[part])
        layers.append(dataclasses.replace(shown, parts=parts))
    return dataclasses.replace(trace, layers=tuple(layers))


def draw_channel(trace: ModelTrace, *, layer: int, channel: int, theme: Any, t: Any) -> Figure:
    return channel_matrix(
        channel_mixing(trace.layer(layer), [channel]), trace, theme=theme, t=t, layer=layer, channel=channel
    )


# figure -> architecture, how it is drawn, and what the visitor chose
DRAWN: dict[str, tuple[str, Callable[..., Figure], dict[str, Any]]] = {
    "head_matrix": ("transformer", attention.head_matrix, {"layer": 2, "head": 3}),
    "head_logits": ("transformer", attention.head_logits, {"layer": 2, "head": 3}),
    "value_norm_matrix": ("transformer", attention.value_norm_matrix, {"layer": 4, "head": 1}),
    "head_mosaic": ("transformer", attention.head_mosaic, {"layer": 2, "head": 3, "score": "induction"}),
    "state_film": ("mamba", state.state_film, {"layer": 5}),
    "state_slice": ("mamba", state.state_slice, {"layer": 5}),
    "dt_map": ("mamba", state.dt_map, {"layer": 5}),
    "hidden_attention": ("mamba", state.hidden_attention, {"layer": 5}),
    "half_life": ("mamba", decay.half_life, {}),
    "channel_matrix (mamba)": ("mamba", draw_channel, {"layer": 5, "channel": 7}),
    "channel_matrix (rwkv)": ("rwkv", draw_channel, {"layer": 2, "channel": 120}),
    "decay_curves": ("rwkv", decay.decay_curves, {"layer": 2}),
    "half_life_spectrum": ("rwkv", decay.half_life_spectrum, {}),
    "effective_attention": ("rwkv", decay.effective_attention, {"layer": 2}),
    "receptance_map": ("rwkv", decay.receptance_map, {"layer": 2}),
    "wkv_film": ("rwkv", decay.wkv_film, {"layer": 2}),
    "layer_ribbon": ("jamba", routing.layer_ribbon, {}),
    "expert_lanes": ("jamba", routing.expert_lanes, {}),
    "router_bars": ("jamba", routing.router_bars, {"layer": 3, "position": 9}),
    "expert_load": ("jamba", routing.expert_load, {}),
    "hybrid_stack": ("jamba", routing.hybrid_stack, {"layer": None}),
    "token_strip": ("rwkv", tokens.token_strip, {}),
}
# A figure without a line of its own is drawn of a Transformer without a choice.
DRAWN |= {
    entry.id: ("transformer", entry.draw, {})
    for entry in every().values()
    if entry.of == "trace" and entry.id not in DRAWN
}


def drawn(name: str, trace: ModelTrace, **other: Any) -> Figure:
    _, draw, choice = DRAWN[name]
    return draw(trace, theme=LIGHT, t=english, **(choice | other))


def verdict(name: str, figure: Figure, trace: ModelTrace, **other: Any) -> Check:
    found = proof.check(figure, trace, **(DRAWN[name][2] | other))
    assert found is not None
    return found


def is_red(check: Check) -> bool:
    """Say whether a check fails by a margin: by RED, or because the error is no number."""
    return not check.passed and not check.error <= RED


# --- healthy ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", DRAWN)
def test_a_healthy_figure_passes(name: str, runs: dict[str, ModelTrace]) -> None:
    trace = runs[DRAWN[name][0]]
    check = verdict(name, drawn(name, trace), trace)
    assert check.passed and check.error < HEALTHY, check
    assert check.limit == 1e-4


def test_every_check_of_one_run_is_tried_here() -> None:
    assert {name.split()[0] for name in DRAWN} == {*proof.CHECKS}


# --- the record is spoiled after the run ------------------------------------------------------------------------
def another(values: np.ndarray) -> np.ndarray:
    return np.roll(values, 1, axis=0)


def next_channel(values: np.ndarray) -> np.ndarray:
    return np.roll(values, 1, axis=1)


def shifted(values: np.ndarray) -> np.ndarray:
    return np.roll(values, 1, axis=-1)


def token_before(values: np.ndarray) -> np.ndarray:
    return np.roll(values, 1, axis=0)


def transposed(values: np.ndarray) -> np.ndarray:
    return np.swapaxes(values, -1, -2)


def mirrored(values: np.ndarray) -> np.ndarray:
    return values[..., ::-1, ::-1]


def waves(values: np.ndarray) -> np.ndarray:
    """Return values without pattern, of the same size: random to the eye, and the same in every run of the test."""
    found = np.sin((1 + np.arange(values.size)) ** 1.5).reshape(values.shape) ** 2
    return (found * np.abs(values).max()).astype(values.dtype)


def nothing(values: np.ndarray) -> np.ndarray:
    return values * np.nan


def one_nan(values: np.ndarray) -> np.ndarray:
    """Make one number nan: in every head of (head, query, key), in every channel of a token of (token, ...)."""
    if values.ndim == 2:
        values[3] = np.nan
    else:
        values[:, 4, 1] = np.nan
    return values


def logs(values: np.ndarray) -> np.ndarray:
    return np.log(np.abs(values) + 1e-9)


def one_token(values: np.ndarray) -> np.ndarray:
    """Wipe what belongs to the fifth token from the end: a row of (token, ...) or of (..., query, key)."""
    values[..., -5, :] = 0
    return values


MAPS: dict[str, Spoil] = {
    "transposed": transposed, "shifted": shifted, "mirrored": mirrored, "random": waves, "squared": np.square,
    "log": logs, "a third more": lambda v: 1.3 * v, "sevenfold": lambda v: 7 * v, "constant": lambda v: 0 * v + 0.5,
    "one token": one_token, "nan": nothing, "one nan": one_nan,
}  # fmt: skip
HEADS: dict[str, Spoil] = MAPS | {"another head": another}
TOKENS: dict[str, Spoil] = {
    "token before": token_before, "next channel": next_channel, "random": waves, "squared": np.square, "log": logs,
    "a third more": lambda v: 1.3 * v, "one token": lambda v: np.concatenate([v[:5], 0 * v[5:6], v[6:]]),
    "nan": nothing, "one nan": one_nan,
}  # fmt: skip
CHANNELS: dict[str, Spoil] = {
    "next channel": another, "reversed": lambda v: v[::-1], "without ln 2": lambda v: v / np.log(2),
    "threefold": lambda v: 3 * v, "squared": np.square, "random": waves, "nan": nothing,
}  # fmt: skip
CHOSEN: dict[str, Spoil] = {
    "the next expert": lambda v: (v + 1) % 8, "the last choice first": lambda v: v[:, ::-1],
    "the token before": token_before, "one token": lambda v: np.concatenate([v[:5], (v[5:6] + 3) % 8, v[6:]]),
    "no expert": lambda v: v + 800,
}  # fmt: skip
WEIGHTS: dict[str, Spoil] = {
    "reversed": lambda v: v[:, ::-1], "a fifth stronger": lambda v: 1.2 * v, "token before": token_before,
    "adding up to 1": lambda v: v / v.sum(1, keepdims=True), "nan": nothing,
}  # fmt: skip

SPOILED: Mapping[str, Mapping[str, Mapping[str, Spoil]]] = {
    "head_matrix": {"attention": HEADS},
    "head_logits": {"attention_logits": HEADS | {"2 S + 1": lambda v: 2 * v + 1}},
    "value_norm_matrix": {"value_norm": HEADS},
    "head_mosaic": {"attention": HEADS},
    "state_film": {"state": {"components reversed": lambda v: v * 0 + v[..., :1], **TOKENS}, "half_life": CHANNELS,
                   "dt": TOKENS},
    "state_slice": {"state": {"components reversed": lambda v: v[..., ::-1], **TOKENS}, "half_life": CHANNELS},
    "dt_map": {"dt": TOKENS, "half_life": CHANNELS},
    "hidden_attention": {"hidden_attention": MAPS},
    "half_life": {"half_life": CHANNELS},
    "channel_matrix (mamba)": {"dt": TOKENS, "write_proj": {"another": token_before}, "decay_rates": {
        "next channel": another, "twice": lambda v: 2 * v}},
    "channel_matrix (rwkv)": {
        "key": TOKENS | {"one token": lambda v: np.concatenate([v[:5], v[5:6] + 4, v[6:]])},
        "bonus": {"left out": lambda v: 0 * v, "next channel": another},
        "decay_rate": {"threefold": lambda v: 3 * v}},
    "decay_curves": {"decay_rate": CHANNELS, "bonus": {"left out": lambda v: 0 * v, "next channel": another},
                     "half_life": CHANNELS},
    "half_life_spectrum": {"half_life": CHANNELS},
    "effective_attention": {"effective_attention": MAPS},
    "receptance_map": {"receptance": {"before the sigmoid": lambda v: np.log(v / (1 - v)), **TOKENS},
                       "half_life": CHANNELS},
    "wkv_film": {"wkv_num": TOKENS, "wkv_den": {"token before": token_before, "random": waves, "nan": nothing},
                 "half_life": CHANNELS},
    "layer_ribbon": {"attention": {k: v for k, v in MAPS.items() if k not in ("a third more", "sevenfold")},
                     "hidden_attention": {k: v for k, v in MAPS.items() if k != "one token"},
                     "chosen_experts": CHOSEN, "chosen_weights": WEIGHTS},
    "expert_lanes": {"chosen_experts": CHOSEN, "chosen_weights": WEIGHTS},
    "router_bars": {"router_probs": {"temperature 3": lambda v: v ** (1 / 3) / (v ** (1 / 3)).sum(1, keepdims=True),
                                     "token before": token_before, "next expert": next_channel, "nan": nothing},
                    "chosen_experts": {"the next expert": lambda v: (v + 1) % 8, "token before": token_before}},
    "expert_load": {"chosen_experts": CHOSEN},
    "hybrid_stack": {"attention": MAPS, "hidden_attention": MAPS},
}  # fmt: skip


HARMLESS = {
    ("state_film", "dt", "next channel"),  # the bars are the mean over all channels
    ("half_life", "half_life", "nan"),  # an axis without numbers cannot be drawn: see the finished picture below
    ("layer_ribbon", "attention", "one token"),  # one query of one head of eight: its mean is checked, not its zero
    ("decay_curves", "half_life", "threefold"),  # orders channels, and so does three times it
    ("decay_curves", "half_life", "without ln 2"),
    ("decay_curves", "half_life", "squared"),
    ("decay_curves", "half_life", "nan"),
    ("decay_curves", "half_life", "next channel"),
    ("decay_curves", "half_life", "reversed"),
    ("decay_curves", "half_life", "random"),
}
RECORD_CASES = [
    pytest.param(name, part, kind, id=f"{name}-{part}-{kind}")
    for name, parts in SPOILED.items()
    for part, spoils in parts.items()
    for kind in spoils
    if (name, part, kind) not in HARMLESS
]


@pytest.mark.parametrize(("name", "part", "kind"), RECORD_CASES)
def test_a_spoiled_record_is_red(name: str, part: str, kind: str, runs: dict[str, ModelTrace]) -> None:
    """The figure is drawn from the spoiled record, and checked against the same spoiled trace."""
    trace = spoiled(runs[DRAWN[name][0]], part, SPOILED[name][part][kind])
    check = verdict(name, drawn(name, trace), trace)
    assert is_red(check), check


@pytest.mark.parametrize("name", ["state_film", "state_slice"])
def test_one_channel_wiped_at_one_token_is_red(name: str, runs: dict[str, ModelTrace]) -> None:
    """A maximum over a whole layer misses a fourth of these; a number per channel and token misses none."""
    trace = runs["mamba"]
    for layer in (0, 5, 11):
        figure = drawn(name, trace, layer=layer)
        for row, channel in enumerate(figure.data["channel"].values[::7]):
            token = (5 * row + 3) % len(trace.tokens)

            def wiped(values: np.ndarray, token: int = token, channel: int = int(channel)) -> np.ndarray:
                values[token, channel] = 0
                return values

            other = spoiled(trace, "state", wiped, layer)
            redrawn = drawn(name, other, layer=layer)
            if channel in redrawn.data["channel"].values:  # the choice of rows may have moved on to another channel
                check = verdict(name, redrawn, other, layer=layer)
                assert not check.passed, (layer, token, channel, check)


LAYERED = [name for name, (_, _, choice) in DRAWN.items() if choice.get("layer") is not None and name != "head_mosaic"]


@pytest.mark.parametrize("name", LAYERED)
def test_a_picture_of_another_layer_head_or_token_is_red(name: str, runs: dict[str, ModelTrace]) -> None:
    trace = runs[DRAWN[name][0]]
    choice = DRAWN[name][2]
    figure = drawn(name, trace)
    layers = [layer.index for layer in trace if layer.mixer == trace.layer(choice["layer"]).mixer]
    layers = [n for n in layers if set(trace.layer(n).parts) == set(trace.layer(choice["layer"]).parts)]
    wrong: list[dict[str, Any]] = [{"layer": n} for n in layers if n != choice["layer"]]
    wrong += [{key: choice[key] + 1} for key in ("head", "channel", "position") if key in choice]
    assert len(wrong) >= 3
    for other in wrong:
        assert is_red(verdict(name, figure, trace, **other)), other


SWAPPED = {"state", "dt", "attention", "attention_logits", "value_norm", "hidden_attention", "effective_attention",
           "receptance", "wkv_num", "half_life", "decay_rate", "chosen_experts"}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "part"), [(name, part) for name, parts in SPOILED.items() for part in parts if part in SWAPPED]
)
def test_the_part_of_another_layer_is_red(name: str, part: str, runs: dict[str, ModelTrace]) -> None:
    trace = runs[DRAWN[name][0]]
    layers = trace.layers_with(part)
    at = DRAWN[name][2].get("layer")
    at = layers[0].index if at is None else at
    if (name, part) == ("decay_curves", "half_life") or len(layers) < 2:
        return  # orders channels; Jamba has one attention layer
    source = next(layer for layer in layers if layer.index != at)
    other = spoiled(trace, part, lambda _: np.array(source.part(part)), at)
    assert is_red(verdict(name, drawn(name, other), other))


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
        with alt.data_transformers.enable("default", max_rows=None):  # Altair's own limit does not hold in the app
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


# --- several models ---------------------------------------------------------------------------------------------
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


# --- the model is spoiled ---------------------------------------------------------------------------------------
def test_a_scan_that_decays_too_fast_in_model_and_record_is_red(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same wrong kernel ran the model and recorded the states: they agree with each other, not with float64."""
    from models.operators import binding
    from models.tracing.parts import state_space

    ran, traced = binding.selective_scan_fast, state_space.selective_scan_traced
    monkeypatch.setattr(
        binding, "selective_scan_fast", lambda u, dt, A, *rest, **more: ran(u, dt, 1.3 * A, *rest, **more)
    )
    monkeypatch.setattr(
        state_space, "selective_scan_traced", lambda u, dt, A, *rest, **more: traced(u, dt, 1.3 * A, *rest, **more)
    )
    trace = registry.trace(registry.load("mamba"), TEXT)
    for name in ("state_film", "state_slice", "dt_map"):
        assert is_red(verdict(name, drawn(name, trace), trace)), name


def test_a_decay_that_is_wrong_in_model_and_record_is_red(monkeypatch: pytest.MonkeyPatch) -> None:
    from models.operators import binding
    from models.tracing.parts import time_mix

    ran, traced = binding.wkv_fast, time_mix.wkv_traced
    monkeypatch.setattr(binding, "wkv_fast", lambda w, *rest, **more: ran(1.3 * w, *rest, **more))
    monkeypatch.setattr(time_mix, "wkv_traced", lambda w, *rest, **more: traced(1.3 * w, *rest, **more))
    trace = registry.trace(registry.load("rwkv"), TEXT)
    for name in ("wkv_film", "receptance_map", "decay_curves", "channel_matrix (rwkv)"):
        assert is_red(verdict(name, drawn(name, trace), trace)), name


@pytest.mark.parametrize(
    ("source", "weight", "layer", "part"),
    [
        ("transformer", "self_attn.o_proj.weight", 4, "value_norm"),
        ("jamba", "feed_forward.experts.gate_up_proj", 3, "chosen_experts"),
        ("jamba", "feed_forward.experts.down_proj", 3, "chosen_experts"),
    ],
)
def test_a_weight_that_changes_after_the_run_is_red(source: str, weight: str, layer: int, part: str) -> None:
    """What is derived on demand uses the model's weights; after the run these are no longer those of the run."""
    checkpoint = registry.load(source)
    trace = registry.trace(checkpoint, TEXT)
    checkpoint.model.base_model.layers[layer].get_parameter(weight).data.mul_(1.05)
    errors = reconstruction_errors(trace.layer(layer))
    assert errors[part] > RED


@pytest.mark.parametrize(
    ("source", "part", "red"),
    [
        ("transformer", "head_output", {"attention", "value_norm"}),
        ("transformer", "head_value", {"attention", "value_norm"}),
        ("transformer", "head_query", {"attention", "attention_logits"}),
        ("transformer", "head_key", {"attention", "attention_logits"}),
        ("transformer", "output_gram", {"value_norm"}),
        ("mamba", "mixer_output", {"state"}),
        ("mamba", "scan_input", {"state"}),
        ("mamba", "gate", {"state"}),
        ("mamba", "read_proj", {"state", "hidden_attention"}),
        ("mamba", "write_proj", {"state", "hidden_attention"}),
        ("mamba", "dt_input", {"dt", "state", "hidden_attention", "half_life"}),
        ("mamba", "dt_weight", {"dt", "state", "hidden_attention", "half_life"}),
        ("mamba", "dt_bias", {"dt", "state", "half_life"}),
        ("mamba", "decay_log", {"decay_rates", "state", "hidden_attention"}),
        ("rwkv", "mixer_output", {"receptance"}),
        ("rwkv", "receptance_logit", {"receptance"}),
        ("rwkv", "time_decay", {"decay_rate", "wkv_num", "effective_attention", "half_life"}),
        ("rwkv", "key", {"wkv_num", "effective_attention"}),
        ("rwkv", "value", {"wkv_num", "receptance"}),
        ("rwkv", "bonus", {"receptance", "effective_attention"}),
        ("jamba", "router_logits", {"router_probs"}),
        ("jamba", "expert_output", {"chosen_experts"}),
        ("jamba", "mixture_output", {"chosen_experts"}),
    ],
)
def test_one_spoiled_capture_is_red(source: str, part: str, red: set[str], runs: dict[str, ModelTrace]) -> None:
    """No number compares a thing with itself: moving either side of a comparison by one place is seen."""
    trace = runs[source]
    layer = trace.layers_with(part)[1].index
    healthy = reconstruction_errors(trace.layer(layer))
    assert max(healthy.values()) < HEALTHY
    for spoil in (shifted, nothing):
        errors = reconstruction_errors(spoiled(trace, part, spoil, layer).layer(layer))
        for name in red:
            assert not errors[name] <= RED, (part, name)


def bumped(values: np.ndarray) -> np.ndarray:
    values.reshape(-1)[-1] += np.abs(values).max()
    return values


def bumped_choice(values: np.ndarray) -> np.ndarray:
    values[-1, 0] = (values[-1, 0] + 1) % 8
    return values


def test_one_recorded_number_is_red_in_its_layer(runs: dict[str, ModelTrace]) -> None:
    """Every part with a check notices one number of its own that grows by the largest."""
    for trace in runs.values():
        for layer in (trace.layers[0], trace.layers[-1]):
            for part in set(reconstruction_errors(layer)) - {"decay_rates", "decay_rate"}:
                errors = reconstruction_errors(
                    spoiled(trace, part, bumped_choice if part == "chosen_experts" else bumped, layer.index).layer(
                        layer.index
                    )
                )
                assert errors[part] > RED, (trace.architecture, part)


# --- the number -------------------------------------------------------------------------------------------------
def test_nan_hides_behind_no_larger_number() -> None:
    assert np.isnan(worst(1e-7, float("nan"), 2e-7)) and np.isnan(worst(np.array([1.0, np.nan]), 3.0))
    assert worst() == 0 and worst(np.zeros(0)) == 0 and worst(0.1, np.array([0.3, 0.2])) == 0.3
    assert not Check("rebuilds", float("nan"), 1e-4).passed
    assert not Check("rebuilds", float("inf"), 1e-4).passed


@pytest.mark.parametrize(("error", "passed"), [(0.9e-4, True), (1.1e-4, False)])
def test_the_limit_is_the_limit(error: float, passed: bool) -> None:
    assert Check("recomputed", error, 1e-4).passed is passed


def test_a_picture_that_cannot_be_compared_is_red(runs: dict[str, ModelTrace]) -> None:
    trace = runs["mamba"]
    figure = drawn("hidden_attention", trace)
    short = registry.trace(registry.load("mamba"), "Once")
    assert is_red(verdict("hidden_attention", figure, short))
    assert is_red(verdict("state_film", drawn("state_film", trace), runs["rwkv"]))
