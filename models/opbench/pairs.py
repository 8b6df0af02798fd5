"""The pairs that bench-kernels compares: one operation, the same inputs, two implementations that must agree."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from seqops.selective_scan import hidden_attention_summary, selective_scan_fast, selective_scan_matrix
from torch import Tensor
from transformers import MambaConfig
from transformers.models.mamba import modeling_mamba
from transformers.models.rwkv import modeling_rwkv

from models import registry
from models.errors import SettingError
from models.operators import backends
from models.tracing.tokens import encode

Results = tuple[Tensor, ...]
SINGLE, GRADIENTS, HALF = 1e-5, 1e-4, 2**-6  # largest difference allowed, relative to the largest entry
TEXT = "Once upon a time a small wolf lived in a wood and said to the King that winter was near. "
WITHIN_TEN_PERCENT = 1 / 1.1


@dataclass(frozen=True, slots=True)
class Side:
    """One implementation: a call without arguments that returns what it computed."""

    run: Callable[[], Results]
    choice: backends.Choice = "fast"
    label: str = ""  # empty: what models.operators.backends records
    grad: bool = False

    @contextmanager
    def ready(self) -> Iterator[None]:
        """Choose the implementation and the mode of autograd inside the block."""
        with backends.use(self.choice), torch.inference_mode(not self.grad):
            yield


@dataclass(frozen=True, slots=True)
class Pair:
    """Two implementations of one operation on the same inputs."""

    operation: str
    shape: str
    dtype: str
    baseline: Side
    ours: Side
    tolerance: float = SINGLE
    goal: float | None = None  # how many times faster than the baseline it is meant to be
    memory_goal: float | None = None  # how many times less memory at its peak


@dataclass(frozen=True, slots=True)
class Case:
    """A row that can be asked for by name."""

    build: Callable[[torch.device, bool], Pair]  # device, quick
    memory: bool = False  # also on a CPU, where it takes two fresh processes
    cuda_only: bool = False

    def runs_on(self, device: str) -> bool:
        """Return whether the row can be measured on a device."""
        return device != "cpu" or not self.cuda_only


def _draw(device: torch.device, *shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(seed + sum(shape))
    return torch.randn(*shape, generator=generator).to(device, dtype)


def _both(call: Callable[[], Results], *, grad: bool = False) -> tuple[Side, Side]:
    """Run one call of transformers' on its own fallback and on ours."""
    return Side(call, "transformers", grad=grad), Side(call, "fast", grad=grad)


def _scan_inputs(device: torch.device, l: int, d: int, n: int, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """Draw u, dt (b, d, l), A, B, C (b, n, l), D as a Mamba mixer hands them over, strides included."""
    u = _draw(device, 1, l, d, dtype=dtype).transpose(1, 2)
    dt = F.softplus(_draw(device, 1, d, l, seed=1) - 2).to(dtype)
    A = -torch.arange(1, n + 1, device=device).float().repeat(d, 1)
    B, C = (_draw(device, 1, l, n, seed=seed, dtype=dtype).transpose(1, 2) for seed in (2, 3))
    return u, dt, A, B, C, torch.ones(d, device=device)


def _scan(device: torch.device, quick: bool) -> Pair:
    on_gpu = device.type == "cuda"
    l, d, n = (64 if quick else 2048), (5120 if on_gpu else 512), 16
    dtype = torch.bfloat16 if on_gpu else torch.float32
    inputs = _scan_inputs(device, l, d, n, dtype)

    def call() -> Results:
        y, state = modeling_mamba.mamba_selective_scan(*inputs, return_last_state=True)
        return y, state

    baseline, ours = _both(call)
    if on_gpu:  # "fast" would take mamba-ssm where it is installed
        ours = _scan_triton(inputs)
    shape = f"1 x {l} tokens, d_inner {d}, d_state {n}"
    tolerance = HALF if on_gpu else SINGLE
    return Pair("selective scan, forward", shape, _name(dtype), baseline, ours, tolerance, 20 if on_gpu else 5)


def _scan_triton(inputs: tuple[Tensor, ...]) -> Side:
    u, dt, A, B, C, D = inputs
    arguments = (u.transpose(1, 2), dt.transpose(1, 2), A, B.transpose(1, 2), C.transpose(1, 2), D)

    def call() -> Results:
        y, state = selective_scan_fast(*arguments)
        return y.transpose(1, 2), state

    return Side(call, label=backends.label("scan", "fast", u.device))


def _scan_against_package(length: int) -> Callable[[torch.device, bool], Pair]:
    def build(device: torch.device, quick: bool) -> Pair:
        scan = backends.package("scan")
        if scan is None:
            raise SettingError(
                "errors.setting_value", "mamba-ssm is not installed with its CUDA extension", name="only"
            )
        l, d, n = (256 if quick else length), 5120, 16
        inputs = _scan_inputs(device, l, d, n, torch.bfloat16)
        theirs = Side(lambda: scan(*inputs, return_last_state=True), label="mamba-ssm selective_scan_fn")
        shape = f"1 x {l} tokens, d_inner {d}, d_state {n}"
        ours = _scan_triton(inputs)
        return Pair("selective scan, forward", shape, "bfloat16", theirs, ours, HALF, WITHIN_TEN_PERCENT)

    return build


def _wkv(device: torch.device, quick: bool) -> Pair:
    l, d = (64 if quick else 2048), 512
    decay, bonus = _draw(device, d, seed=4), _draw(device, d, seed=5)
    k, v = _draw(device, 1, l, d, seed=6), _draw(device, 1, l, d, seed=7)

    def call() -> Results:
        y, state = modeling_rwkv.rwkv_linear_attention(decay, bonus, k, v, return_state=True)
        return y, *state

    return Pair("WKV, forward", f"1 x {l} tokens, d_model {d}", "float32", *_both(call), goal=5)


def _layer(device: torch.device, quick: bool) -> Pair:
    b, l = (2, 16) if quick else (16, 256)
    torch.manual_seed(0)
    config = MambaConfig(hidden_size=256, expand=2, state_size=16, num_hidden_layers=1)
    mixer = modeling_mamba.MambaMixer(config, layer_idx=0).to(device)
    x = _draw(device, b, l, 256).requires_grad_()
    weight = torch.cos(torch.arange(b * l * 256, device=device, dtype=torch.float32)).view(b, l, 256)
    leaves = (x, *mixer.parameters())

    def call() -> Results:
        y = mixer(x)
        return (y.detach(), *torch.autograd.grad((y * weight).sum(), leaves))

    shape = f"{b} x {l} tokens, d_model 256, d_inner 512, d_state 16"
    sides = _both(call, grad=True)
    return Pair("Mamba layer, forward and backward", shape, "float32", *sides, GRADIENTS, goal=10, memory_goal=4)


def _conv(device: torch.device, quick: bool) -> Pair:
    l, d = (64 if quick else 2048), 512
    x = _draw(device, 1, l, d).transpose(1, 2)
    weight, bias = _draw(device, d, 4, seed=8), _draw(device, d, seed=9)

    def call() -> Results:
        return (modeling_mamba.causal_conv1d_fn(x, weight, bias, activation="silu"),)

    return Pair("causal convolution, forward", f"1 x {l} tokens, d_inner {d}, 4 taps", "float32", *_both(call))


def _scan_step(device: torch.device, quick: bool) -> Pair:
    d, n = (64 if quick else 512), 16
    u, z, dt = (_draw(device, 1, d, seed=seed) for seed in (10, 11, 12))
    A = -torch.arange(1, n + 1, device=device).float().repeat(d, 1)
    B, C = _draw(device, 1, n, seed=13), _draw(device, 1, n, seed=14)
    D, bias = torch.ones(d, device=device), _draw(device, d, seed=15)

    def side(choice: backends.Choice) -> Side:
        state = _draw(device, 1, d, n, seed=16)  # its own: the step writes into it

        def call() -> Results:
            y = modeling_mamba.mamba_selective_state_update(
                state, u, dt, A, B, C, D, z=z, dt_bias=bias, dt_softplus=True
            )
            return y, state

        return Side(call, choice)

    shape = f"1 token, d_inner {d}, d_state {n}"
    return Pair("selective scan, decoding step", shape, "float32", side("transformers"), side("fast"))


def _wkv_step(device: torch.device, quick: bool) -> Pair:
    d = 64 if quick else 512
    decay, bonus = _draw(device, d, seed=4), _draw(device, d, seed=5)
    k, v = _draw(device, 1, 1, d, seed=6), _draw(device, 1, 1, d, seed=7)
    num, top = _draw(device, 1, d, seed=17), _draw(device, 1, d, seed=18)

    def call() -> Results:
        y, state = modeling_rwkv.rwkv_linear_attention(decay, bonus, k, v, state=[num, num.abs() + 1, top])
        return y, *state

    return Pair("WKV, decoding step", f"1 token, d_model {d}", "float32", *_both(call))


def _hidden_attention(device: torch.device, quick: bool) -> Pair:
    l, d = (32, 32) if quick else (2048, 1536) if device.type == "cuda" else (128, 64)
    u, dt, A, B, C, _ = (
        x[0].T.contiguous() if x.dim() == 3 else x for x in _scan_inputs(device, l, d, 16, torch.float32)
    )

    def by_blocks() -> Results:
        mean, mixed = dt.new_zeros(l, l), []
        for channels in torch.arange(d, device=device).split(16):
            alpha = selective_scan_matrix(dt[:, channels], A[channels], B, C)  # (16, l, l)
            mean += alpha.abs().sum(0) / d
            mixed.append(torch.einsum("cij,jc->ic", alpha, u[:, channels]))
        return mean, torch.cat(mixed, dim=1)

    ours = Side(lambda: hidden_attention_summary(dt, A, B, C, u), label=backends.label("scan", "fast", device))
    baseline = Side(by_blocks, label="torch, 16 channels at a time")
    return Pair("hidden attention, all channels", f"{l} tokens, d_inner {d}, d_state 16", "float32", baseline, ours)


def _trace(device: torch.device, quick: bool) -> Pair:
    adapter = registry.adapter("mamba")
    checkpoint = registry.load(adapter.bundled, device=str(device))
    tokens = 32 if quick else 256
    prompt = _prompt(checkpoint.tokenizer, tokens)
    ids = torch.tensor([encode(checkpoint.tokenizer, prompt, source=checkpoint.name).ids], device=device)

    def forward() -> Results:
        logits, _ = adapter.forward(checkpoint.model, ids, None, last_only=False)
        return (logits[0],)

    def trace() -> Results:
        return (torch.tensor(registry.trace(checkpoint, prompt).logits.values),)

    shape = f"1 x {ids.shape[1]} tokens, bundled Mamba"
    sides = Side(forward, label="plain forward"), Side(trace, label="forward with every layer recorded")
    return Pair("full trace of a model", shape, "float32", *sides, goal=1 / 1.5)


def _prompt(tokenizer: Any, tokens: int) -> str:
    """Cut a text where it is as many tokens long as it can be without exceeding the number."""
    text = TEXT * (tokens // 8)
    ends = [stop for _, stop in tokenizer(text, return_offsets_mapping=True)["offset_mapping"]]
    length = tokens
    while len(tokenizer(text[: ends[length - 1]])["input_ids"]) > tokens:
        length -= 1
    return text[: ends[length - 1]]


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


CASES: Mapping[str, Case] = {
    "scan": Case(_scan),
    "wkv": Case(_wkv),
    "layer": Case(_layer, memory=True),
    "conv": Case(_conv),
    "scan-step": Case(_scan_step),
    "wkv-step": Case(_wkv_step),
    "hidden-attention": Case(_hidden_attention),
    "trace": Case(_trace),
    **{f"scan-{l}": Case(_scan_against_package(l), cuda_only=True) for l in (2048, 8192, 65536)},
}
