"""The published models of assets/offered.yaml: size, licence and requirements."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from models.counting import accounting
from models.counting.accounting import Shape
from models.errors import SourceError
from models.limits import PROMPT_TOKENS
from models.machine.paths import ASSETS
from models.machine.yaml_file import read_yaml
from models.sources import catalogue

OFFERED = ASSETS / "offered.yaml"
HEADROOM_BYTES = 256 * 2**20  # for what a forward pass holds for a moment, and for the program around it
_LENS_CHOICES = 5  # tokens kept at every position of every layer: models.tracing.parts.residual_stream.TOP_K
PROBES = (
    32  # output features of every expert that a trace keeps: models.tracing.parts.experts.PROBES, and of a channel mix
)
_FLOAT = 4  # bytes: weights and everything recorded are float32


@dataclass(frozen=True, slots=True)
class Offer:
    """One published model.

    download_bytes: weights and tokenizer as the hub lists them; unknown: words by language; need_bytes: of memory, to
    run it.
    """

    id: str
    name: str
    architecture: str
    revision: str | None
    config: Mapping[str, Any]
    params_total: int
    params_active: int
    download_bytes: int
    stored: str
    licence: str | None
    tokenizer: str
    vocabulary: int
    inferred: tuple[str, ...]
    sources: Mapping[str, str]
    unknown: Mapping[str, str | None]
    need_bytes: int


@lru_cache(maxsize=1)
def offers() -> tuple[Offer, ...]:
    """Read the offered models, once per process; SourceError for an entry whose sizes do not give its parameters."""
    return tuple(_offer(entry) for entry in read_yaml(OFFERED))


def find(source: str) -> Offer | None:
    """Return the offered model with this hub id, or None."""
    return next((offer for offer in offers() if offer.id == source), None)


def of(architecture: str) -> tuple[Offer, ...]:
    """List what is offered for an architecture, smallest first as in the file."""
    return tuple(offer for offer in offers() if offer.architecture == architecture)


def need_bytes(shape: Shape, *, tokens: int = PROMPT_TOKENS) -> int:
    """Count the memory to run a model over so many tokens and look at it.

    Weights in float32, what a trace of that length keeps when every figure has been opened, and HEADROOM_BYTES.
    """
    return accounting.params_total(shape) * _FLOAT + trace_bytes(shape, tokens=tokens) + HEADROOM_BYTES


def trace_bytes(shape: Shape, *, tokens: int = PROMPT_TOKENS) -> int:
    """Count what a trace of so many tokens keeps, in float32.

    Logits, maps of every head, states after every token, the residual stream before and after every block with what
    every block writes into it, and what the logit lens reads in it: five tokens, their probabilities, an entropy, and
    two tokens that are followed.
    """
    maps = tokens * tokens
    heads, inner = shape.n_heads * shape.d_head, shape.d_inner
    kept = {
        "attention": 3 * shape.n_heads * maps + 4 * tokens * heads + maps + heads * shape.d_head,
        "mamba": tokens * inner * (shape.d_state + 7)
        + 2 * maps
        + inner * (shape.dt_rank + 2 * shape.d_state + shape.d_conv + 4),
        "rwkv": 8 * tokens * shape.d_attention
        + 2 * maps
        + 80 * shape.d_model
        + tokens * (shape.d_ff + 2 * PROBES)
        + PROBES * shape.d_ff,
        "moe": tokens * (2 * shape.n_experts + 2 * shape.top_k + 2 * shape.d_model + PROBES * (shape.n_experts + 1)),
    }
    lens = 2 * _LENS_CHOICES + 1 + 4
    writers = sum((layer.mixer != "none") + (layer.ffn != "none") for layer in shape.layers)
    stream = (len(shape.layers) + 1) * tokens * (shape.d_model + lens) + writers * tokens * shape.d_model
    values = 2 * tokens * shape.vocab + stream + sum(shape.count(kind) * count for kind, count in kept.items())
    return values * _FLOAT


def _offer(entry: Mapping[str, Any]) -> Offer:
    config = entry["config"] if entry["catalogue"] is None else _published(entry["catalogue"])
    shape = accounting.shape_of(config)
    total = accounting.params_total(shape)
    if entry.get("params_total") not in (None, total):
        message = f"{entry['id']}: its sizes give {total:,} parameters, its entry says {entry['params_total']:,}"
        raise SourceError("errors.bad_config", message, source=entry["id"])
    return Offer(
        id=entry["id"],
        name=entry["name"],
        architecture=entry["architecture"],
        revision=entry["revision"],
        config=MappingProxyType(dict(config)),
        params_total=total,
        params_active=accounting.params_active(shape),
        download_bytes=entry["download_bytes"],
        stored=entry["stored"],
        licence=entry["licence"],
        tokenizer=entry["tokenizer"]["name"],
        vocabulary=entry["tokenizer"]["vocabulary"],
        inferred=tuple(entry.get("inferred", ())),
        sources=MappingProxyType(dict(entry["sources"])),
        unknown=MappingProxyType(dict(entry["unknown"])),
        need_bytes=need_bytes(shape),
    )


def _published(name: str) -> Mapping[str, Any]:
    found = catalogue.find(name)
    if found is None:
        raise SourceError("errors.source_not_found", f"assets/models.yaml has no entry {name!r}", source=name)
    return catalogue.config_of(found)
