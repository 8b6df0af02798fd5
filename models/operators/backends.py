"""Choose which implementation runs each sequence operator inside the transformers classes, and tell which one ran.

The choice is a context variable: it holds for the block that makes it, ends with it, and two threads may choose
differently at the same time. models.operators.binding puts the operators where transformers
looks for them.
"""

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import Any, Literal, get_args

import torch
from seqops import backends as paths
from torch import Tensor

ATTENTION = "contextscope"  # the attention that models are loaded with: sdpa, observable (models.tracing.capture)

Choice = Literal["fast", "reference", "package", "transformers", "sorted", "batched", "loop"]
Function = paths.Operator
CHOICES: tuple[Choice, ...] = get_args(Choice)
FUNCTIONS: tuple[Function, ...] = get_args(Function)

# How transformers calls what serves its experts; "transformers" is whichever of them a configuration names.
EXPERTS: Mapping[Choice, str] = {"package": "grouped_mm", "batched": "batched_mm", "loop": "eager"}
_OF_EXPERTS: tuple[Choice, ...] = ("sorted", "batched", "loop")  # choices that no other function has


@dataclass(frozen=True, slots=True)
class Package:
    """Where another project keeps an operator: the distribution, the module and its function."""

    distribution: str
    module: str
    function: str


PACKAGES: Mapping[Function, Package] = {
    "conv": Package("causal-conv1d", "causal_conv1d", "causal_conv1d_fn"),
    "conv_step": Package("causal-conv1d", "causal_conv1d", "causal_conv1d_update"),
    "scan": Package("mamba-ssm", "mamba_ssm.ops.selective_scan_interface", "selective_scan_fn"),
    "scan_step": Package("mamba-ssm", "mamba_ssm.ops.triton.selective_state_update", "selective_state_update"),
}

_EVERYTHING_FAST: Mapping[Function, Choice] = dict.fromkeys(FUNCTIONS, "fast")
_choices: ContextVar[Mapping[Function, Choice]] = ContextVar("contextscope_implementations", default=_EVERYTHING_FAST)
_used: ContextVar[dict[str, str] | None] = ContextVar("contextscope_used", default=None)
_chosen: ContextVar[list[Tensor] | None] = ContextVar("contextscope_chosen_experts", default=None)
_carried: ContextVar[Tensor | None] = ContextVar("contextscope_carried_state", default=None)


@contextmanager
def use(choice: Choice = "fast", /, **functions: Choice) -> Iterator[None]:
    """Run the operators of Mamba, Jamba, Mixtral and RWKV on one implementation inside the block, or one each.

    "fast": the project's compiled loops on a CPU; on a CUDA device a package where one is installed, else Triton.
    "reference": the loops that read like the equations. "package": mamba-ssm, causal-conv1d and transformers' grouped
    experts, for functions and tensors they serve; the others run as "fast". "transformers": upstream's own fallbacks,
    and of its experts what the configuration names, which is grouped_mm unless somebody chose otherwise.
    use("fast", scan="reference") chooses per function (FUNCTIONS). Experts alone may also be "sorted", ours by expert
    on any device, "batched", transformers' batched_mm, or "loop", its loop over experts. The default outside every
    block is "fast".
    Raises ValueError for another choice or function.
    """
    for name in functions:
        if name not in FUNCTIONS:
            raise ValueError(f"function {name!r}: expected one of {FUNCTIONS}")
    for name, value in (("all", choice), *functions.items()):
        offered = CHOICES if name == "experts" else tuple(one for one in CHOICES if one not in _OF_EXPERTS)
        if value not in offered:
            raise ValueError(f"implementation {value!r} of {name}: expected one of {offered}")
    token = _choices.set({name: functions.get(name, choice) for name in FUNCTIONS})
    try:
        yield
    finally:
        _choices.reset(token)


@contextmanager
def recording() -> Iterator[dict[str, str]]:
    """Collect which implementation each function used: {"scan": "seqops compiled loop (CPU)", ...}."""
    used: dict[str, str] = {}
    token = _used.set(used)
    try:
        yield used
    finally:
        _used.reset(token)


@contextmanager
def watching_experts() -> Iterator[list[Tensor]]:
    """Collect which experts every mixture layer chose, (tokens, top_k) for each call."""
    chosen: list[Tensor] = []
    token = _chosen.set(chosen)
    try:
        yield chosen
    finally:
        _chosen.reset(token)


def note_experts(index: Tensor) -> None:
    """Tell whoever is watching which experts a layer chose."""
    chosen = _chosen.get()
    if chosen is not None:
        chosen.append(index.detach().clone())


@contextmanager
def carrying(state: Tensor | None) -> Iterator[None]:
    """Start the scans inside the block from a state (b, d, n), which transformers has no argument for."""
    token = _carried.set(state)
    try:
        yield
    finally:
        _carried.reset(token)


def carried_state() -> Tensor | None:
    """Return the state that the present scan starts from, None for zeros."""
    return _carried.get()


def resolve(function: Function, tensor: Tensor, *, named: str = "") -> Choice:
    """Return what serves a function for a tensor now, and note it. Never returns a package that cannot serve it.

    named: what transformers' configuration names for it, so that the note can say so.
    """
    wanted = _choices.get()[function]
    choice = _served(function, wanted, tensor)
    used = _used.get()
    if used is not None:
        used[function] = label(function, choice, tensor.device, named=named)
    return choice


def label(function: Function, choice: Choice, device: torch.device, *, named: str = "") -> str:
    """Name an implementation for people."""
    if function == "experts" and (found := EXPERTS.get(choice) or (choice == "transformers" and named)):
        return "transformers loop over experts" if found == "eager" else f"transformers {found}"
    if choice == "transformers":
        return f"transformers fallback ({device.type.upper()})"
    if choice == "reference":
        return paths.LABELS["reference"]
    if choice in ("fast", "sorted"):
        return paths.label(function, device)
    package = PACKAGES[function]
    return f"{package.distribution} {metadata.version(package.distribution)} {package.function}"


def note_attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> None:
    """Tell whoever is recording which kernel torch's scaled_dot_product_attention takes, at the first call."""
    used = _used.get()
    if used is not None and "attention" not in used:
        used["attention"] = _sdpa_label(query, key, value, mask)


def _sdpa_label(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> str:
    name = "torch scaled_dot_product_attention"
    causal = mask is None and query.shape[2] > 1
    if query.device.type != "cuda":
        return f"{name} ({query.device.type.upper()})"
    from torch.backends import cuda

    grouped = query.shape[1] != key.shape[1]
    params = cuda.SDPAParams(query, key, value, mask, 0.0, causal, grouped)
    for kernel, fits in (
        ("FlashAttention", cuda.can_use_flash_attention),
        ("cuDNN", cuda.can_use_cudnn_attention),
        ("memory-efficient", cuda.can_use_efficient_attention),
    ):
        if fits(params):
            return f"{name} ({kernel})"
    return f"{name} (plain products)"


@cache
def package(function: Function) -> Callable[..., Any] | None:
    """Return another project's implementation of a function, None where it is not installed or does not load."""
    found = PACKAGES.get(function)
    if found is None:
        return None
    try:
        return getattr(importlib.import_module(found.module), found.function, None)
    except Exception:  # noqa: BLE001 - an extension built for another torch fails in many ways; all mean: not usable
        return None


def packaged(function: Function) -> Callable[..., Any]:
    """Return another project's implementation of a function; RuntimeError where there is none."""
    found = package(function)
    if found is None:
        raise RuntimeError(f"no installed package implements {function!r}")
    return found


def _served(function: Function, wanted: Choice, tensor: Tensor) -> Choice:
    if wanted in ("reference", "transformers"):
        if function == "scan" and wanted == "transformers" and _carried.get() is not None:
            return "fast"  # upstream cannot continue a state
        return wanted
    if function == "experts" and wanted != "fast":
        return wanted
    if function == "experts":
        return "package" if tensor.device.type == "cuda" else "fast"
    continues = function == "scan" and _carried.get() is not None  # mamba-ssm cannot continue a state either
    if tensor.device.type == "cuda" and not continues and package(function) is not None:
        return "package"
    return "fast"
