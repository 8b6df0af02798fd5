"""The fixed texts over which experts are counted (assets/expert_sample.yaml), as one model reads them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache as kept

from models.records.trace import ModelTrace
from pages.shared import cache
from pages.shared.memo import Memo
from pages.shared.words import content

PARTS = ("router_logits", "router_probs", "chosen_experts", "chosen_weights")  # of a layer that are counted

_read: Memo[list[ModelTrace]] = Memo(16)  # texts of one kind, read by one model


@dataclass(frozen=True, slots=True)
class SampleKind:
    """Texts of one kind. label: in each language; texts: what is read, with where it is from."""

    id: str
    label: Mapping[str, str]
    texts: tuple[Mapping[str, str], ...]


@kept
def kinds() -> tuple[SampleKind, ...]:
    """Return the kinds of texts of the sample, in their order."""
    return tuple(SampleKind(one["id"], one["label"], tuple(one["texts"])) for one in content.table("expert_sample"))


def read(source: str, number: int | None) -> list[ModelTrace]:
    """Let a model read the texts of one kind, or of all, and keep the parts of its routers alone.

    Each text is read by itself, as much of it as the model takes; raises what the model raises.
    """
    from models import registry

    if number is None:
        return [trace for at in range(len(kinds())) for trace in read(source, at)]
    kind = kinds()[number]
    key = (source, registry.modified_at(source), kind.id)
    return _read.get(key, (), lambda: [_traced(source, one["text"]) for one in kind.texts])


def _traced(source: str, text: str) -> ModelTrace:
    return cache.traced_apart(source, cache.fitted(source, text).text).only(PARTS)
