"""Known answers of the selective state space: M-a to M-e, M-g of EXPLAINERS.md section 5."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from seqops.mamba_mixer import mixer_matrix, mixer_summary
from seqops.selective_scan import selective_scan_matrix, selective_scan_ref
from transformers import MambaConfig, MambaForCausalLM

from models import registry
from models.reconstruction import mamba_mixer
from models.sources import weights
from models.tracing.adapter import Checkpoint
from models.tracing.capture import capturing
from models.tracing.mixing import channel_mixing, mixer_mixing

Loader = Callable[[str], Checkpoint]
PROMPT = "Once upon a time a small wolf lived in a wood. 늑대는 배가 고팠다."


def relative(x: np.ndarray, y: np.ndarray) -> float:
    error = np.abs(x - y).max()
    return float(error / np.abs(y).max()) if error else 0.0  # a padding embedding leaves a state of zeros


def cached_states(checkpoint: Checkpoint, ids: list[int]) -> list[np.ndarray]:
    """Return the recurrent states that transformers' own cache holds after these ids, one per Mamba layer."""
    adapter = registry.adapter(checkpoint.architecture)
    _, cache = adapter.step(checkpoint, torch.tensor([ids]), None)
    states = [getattr(layer, "recurrent_states", {}).get(0) for layer in cache.layers]
    return [s[0].float().numpy() for s in states if s is not None]


def test_hidden_attention_skip_and_gate_rebuild_the_mixer(selective: str, checkpoint_of: Loader) -> None:
    """M-a, channel by channel from the record alone, against the output the recorded gate and skip give."""
    trace = registry.trace(checkpoint_of(selective), PROMPT)
    for layer in trace.layers_with("hidden_attention"):
        channels = range(layer.part("skip").shape[0])
        u = layer.part("scan_input")
        alpha = channel_mixing(layer, channels).values
        y = np.einsum("cij,jc->ic", alpha, u) + layer.part("skip") * u
        read = np.einsum("tcs,ts->tc", layer.part("state"), layer.part("read_proj")) + layer.part("skip") * u
        assert relative(y, read) < 1e-5
        assert np.allclose(np.abs(alpha).mean(0), layer.part("hidden_attention"), rtol=1e-3, atol=1e-6)


def test_recorded_states_are_the_cache_of_every_prefix(selective: str, checkpoint_of: Loader) -> None:
    """M-c: relative, because healthy states reach thousands."""
    checkpoint = checkpoint_of(selective)
    trace = registry.trace(checkpoint, PROMPT)
    ids = [token.id for token in trace.tokens]
    layers = trace.layers_with("state")
    for length in (1, 2, len(ids) // 2, len(ids)):
        cached = cached_states(checkpoint, ids[:length])
        assert len(cached) == len(layers)
        for layer, state in zip(layers, cached, strict=True):
            assert relative(layer.part("state")[length - 1], state) < 1e-5


def test_half_life_halves_the_slowest_component(selective: str, checkpoint_of: Loader) -> None:
    """M-f."""
    for layer in registry.trace(checkpoint_of(selective), PROMPT).layers_with("dt"):
        slowest = np.abs(layer.part("decay_rates")).min(1)
        kept = np.exp(-slowest * layer.part("dt").mean(0) * layer.part("half_life"))
        assert np.allclose(kept, 0.5, rtol=1e-5)


def test_hand_wired_mamba_writes_only_at_marked_tokens() -> None:
    """M-g: feature 0 marks data; dt = softplus(20 marker - 12), so the state is frozen everywhere else."""
    checkpoint = hand_wired()
    data = {3, 9}
    ids = [5 if i in data else 100 + i for i in range(14)]
    model, adapter = checkpoint.model, registry.adapter("mamba")
    with torch.inference_mode(), capturing(adapter.watched(model)) as capture:
        adapter.forward(model, torch.tensor([ids]), None, last_only=False)
        (layer,) = adapter.layer_traces(model, capture)
    dt, state = layer.part("dt"), layer.part("state")
    marked = np.array([i in data for i in range(14)])
    assert dt[marked].min() > 5 and dt[~marked].max() < 1e-4
    moved = np.linalg.norm(np.diff(state, axis=0, prepend=0), axis=(1, 2))
    assert moved[marked].min() > 1 and moved[~marked].max() < 1e-3 * moved[marked].min()
    assert relative(state[-1], cached_states(checkpoint, ids)[0]) < 1e-6


def hand_wired() -> Checkpoint:
    """Wire one Mamba layer by hand: width 8, one state, identity convolution, constant B and C."""
    torch.manual_seed(3)
    tokenizer = weights.read_tokenizer(registry.bundled()[0])
    vocab = len(tokenizer)
    config = MambaConfig(vocab_size=vocab, hidden_size=8, state_size=1, num_hidden_layers=1, expand=1, time_step_rank=1)
    model = MambaForCausalLM(config).eval().requires_grad_(False)
    mixer, embedding = model.backbone.layers[0].mixer, model.backbone.embeddings.weight
    embedding.copy_(torch.sin(torch.arange(vocab * 8).view(vocab, 8).float()))
    embedding[:, 0] = 0.0
    embedding[5] = torch.tensor([4.0] + [1.0] * 7)  # the data token carries the marker
    mixer.in_proj.weight.copy_(torch.cat([torch.eye(8), torch.eye(8)]))
    mixer.conv1d.weight.zero_()
    mixer.conv1d.weight[:, 0, -1] = 1.0
    mixer.conv1d.bias.zero_()
    mixer.x_proj.weight.zero_()
    mixer.x_proj.weight[0, 0] = 1.0  # dt reads the marker
    mixer.x_proj.weight[1:, 0] = 1.0  # B and C too: nothing is written elsewhere
    mixer.dt_proj.weight.fill_(20.0)
    mixer.dt_proj.bias.fill_(-12.0)
    mixer.A_log.fill_(-8.0)  # decay so slow that only writing moves the state
    assert F.softplus(torch.tensor(-12.0)) < 1e-4
    return Checkpoint("hand-wired", "mamba", model, tokenizer)


def test_the_whole_operator_and_what_the_bias_adds_rebuild_the_mixer(selective: str, checkpoint_of: Loader) -> None:
    """M-b, channel by channel from the record alone; and its mean size is the recorded map."""
    for text in (PROMPT, "wolf"):
        trace = registry.trace(checkpoint_of(selective), text)
        for layer in trace.layers_with("full_layer"):
            channels = range(layer.part("skip").shape[0])
            mixing = mixer_mixing(layer, channels).values.astype(np.float64)
            rebuilt = np.einsum("cij,jc->ic", mixing, layer.part("conv_input"))
            for channel in channels:
                rebuilt[:, channel] += mamba_mixer.operator(layer, channel)[2]
            assert relative(rebuilt, layer.part("mixer_output")) < 2e-5
            assert np.allclose(np.abs(mixing).mean(0), layer.part("full_layer"), rtol=1e-3, atol=1e-7)
            without = np.einsum("cij,jc->ic", np.swapaxes(mixing, 1, 2), layer.part("conv_input"))
            assert len(trace.tokens) < 3 or relative(without, layer.part("mixer_output")) > 1e-2


def test_the_operator_answers_to_a_single_input() -> None:
    """M e_j is what the mixer, with gate, slope and decays held, makes of a one at token j."""
    place = torch.arange(1, 400, dtype=torch.float64)
    wave = torch.sin(place**1.5)
    l, d, n, k = 7, 3, 2, 4
    dt, gate, slope = (wave[at : at + l * d].reshape(l, d).abs() for at in (0, 30, 60))
    a, b, c = -wave[90:96].reshape(d, n).abs(), wave[100:114].reshape(l, n), wave[120:134].reshape(l, n)
    skip, taps = wave[140:143], wave[150:162].reshape(d, k)
    alpha = selective_scan_matrix(dt, a, b, c)
    built = mixer_matrix(alpha, skip, slope, taps, gate)
    assert torch.allclose(built.abs().mean(0), mixer_summary(dt, a, b, c, skip, slope, taps, gate))
    for j in range(l):
        one = torch.zeros(l, d, dtype=torch.float64)
        one[j] = 1
        convolved = sum((F.pad(one, (0, 0, m, 0))[:l] * taps[:, k - 1 - m] for m in range(k)), torch.zeros(l, d))
        u = slope * convolved
        y, _ = selective_scan_ref(u[None], dt[None], a, b[None], c[None], skip)
        assert torch.allclose(built[:, :, j].T, gate * y[0])
