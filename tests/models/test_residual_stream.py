"""The residual stream and the logit lens: against the model's own logits, hooks of our own, and numpy."""

import dataclasses
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, GPTNeoXConfig, LlamaConfig, MambaConfig, MistralConfig, RwkvConfig

from models import registry
from models.errors import SettingError
from models.reconstruction.lens import last_layer_error
from models.records.trace import LayerTrace, ModelTrace, Token
from models.sources import weights
from models.tracing import recorder
from models.tracing.adapter import Checkpoint
from models.tracing.capture import ATTENTION, capturing
from models.tracing.parts import residual_stream
from models.tracing.tokens import Encoded

Loader = Callable[[str], Checkpoint]
Floats = npt.NDArray[np.floating]
PROMPT = "The wolf was hungry. 늑대는 배가 고팠다. “Who is there?” said the King 🐺"
TOLERANCE = {"float32": 1e-5, "bfloat16": 8e-3}  # relative to the largest value
BROKEN = 1e-2  # what a mistake must exceed
NEARBY = 1e-3  # and taking the layer before the last, to which a block of seeded weights adds little
WRITERS = ("self_attn", "attn", "attention", "mamba", "mixer", "mlp", "feed_forward")  # what a block adds to the stream
SMALL = {
    "vocab_size": registry.read_config(registry.bundled()[0]).vocab_size,
    "hidden_size": 24,
    "num_hidden_layers": 3,
}
VARIANTS = {  # what the seeded models of conftest.py do not have
    "mistral": lambda: MistralConfig(**SMALL, num_attention_heads=4, num_key_value_heads=2, intermediate_size=40),
    "tied": lambda: LlamaConfig(**SMALL, num_attention_heads=4, intermediate_size=40, tie_word_embeddings=True),
    "one-after-the-other": lambda: GPTNeoXConfig(
        **SMALL, num_attention_heads=4, intermediate_size=40, use_parallel_residual=False
    ),
    "untied": lambda: MambaConfig(**SMALL, state_size=5, pad_token_id=0, tie_word_embeddings=False),
    "half": lambda: MambaConfig(**SMALL, state_size=5, pad_token_id=0, residual_in_fp32=False),
}


def built(config: object, *, dtype: str = "float32", prepared: bool = True) -> Checkpoint:
    """Build a small model with weights large enough that every block changes the prediction."""
    torch.manual_seed(5)
    adapter = registry.adapter_for(config, source="seeded")  # type: ignore[arg-type]
    options = {"attn_implementation": ATTENTION} if "attention" in adapter.parts else {}
    model = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype), **options).eval()
    model.requires_grad_(False)
    ready = adapter.prepare(model) if prepared else model
    return Checkpoint("seeded", adapter.name, ready, weights.read_tokenizer(registry.bundled()[0]))


def relative(x: npt.ArrayLike, y: npt.ArrayLike) -> float:
    return float(np.abs(np.asarray(x) - np.asarray(y)).max() / np.abs(np.asarray(y)).max())


def ids_of(trace: ModelTrace) -> Tensor:
    return torch.tensor([[token.id for token in trace.tokens]])


def own_logits(checkpoint: Checkpoint, trace: ModelTrace) -> Floats:
    """Run transformers' model, without our tracing."""
    with torch.inference_mode():
        return checkpoint.model(input_ids=ids_of(trace), use_cache=False).logits[0].float().numpy()


def lens_logits(checkpoint: Checkpoint, stream: Floats) -> Floats:
    readout = recorder.readout(registry.adapter(checkpoint.architecture), checkpoint)
    with torch.inference_mode():
        return readout.logits(stream).numpy()


def numpy_logits(checkpoint: Checkpoint, stream: Floats) -> Floats:
    """Norm and unembed in float64 by the formulas of LayerNorm and RMSNorm."""
    adapter = registry.adapter(checkpoint.architecture)
    norm, head = adapter.final_norm(checkpoint.model), adapter.unembed(checkpoint.model)
    x = stream.astype(np.float64)
    eps = getattr(norm, "eps", getattr(norm, "variance_epsilon", None))
    if isinstance(norm, nn.LayerNorm):
        x = x - x.mean(axis=-1, keepdims=True)
    x = x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + eps) * norm.weight.double().numpy()
    x = x + (norm.bias.double().numpy() if getattr(norm, "bias", None) is not None else 0)
    return x @ head.weight.double().numpy().T


def softmax(logits: Floats) -> Floats:
    odds = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return odds / odds.sum(axis=-1, keepdims=True)


def check_last_layer(checkpoint: Checkpoint, trace: ModelTrace) -> None:
    """Hold the lens at the last layer to the model's own logits, and see it fail elsewhere."""
    own, last = own_logits(checkpoint, trace), trace.layers[-1]
    stream = last.part("resid_post")
    tolerance = TOLERANCE[trace.dtype]
    assert relative(lens_logits(checkpoint, stream), own) <= tolerance
    top = last.part("lens_tokens")[:, 0]
    assert np.array_equal(top, own.argmax(axis=-1))
    assert (last.part("lens_rank_final") == 1).all()
    assert relative(last.part("lens_prob_final"), softmax(own).max(axis=-1)) <= tolerance
    assert relative(lens_logits(checkpoint, np.roll(stream, 1, axis=0)), own) > BROKEN
    assert relative(lens_logits(checkpoint, last.part("resid_pre")), own) > NEARBY


@pytest.fixture
def checkpoint(name: str, checkpoint_of: Loader) -> Checkpoint:
    return checkpoint_of(name)


@pytest.fixture
def trace(checkpoint: Checkpoint) -> ModelTrace:
    return registry.trace(checkpoint, PROMPT)


def test_the_last_layer_gives_the_models_own_logits(checkpoint: Checkpoint, trace: ModelTrace) -> None:
    check_last_layer(checkpoint, trace)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("variant", VARIANTS)
def test_other_configurations_give_their_own_logits(variant: str, dtype: str) -> None:
    checkpoint = built(VARIANTS[variant](), dtype=dtype)
    check_last_layer(checkpoint, registry.trace(checkpoint, PROMPT))


@pytest.mark.parametrize("bundled", [adapter.bundled for adapter in registry.ADAPTERS])
def test_bfloat16_gives_its_own_logits(bundled: str) -> None:
    checkpoint = registry.load(bundled, dtype="bfloat16")
    trace = registry.trace(checkpoint, PROMPT)
    assert {trace.stream[-1].part(part).dtype for part in residual_stream.STREAM} == {np.dtype(np.float32)}
    check_last_layer(checkpoint, trace)


def test_the_stream_is_continuous_and_named(checkpoint: Checkpoint, trace: ModelTrace) -> None:
    embedding = trace.embedding
    assert embedding is not None
    assert [layer.index for layer in trace.stream] == list(range(-1, len(trace.layers)))
    assert set(embedding.parts) == residual_stream.PARTS - {"resid_pre"} - residual_stream.WRITES
    lacks = {"ffn_write"} if trace.architecture == "mamba" else set()
    for before, layer in zip(trace.stream, trace.layers, strict=False):
        assert set(layer.parts) >= residual_stream.PARTS - lacks and not lacks & set(layer.parts)
        assert layer.part("resid_pre") is before.part("resid_post")  # one array, held once
        assert layer.parts["resid_post"].sizes == {"token": len(trace.tokens), "d_model": checkpoint.config.hidden_size}
    assert registry.adapter(trace.architecture).parts >= residual_stream.PARTS - lacks


def test_the_stream_starts_at_the_embedding(checkpoint: Checkpoint, trace: ModelTrace) -> None:
    """GPT-2 adds learned positions, RWKV norms the embedding before its first block adds to it."""
    model, ids = checkpoint.model, ids_of(trace)
    with torch.inference_mode():
        start = model.get_input_embeddings()(ids)[0]
        if checkpoint.config.model_type == "gpt2":
            start = start + model.transformer.wpe.weight[: ids.shape[1]]
        if checkpoint.config.model_type == "rwkv":
            assert relative(trace.layers[0].part("resid_pre"), start) > BROKEN
            start = model.rwkv.blocks[0].pre_ln(start)
    assert relative(trace.layers[0].part("resid_pre"), start) < 1e-6


def test_a_block_adds_what_its_own_modules_wrote(checkpoint: Checkpoint, trace: ModelTrace) -> None:
    blocks = registry.adapter(checkpoint.architecture).blocks(checkpoint.model)
    assert len(blocks) == len(trace.layers) == checkpoint.config.num_hidden_layers
    writers = [[getattr(block, name) for name in WRITERS if hasattr(block, name)] for block in blocks]
    assert all(len(found) == (1 if trace.architecture == "mamba" else 2) for found in writers)
    wrote: dict[nn.Module, Floats] = {}

    def hook(module: nn.Module, args: object, output: object) -> None:
        tensor = output[0] if isinstance(output, tuple) else output
        wrote[module] = tensor.reshape(-1, tensor.shape[-1]).clone().numpy()  # type: ignore[attr-defined]

    handles = [module.register_forward_hook(hook) for found in writers for module in found]
    own_logits(checkpoint, trace)
    for handle in handles:
        handle.remove()
    sums = [sum(wrote[module] for module in found) for found in writers]
    for i, layer in enumerate(trace.layers):
        pre, post = layer.part("resid_pre"), layer.part("resid_post")
        assert np.abs(post - pre - sums[i]).max() < 1e-6 * np.abs(post).max(), i
        assert relative(post - pre, sums[i - 1]) > BROKEN  # another layer
        assert relative(np.roll(post - pre, 1, axis=0), sums[i]) > BROKEN  # another token


def test_the_stream_is_the_hidden_states_of_transformers(checkpoint: Checkpoint, trace: ModelTrace) -> None:
    with torch.inference_mode():
        theirs = checkpoint.model(input_ids=ids_of(trace), output_hidden_states=True, use_cache=False).hidden_states
    before = len(theirs) - len(trace.layers)  # 1 where the list starts with the first block's output
    ends = theirs[:-1] if before == 1 and trace.architecture in ("mamba", "rwkv") else theirs[1:-1]
    shown = trace.layers if len(ends) == len(trace.layers) else trace.layers[:-1]  # the last one is normed
    assert len(ends) == len(shown) >= len(trace.layers) - 1
    for layer, hidden in zip(shown, ends, strict=True):
        assert relative(layer.part("resid_post"), hidden[0]) < 1e-6, layer.index


def test_probabilities_entropy_and_ranks_are_those_of_numpy(checkpoint: Checkpoint, trace: ModelTrace) -> None:
    following = {
        "final": trace.logits.values.argmax(axis=-1),
        "next": np.array([token.id for token in trace.tokens[1:]] + [0]),
    }
    at = np.arange(len(trace.tokens))
    for layer in trace.stream:
        logits = numpy_logits(checkpoint, layer.part("resid_post"))
        slack = 1e-5 * np.abs(logits).max()
        probs = softmax(logits)
        tokens = layer.part("lens_tokens")
        assert tokens.shape == (len(at), residual_stream.TOP_K)
        assert (np.diff(layer.part("lens_probs"), axis=-1) <= 0).all()
        nth = -np.sort(-logits, axis=-1)[:, : residual_stream.TOP_K]
        assert np.abs(np.take_along_axis(logits, tokens, axis=-1) - nth).max() <= slack
        assert np.allclose(layer.part("lens_probs"), np.take_along_axis(probs, tokens, axis=-1), rtol=1e-3, atol=1e-7)
        bits = -(probs * np.log2(np.maximum(probs, 1e-300))).sum(axis=-1)
        assert np.allclose(layer.part("lens_entropy"), bits, rtol=1e-4, atol=1e-4)
        for name, ids in following.items():
            there = at[:-1] if name == "next" else at
            rank, prob = layer.part(f"lens_rank_{name}"), layer.part(f"lens_prob_{name}")
            asked = logits[at, ids][:, None]
            low, high = 1 + (logits > asked + slack).sum(axis=-1), (logits >= asked - slack).sum(axis=-1)
            assert (low <= rank)[there].all() and (rank <= high)[there].all(), (layer.index, name)
            assert np.allclose(prob[there], probs[at, ids][there], rtol=1e-3, atol=1e-9)
            assert np.isnan(rank[-1]) == np.isnan(prob[-1]) == (name == "next")


def test_the_next_tokens_probability_is_its_surprisal(trace: ModelTrace) -> None:
    prob = trace.layers[-1].part("lens_prob_next")
    assert np.allclose(-np.log2(prob[:-1]), trace.surprisal.values[1:], rtol=1e-4, atol=1e-4)
    assert not np.allclose(-np.log2(prob[1:-1]), trace.surprisal.values[1:-1], rtol=1e-2)  # another token


def test_a_chosen_token_is_followed_through_all_layers(checkpoint: Checkpoint, trace: ModelTrace) -> None:
    at = 3
    token = trace.tokens[at + 1]
    found = registry.lens_of(checkpoint, trace, token.id)
    assert found.id == token.id and found.label == trace.label_of(token.id) == token.label
    sizes = {"layer": len(trace.layers) + 1, "token": len(trace.tokens)}
    assert found.prob.sizes == found.rank.sizes == sizes
    for row, layer in enumerate(trace.stream):
        assert found.prob.values[row, at] == pytest.approx(layer.part("lens_prob_next")[at], rel=1e-5)
        assert found.rank.values[row, at] == layer.part("lens_rank_next")[at]
    own = softmax(own_logits(checkpoint, trace))[:, token.id]
    assert np.allclose(found.prob.values[-1], own, rtol=1e-4, atol=1e-9)
    other = registry.lens_of(checkpoint, trace, token.id + 1)
    assert relative(other.prob.values[-1], own) > BROKEN


def test_an_id_outside_the_vocabulary_and_a_foreign_trace_are_refused(checkpoint_of: Loader) -> None:
    checkpoint = checkpoint_of("mamba")
    trace = registry.trace(checkpoint, "The wolf")
    size = trace.logits.sizes["vocab"]
    for wrong in (-1, size):
        with pytest.raises(SettingError, match=f"token {wrong} is not in the vocabulary .* from 0 to {size - 1}"):
            registry.lens_of(checkpoint, trace, wrong)
    with pytest.raises(ValueError, match="'rwkv', not of 'mamba'"):
        registry.lens_of(checkpoint, registry.trace(checkpoint_of("rwkv"), "The wolf"), 0)


MISTAKES: Mapping[str, Callable[[list[Floats]], list[Floats]]] = {
    "one layer early": lambda stream: [stream[0], *stream[:-1]],
    "one token late": lambda stream: [np.roll(one, 1, axis=0) for one in stream],
    "no number": lambda stream: [one * np.nan for one in stream],
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_lens_own_check_sees_a_wrong_stream(mistake: str, checkpoint: Checkpoint, trace: ModelTrace) -> None:
    layers = [LayerTrace(layer.index, layer.mixer, layer.ffn, {}) for layer in trace.layers]
    readout = recorder.readout(registry.adapter(checkpoint.architecture), checkpoint)

    def checked(stream: list[Floats]) -> LayerTrace:
        ids = np.array([token.id for token in trace.tokens])
        named = [
            dataclasses.replace(one.parts["resid_post"], values=x) for one, x in zip(trace.stream, stream, strict=True)
        ]
        none = [{} for _ in layers]
        return residual_stream.record(layers, named, none, readout, logits=trace.logits, ids=ids)[1][-1]

    right = [layer.part("resid_post") for layer in trace.stream]
    assert last_layer_error(checked(right).parts, trace.logits.values) < 1e-5
    error = last_layer_error(checked(MISTAKES[mistake](right)).parts, trace.logits.values)
    assert not error <= (NEARBY if mistake == "one layer early" else BROKEN)


def test_the_check_sees_a_wrong_index_among_the_drawn_tokens(checkpoint_of: Loader) -> None:
    trace = registry.trace(checkpoint_of("jamba"), PROMPT)
    last = trace.layers[-1]
    parts = {name: last.parts[name] for name in residual_stream.LENS}
    assert last_layer_error(parts, trace.logits.values) < 1e-5
    for name, wrong in {
        "lens_tokens": np.roll(last.part("lens_tokens"), 1, axis=0),
        "lens_probs": last.part("lens_probs")[:, ::-1].copy(),
        "lens_prob_final": np.roll(last.part("lens_prob_final"), 1),
    }.items():
        broken = {**parts, name: dataclasses.replace(parts[name], values=wrong)}
        assert last_layer_error(broken, trace.logits.values) > BROKEN, name


def test_chunks_of_positions_give_the_same_lens(checkpoint_of: Loader, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = checkpoint_of("seeded-gpt2")
    whole = registry.trace(checkpoint, PROMPT)
    whole.derive()
    monkeypatch.setattr(residual_stream, "CHUNK_BYTES", 4 * whole.logits.sizes["vocab"] * 3)
    parts = registry.trace(checkpoint, PROMPT)
    heights: list[int] = []
    seen = residual_stream.Readout.logits
    monkeypatch.setattr(residual_stream.Readout, "logits", lambda self, x: (heights.append(len(x)), seen(self, x))[1])
    for one, other in zip(whole.stream, parts.stream, strict=True):
        for name in residual_stream.LENS:
            apart = np.abs(one.part(name) - other.part(name))
            if name.startswith("lens_rank"):  # a product of three rows is rounded otherwise than one of all rows
                assert np.nanmax(apart) <= 1 and np.nanmean(apart > 0) < 0.1, name
            else:
                assert np.allclose(one.part(name), other.part(name), rtol=1e-4, atol=1e-7, equal_nan=True), name
    assert max(heights) == 3 and sum(heights) == len(whole.tokens) * len(whole.stream)


def test_of_equally_likely_tokens_the_lower_ids_come_first() -> None:
    """As argmax chooses; numbers of 16 bits are often equal, and a padding token's stream may be zero."""
    logits = torch.tensor([[0.0, 2.0, 1.0, 2.0, 1.0, 2.0, -1.0, 1.0], [0.0] * 8])
    assert residual_stream.most_likely(logits, 5).tolist() == [[1, 3, 5, 2, 4], [0, 1, 2, 3, 4]]
    assert residual_stream.most_likely(logits[:, :3], 5).tolist() == [[1, 2, 0], [0, 1, 2]]


def test_tokens_with_equal_logits_share_the_better_rank() -> None:
    logits = torch.tensor([[0.0, 2.0, 1.0, 2.0, 1.0]] * 5)
    prob, rank = residual_stream._followed(logits, torch.arange(5))
    assert rank.tolist() == [5, 1, 3, 1, 3]
    assert torch.allclose(prob, torch.softmax(logits[0], dim=0))


def test_a_prompt_of_one_token_has_no_next_token(checkpoint_of: Loader) -> None:
    one = Encoded("a", (Token(0, 65, "a", 0, 1),), ())
    trace = recorder.trace_encoded(registry.adapter("rwkv"), checkpoint_of("rwkv"), one)
    trace.derive()
    assert np.isnan(trace.layers[0].part("lens_rank_next")).all()
    assert last_layer_error(trace.layers[-1].parts, trace.logits.values) < 1e-5


def test_a_lens_read_meanwhile_is_not_recorded(checkpoint_of: Loader) -> None:
    checkpoint = checkpoint_of("mamba")
    trace = registry.trace(checkpoint, "The wolf")
    norm = registry.adapter("mamba").final_norm(checkpoint.model)
    with ThreadPoolExecutor(1) as pool, capturing([norm]) as capture:
        pool.submit(registry.lens_of, checkpoint, trace, 5).result()
        assert not capture.inputs and not capture.outputs
        own_logits(checkpoint, trace)
        assert set(capture.inputs) == {norm}


@pytest.mark.parametrize("every", (1, 2, 3))
def test_a_stream_that_transformers_halves_gives_the_same_logits(every: int) -> None:
    """RWKV as shipped: after block i the stream is 2 ** -((i + 1) // rescale_every) of the trained one."""
    config = {**SMALL, "intermediate_size": 40, "num_hidden_layers": 4, "layer_norm_epsilon": 1e-12}
    trained = built(RwkvConfig(**config, rescale_every=every))
    halved = built(RwkvConfig(**config, rescale_every=every), prepared=False)
    assert trained.config.rescale_every == 0 and halved.config.rescale_every == every
    plain, scaled = registry.trace(trained, PROMPT), registry.trace(halved, PROMPT)
    for layer, other in zip(plain.layers, scaled.layers, strict=True):
        factor = 2.0 ** -((layer.index + 1) // every)
        assert relative(other.part("resid_post"), factor * layer.part("resid_post")) < 1e-5
    check_last_layer(trained, plain)
    check_last_layer(halved, scaled)
