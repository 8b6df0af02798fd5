"""What every part writes into the stream and adds to a logit: sums, plain float64 loops, and mistakes that show."""

import dataclasses
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from models import registry
from models.errors import SettingError
from models.records.trace import ModelTrace, NamedArray
from models.tracing.adapter import Checkpoint
from models.tracing.parts.attention import output_projection

Loader = Callable[[str], Checkpoint]
Wide = npt.NDArray[np.float64]
PROMPT = "The wolf was hungry. “Who is there?” said the wolf 🐺"
MIXERS = ("self_attn", "attn", "attention", "mamba", "mixer")
CLOSE, BROKEN = 1e-5, 1e-2


@pytest.fixture
def checkpoint(name: str, checkpoint_of: Loader) -> Checkpoint:
    return checkpoint_of(name)


@pytest.fixture
def trace(checkpoint: Checkpoint) -> ModelTrace:
    return registry.trace(checkpoint, PROMPT)


def following(trace: ModelTrace) -> list[int]:
    return [token.id for token in trace.tokens[1:]] + [-1]


def written(trace: ModelTrace) -> Wide:
    """Add the start and all writes up, (token, d_model)."""
    total = trace.stream[0].part("resid_post").astype(np.float64)
    for layer in trace:
        for part in ("mixer_write", "ffn_write"):
            if part in layer.parts:
                total = total + layer.part(part)
    return total


def test_the_start_and_all_writes_are_the_final_stream(trace: ModelTrace) -> None:
    final = trace.layers[-1].part("resid_post")
    size = np.abs(final).max()
    assert np.abs(written(trace) - final).max() < CLOSE * size
    for layer in trace:
        assert ("ffn_write" in layer.parts) == (layer.ffn != "none")
        own = sum(layer.part(part) for part in ("mixer_write", "ffn_write") if part in layer.parts)
        assert np.abs(layer.part("resid_pre") + own - layer.part("resid_post")).max() < CLOSE * size
        assert np.abs(layer.part("mixer_write")).max() > 0


def test_mixer_and_feed_forward_are_what_their_modules_gave(checkpoint: Checkpoint, trace: ModelTrace) -> None:
    wrote: dict[nn.Module, Wide] = {}

    def hook(module: nn.Module, _args: object, output: object) -> None:
        tensor = output[0] if isinstance(output, tuple) else output
        wrote[module] = tensor.reshape(-1, tensor.shape[-1]).clone().numpy()  # type: ignore[attr-defined]

    blocks = registry.adapter(checkpoint.architecture).blocks(checkpoint.model)
    handles = [one.register_forward_hook(hook) for block in blocks for one in block.children()]
    with torch.inference_mode():
        checkpoint.model(input_ids=torch.tensor([[token.id for token in trace.tokens]]), use_cache=False)
    for handle in handles:
        handle.remove()
    for block, layer in zip(blocks, trace, strict=True):
        mixer = [
            one for name, one in block.named_children() if name in ("self_attn", "attn", "attention", "mamba", "mixer")
        ]
        ffn = [one for name, one in block.named_children() if name in ("mlp", "feed_forward")]
        np.testing.assert_allclose(layer.part("mixer_write"), wrote[mixer[0]], rtol=1e-5, atol=1e-6)
        if ffn:
            np.testing.assert_allclose(layer.part("ffn_write"), wrote[ffn[0]], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("which", ["final", "next", "tracked"])
def test_the_parts_add_up_to_the_logit(checkpoint: Checkpoint, trace: ModelTrace, which: str) -> None:
    """The sum over all parts is the logit of the model, at every position, and of no other token or position."""
    logits = trace.logits.values.astype(np.float64)
    ids = {"final": logits.argmax(-1).tolist(), "next": following(trace), "tracked": [17] * len(logits)}[which]
    found = registry.attribution_of(checkpoint, trace, ids)
    parts = [found.mixer.values, found.ffn.values[~np.isnan(found.ffn.values).all(1)]]
    total = found.embedding.values + found.bias.values + sum(one.sum(0) for one in parts if len(one))
    there = np.array(ids) >= 0
    own = logits[np.arange(len(ids)), ids][there]
    size = np.abs(logits).max()
    assert np.abs(total[there] - own).max() < CLOSE * size
    np.testing.assert_allclose(found.logit.values[there], own)
    assert np.isnan(total[~there]).all() and np.isnan(found.logit.values[~there]).all()
    assert np.abs(np.roll(total[there], 1) - own).max() > BROKEN * size or which == "tracked"
    assert np.abs(total[there] - found.bias.values[there] - found.embedding.values[there] - own).max() > 1e-4 * size


def test_every_part_is_a_plain_product_in_float64(checkpoint: Checkpoint, trace: ModelTrace) -> None:
    """Norm the final stream by hand, and put every write through the norm with the scale it had there."""
    adapter = registry.adapter(checkpoint.architecture)
    norm, head = adapter.final_norm(checkpoint.model), adapter.unembed(checkpoint.model)
    gain = norm.weight.double().numpy()
    epsilon = norm.eps if hasattr(norm, "eps") else norm.variance_epsilon
    stream = trace.layers[-1].part("resid_post").astype(np.float64)
    ids = following(trace)
    found = registry.attribution_of(checkpoint, trace, ids)
    for t in (0, len(ids) // 2, len(ids) - 2):
        row = head.weight[ids[t]].double().numpy()
        x = stream[t] - (stream[t].mean() if isinstance(norm, nn.LayerNorm) else 0)
        scale = np.sqrt((x * x).mean() + epsilon)

        def through(part: npt.NDArray[np.floating], scale: float = scale, row: Wide = row) -> float:
            y = part.astype(np.float64)
            if isinstance(norm, nn.LayerNorm):
                y = y - y.mean()
            return float((y / scale * gain) @ row)

        assert found.embedding.values[t] == pytest.approx(through(trace.stream[0].part("resid_post")[t]), rel=1e-6)
        for n, layer in enumerate(trace):
            assert found.mixer.values[n, t] == pytest.approx(through(layer.part("mixer_write")[t]), rel=1e-6, abs=1e-9)
            if "ffn_write" in layer.parts:
                assert found.ffn.values[n, t] == pytest.approx(through(layer.part("ffn_write")[t]), rel=1e-6, abs=1e-9)
        bias = getattr(norm, "bias", None)
        known = 0.0 if bias is None else float(bias.double().numpy() @ row)
        assert found.bias.values[t] == pytest.approx(known, abs=1e-9)


def test_heads_and_the_bias_of_their_projection_are_the_mixer(checkpoint: Checkpoint, trace: ModelTrace) -> None:
    """Silence one head in the input of the output projection: its mixer loses exactly what the head adds."""
    ids = trace.logits.values.argmax(-1).tolist()
    found = registry.attribution_of(checkpoint, trace, ids)
    layers = [layer.index for layer in trace.layers_with("head_output")]
    assert sorted(found.heads) == layers
    mixers = [mixer for mixer, _ in registry.adapter(checkpoint.architecture).writers(checkpoint.model)]
    for layer in layers:
        heads, mixer = found.heads[layer].values, found.mixer.values[layer]
        projection = output_projection(mixers[layer])
        out = trace.layer(layer).part("head_output")  # (head, token, d_head)
        joined = torch.from_numpy(out.transpose(1, 0, 2).reshape(out.shape[1], -1).copy())
        with torch.inference_mode():
            whole = projection(joined).numpy()
            none = projection(torch.zeros_like(joined)).numpy()
        np.testing.assert_allclose(whole, trace.layer(layer).part("mixer_write"), rtol=1e-3, atol=1e-5)
        bias = found.head_bias[layer].values
        assert np.abs(mixer - heads.sum(0) - bias).max() < 1e-5 * max(1.0, np.abs(mixer).max())
        assert np.abs(bias).any() == np.abs(none).any()
        for head in (0, len(heads) - 1):
            rest = joined.clone().view(len(joined), len(heads), -1)
            rest[:, head] = 0
            with torch.inference_mode():
                lost = whole - projection(rest.reshape(joined.shape)).numpy()
            less = dataclasses.replace(trace.layer(layer), parts={**ready(trace, layer), "mixer_write": named(lost)})
            changed = tuple(less if one.index == layer else one for one in trace)
            other = dataclasses.replace(trace, layers=changed)
            alone = registry.attribution_of(checkpoint, other, ids).mixer.values[layer]
            np.testing.assert_allclose(alone, heads[head], atol=1e-4 * max(1.0, np.abs(mixer).max()))


def ready(trace: ModelTrace, layer: int) -> dict:
    return {name: trace.layer(layer).parts[name] for name in ("head_output", "resid_pre", "resid_post")}


def named(values: npt.NDArray[np.floating]) -> NamedArray:
    return NamedArray(values.astype(np.float32), ("token", "d_model"))


def test_an_id_outside_the_vocabulary_is_refused(checkpoint_of: Loader) -> None:
    checkpoint = checkpoint_of("seeded-mamba")
    trace = registry.trace(checkpoint, "One two")
    wrong = [trace.logits.sizes["vocab"]] * len(trace.tokens)
    with pytest.raises(SettingError):
        registry.attribution_of(checkpoint, trace, wrong)
    with pytest.raises(ValueError, match="not of"):
        registry.attribution_of(checkpoint_of("seeded-rwkv"), trace, [0] * len(trace.tokens))


@pytest.mark.parametrize("kind", ["seeded-mamba", "seeded-gpt2", "seeded-rwkv", "seeded-jamba"])
def test_a_single_token_has_its_attribution(kind: str, checkpoint_of: Loader) -> None:
    checkpoint = checkpoint_of(kind)
    trace = registry.trace(checkpoint, "a")
    found = registry.attribution_of(checkpoint, trace, trace.logits.values.argmax(-1).tolist())
    parts = [found.embedding.values, found.bias.values, found.mixer.values.sum(0), np.nansum(found.ffn.values, 0)]
    assert np.abs(sum(parts) - found.logit.values).max() < CLOSE * np.abs(trace.logits.values).max()
