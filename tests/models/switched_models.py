"""Models with edited weights: what a switch must equal, built without models.switches."""

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.switches.value import Switch
from models.tracing.adapter import Checkpoint

GROUPS = 8
Measured = dict[str, Tensor]  # means of one layer


def edited(checkpoint: Checkpoint, switch: Switch, means: dict[int, Measured]) -> Checkpoint:
    """Return a copy of a checkpoint whose weights do what a switch says."""
    model = copy.deepcopy(checkpoint.model)
    for index, layer in enumerate(_layers(model)):
        if switch.layer in (-1, index) and _has(layer, switch.kind):
            _edit(layer, switch, means.get(index, {}), model.config)
    return Checkpoint(checkpoint.name, checkpoint.architecture, model, checkpoint.tokenizer)


def _has(layer: Any, kind: str) -> bool:
    """Return whether a layer of several kinds of mixers and feed-forwards has a part."""
    recurrent = hasattr(mixer_of(layer)[0], "A_log") or hasattr(mixer_of(layer)[0], "time_decay")
    if kind == "expert":
        return any(hasattr(getattr(layer, name, None), "experts") for name in ("mlp", "feed_forward"))
    return kind in ("layer", "mixer", "feed_forward") or recurrent == (kind != "head")


def _edit(layer: Any, switch: Switch, means: Measured, config: Any) -> None:
    mixer, projection = mixer_of(layer)
    if switch.kind in ("mixer", "layer"):
        _constant(projection, means["mixer"] if switch.how == "mean" else 0.0)
    if switch.kind in ("feed_forward", "layer"):
        _replace_feed_forward(layer, means["feed_forward"] if switch.how == "mean" else None)
    if switch.kind in ("head", "channels"):
        width = _weight(projection).shape[1]
        columns = _head(switch.index, width // config.num_attention_heads) if switch.kind == "head" else None
        columns = _group(mixer, switch.index) if columns is None else columns
        _cut(projection, columns, means["projection"] if switch.how == "mean" else None)
    edit = _EDITS.get(switch.kind)
    if edit is not None:
        with torch.no_grad():
            edit(layer, mixer, switch, means)


def mixer_of(layer: Any) -> tuple[Any, Any]:
    """Return the mixer of a layer and what projects its heads or channels."""
    for name in ("self_attn", "attn", "attention", "mamba", "mixer"):
        if hasattr(layer, name):
            mixer = getattr(layer, name)
            return mixer, next(getattr(mixer, one) for one in ("o_proj", "c_proj", "dense", "out_proj", "output")
                               if hasattr(mixer, one))  # fmt: skip
    raise AssertionError(layer)


def _layers(model: Any) -> Any:
    base = model.base_model
    return next(getattr(base, name) for name in ("layers", "h", "blocks") if hasattr(base, name))


def _weight(projection: Any) -> Tensor:
    """Return the matrix (out, in) of a projection, which shares its memory."""
    return projection.weight if isinstance(projection, nn.Linear) else projection.weight.T


def _add(module: Any, bias: Tensor) -> None:
    module.bias = nn.Parameter(bias if module.bias is None else module.bias + bias, requires_grad=False)


def _constant(projection: Any, value: Tensor | float) -> None:
    with torch.no_grad():
        projection.weight.zero_()
        if projection.bias is not None:
            projection.bias.zero_()
        if isinstance(value, Tensor):
            _add(projection, value)


def _cut(projection: Any, columns: list[int], mean: Tensor | None) -> None:
    with torch.no_grad():
        if mean is not None:
            _add(projection, _weight(projection)[:, columns] @ mean[columns])
        _weight(projection)[:, columns] = 0


def _head(head: int, width: int) -> list[int]:
    return list(range(head * width, (head + 1) * width))


def _group(mixer: Any, group: int) -> list[int]:
    """Sort the channels by half-life in plain Python; the sizes of groups differ by one at most."""
    if hasattr(mixer, "time_decay"):
        lives = [1 / math.exp(w) for w in mixer.time_decay.tolist()]
    else:
        dt = [math.log1p(math.exp(b)) for b in mixer.dt_proj.bias.tolist()]
        lives = [1 / (step * min(math.exp(a) for a in row)) for step, row in zip(dt, mixer.A_log.tolist(), strict=True)]
    order = sorted(range(len(lives)), key=lambda c: lives[c])
    size, more = divmod(len(order), GROUPS)
    start = group * size + min(group, more)
    return order[start : start + size + (group < more)]


class _Fixed(nn.Module):
    """Return one vector for every token, or zeros; a tuple with the state where the module that it stands for did."""

    def __init__(self, original: nn.Module, value: Tensor | None) -> None:
        super().__init__()
        self.original, self.value = original, value

    def forward(self, hidden: Tensor, *args: Any, **kwargs: Any) -> Any:
        out = self.original(hidden, *args, **kwargs)
        first = out[0] if isinstance(out, tuple) else out
        fixed = torch.zeros_like(first) if self.value is None else self.value.expand_as(first).clone()
        return (fixed, *out[1:]) if isinstance(out, tuple) else fixed


def _replace_feed_forward(layer: Any, mean: Tensor | None) -> None:
    name = next((one for one in ("mlp", "feed_forward") if hasattr(layer, one)), None)
    if name is not None:
        setattr(layer, name, _Fixed(getattr(layer, name), mean))


def _convolution(_layer: Any, mixer: Any, _switch: Switch, _means: Measured) -> None:
    mixer.conv1d.weight[..., :-1] = 0


def _gate(_layer: Any, mixer: Any, switch: Switch, means: Measured) -> None:
    """Give the gate's rows of in_proj no weight, and the bias whose SiLU is the wanted gate."""
    channels = mixer.intermediate_size
    wanted = torch.ones(channels) if switch.how == "open" else means["gate"]
    low, high = torch.full((channels,), -1.2784645, dtype=torch.float64), torch.full((channels,), 40.0).double()
    for _ in range(80):
        middle = (low + high) / 2
        above = F.silu(middle) > wanted
        low, high = torch.where(above, low, middle), torch.where(above, middle, high)
    mixer.in_proj.weight[channels:] = 0
    bias = torch.zeros(2 * channels) if mixer.in_proj.bias is None else mixer.in_proj.bias.clone()
    bias[channels:] = low.float()
    mixer.in_proj.bias = nn.Parameter(bias, requires_grad=False)


def _receptance(_layer: Any, mixer: Any, switch: Switch, means: Measured) -> None:
    mixer.receptance.weight.zero_()
    wanted = torch.full((mixer.attention_hidden_size,), 60.0)
    _add(mixer.receptance, wanted if switch.how == "open" else torch.logit(means["receptance"].double()).float())


def _token_shift(layer: Any, mixer: Any, _switch: Switch, _means: Measured) -> None:
    for module, names in ((mixer, ("key", "value", "receptance")), (layer.feed_forward, ("key", "receptance"))):
        for name in names:
            share = getattr(module, f"time_mix_{name}")
            getattr(module, name).weight.mul_(share[0])
            share.fill_(1)


def _selection(_layer: Any, mixer: Any, switch: Switch, means: Measured) -> None:
    whole = switch.kind == "selectivity"
    rank, size = mixer.dt_proj.weight.shape[1], mixer.A_log.shape[1]
    rows = {"write": slice(rank, rank + size), "read": slice(rank + size, rank + 2 * size)}
    if whole or switch.kind == "step":
        mixer.dt_proj.weight.zero_()
        mixer.dt_proj.bias.copy_(torch.log(torch.expm1(means["step"].double())))
    for name, norm in (("write", "b_layernorm"), ("read", "c_layernorm")):
        if not (whole or switch.kind == name):
            continue
        if hasattr(mixer, norm):
            setattr(mixer, norm, _Fixed(getattr(mixer, norm), means[name]))
        else:
            mixer.x_proj.weight[rows[name]] = 0
            bias = torch.zeros(rank + 2 * size)
            bias[rows[name]] = means[name]
            _add(mixer.x_proj, bias)


def _decay(_layer: Any, mixer: Any, _switch: Switch, _means: Measured) -> None:
    (mixer.time_decay if hasattr(mixer, "time_decay") else mixer.A_log).fill_(-math.inf)


def _expert(layer: Any, _mixer: Any, switch: Switch, _means: Measured) -> None:
    block = layer.mlp if hasattr(layer, "mlp") else layer.feed_forward
    router = block.router if hasattr(block, "router") else block.gate
    keeps_sum = not hasattr(block, "router")  # Mixtral divides by the sum, Jamba does not
    bias = torch.zeros(router.num_experts)
    bias[switch.index] = -1e9 if switch.how == "forbid" else 1e9

    def forward(hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits = hidden.reshape(-1, hidden.shape[-1]) @ router.weight.T + bias
        weights, index = torch.softmax(logits, -1).topk(router.top_k, -1)
        return logits, weights / weights.sum(-1, keepdim=True) if keeps_sum else weights, index

    router.forward = forward


_EDITS: dict[str, Callable[[Any, Any, Switch, Measured], None]] = {
    "convolution": _convolution,
    "gate": _gate,
    "receptance": _receptance,
    "token_shift": _token_shift,
    "selectivity": _selection,
    "step": _selection,
    "write": _selection,
    "read": _selection,
    "decay": _decay,
    "expert": _expert,
}
