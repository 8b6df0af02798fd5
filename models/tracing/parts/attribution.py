"""Direct logit attribution: the logit of a token as a sum over the parts of a model, the final norm's scale frozen."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from models.records.trace import Attribution, LayerTrace, ModelTrace, NamedArray
from models.tracing.parts import attention
from models.tracing.parts.residual_stream import NO_TOKEN, Ids, Readout


@torch.inference_mode()
def attribution(trace: ModelTrace, ids: Ids, readout: Readout, mixers: Sequence[nn.Module]) -> Attribution:
    """Split the logit of ids (token,) at every position of a trace; see Attribution. mixers: of the blocks, in order.

    Only the rows of the head for these ids are read, in float64. nan where the id is NO_TOKEN.
    """
    toward, bias = directions(readout, trace.stream[-1].part("resid_post"), ids)
    absent = ids == NO_TOKEN

    def added(layer: LayerTrace, part: str) -> np.ndarray:
        if part not in layer.parts:
            return np.full(len(ids), np.nan)
        return _blank(_dot(_wide(layer, part), toward), absent)

    with_heads = {
        layer.index: (layer, mixer) for layer, mixer in zip(trace, mixers, strict=True) if "head_output" in layer.parts
    }
    known = np.take_along_axis(trace.logits.values, np.maximum(ids, 0)[:, None], -1)[:, 0].astype(np.float64)
    return Attribution(
        ids=NamedArray(np.array(ids), ("token",)),
        embedding=NamedArray(added(trace.stream[0], "resid_post"), ("token",)),
        mixer=NamedArray(np.stack([added(layer, "mixer_write") for layer in trace]), ("layer", "token")),
        ffn=NamedArray(np.stack([added(layer, "ffn_write") for layer in trace]), ("layer", "token")),
        bias=NamedArray(_blank(bias, absent), ("token",)),
        logit=NamedArray(np.where(absent, np.nan, known), ("token",)),
        toward=NamedArray(toward.numpy(), ("token", "d_model")),
        heads={
            index: NamedArray(_blank(of_heads(layer, mixer, toward), absent), ("head", "token"))
            for index, (layer, mixer) in with_heads.items()
        },
        head_bias={
            index: NamedArray(_blank(_bias_of(mixer, toward), absent), ("token",))
            for index, (_, mixer) in with_heads.items()
        },
    )


def directions(readout: Readout, stream: np.ndarray, ids: Ids) -> tuple[Tensor, Tensor]:
    """Return u (token, d_model) and b (token,) in float64: x u + b is the logit of an id, for x in place of stream.

    u is the row of the head times the weights of the final norm, over the scale that the norm has at this stream; a
    LayerNorm takes the mean of x away, and with it that of u.
    """
    norm, head = readout.norm, readout.head
    weights = next(head.parameters())  # (vocab, d_model)
    rows = weights[torch.as_tensor(np.maximum(ids, 0), device=weights.device)].double().cpu()
    x = torch.from_numpy(np.array(stream, np.float64))
    centred = isinstance(norm, nn.LayerNorm)
    spread = x - x.mean(-1, keepdim=True) if centred else x
    scale = (spread.square().mean(-1, keepdim=True) + _epsilon(norm)).sqrt()
    toward = rows * _vector(norm, "weight", 1.0, rows)
    if centred:
        toward = toward - toward.mean(-1, keepdim=True)
    bias = (rows * _vector(norm, "bias", 0.0, rows)).sum(-1)
    own = getattr(head, "bias", None)
    if own is not None:
        bias = bias + own.double().cpu()[np.maximum(ids, 0)]
    return toward / scale, bias


def of_heads(layer: LayerTrace, mixer: nn.Module, toward: Tensor) -> Tensor:
    """Return what every head adds, (head, token): its output through its rows of the output projection, times u."""
    out = torch.from_numpy(np.array(layer.part("head_output"), np.float64))  # (head, token, d_head)
    kernel = attention.weight(attention.output_projection(mixer)).double().cpu()
    kernel = kernel.view(len(out), out.shape[-1], -1)  # (head, d_head, d_model)
    return torch.einsum("hld,hdl->hl", out, torch.einsum("hdm,lm->hdl", kernel, toward))


def _bias_of(mixer: nn.Module, toward: Tensor) -> Tensor:
    """Return what the bias of an output projection adds, (token,); 0 without one."""
    bias = getattr(attention.output_projection(mixer), "bias", None)
    return toward.new_zeros(len(toward)) if bias is None else toward @ bias.double().cpu()


def _epsilon(norm: nn.Module) -> float:
    for name in ("eps", "variance_epsilon"):
        if hasattr(norm, name):
            return float(getattr(norm, name))
    raise TypeError(f"{type(norm).__name__} is neither LayerNorm nor RMSNorm")


def _vector(norm: nn.Module, name: str, without: float, like: Tensor) -> Tensor:
    """Return the weights or the bias of a norm, (d_model,), in float64."""
    found = getattr(norm, name, None)
    return like.new_full((like.shape[-1],), without) if found is None else found.double().cpu()


def _wide(layer: LayerTrace, part: str) -> Tensor:
    return torch.from_numpy(np.array(layer.part(part), np.float64))


def _dot(x: Tensor, toward: Tensor) -> Tensor:
    return (x * toward).sum(-1)


def _blank(values: Tensor, absent: np.ndarray) -> np.ndarray:
    """Return numbers (..., token), nan where no token is followed."""
    return np.where(absent, np.nan, values.numpy())
