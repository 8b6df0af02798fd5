"""What was measured with parts of a model switched off: kept once for all visitors, under the switches."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from models.records.trace import ModelTrace
from models.records.what_if import Bits, Worth
from models.switches.value import NONE, Switches
from pages.shared import cache
from pages.shared.lru_cache import LruCache
from pages.shared.words import content, language

if TYPE_CHECKING:
    from models.switches.context import Means
    from models.switches.sites import Switchable
    from models.tracing.tokens import Encoded

MODELS, TEXTS, SETS = 16, 64, 256  # that are remembered

_OFFERS: "LruCache[tuple[Switchable, ...]]" = LruCache(MODELS)  # each weighs one, as all below
_MEANS: "LruCache[Means]" = LruCache(MODELS)
_BITS: LruCache[Bits] = LruCache(SETS)
_WORTHS: LruCache[Worth] = LruCache(TEXTS)


def offers(source: str) -> "tuple[Switchable, ...]":
    """List what can be switched off in a model; it is loaded where it is not."""
    from models import registry

    loaded = cache.checkpoint(source)
    return cache.waited(_OFFERS, _key(source), lambda: registry.switches_of(loaded))


def allowed(source: str, switches: Switches) -> bool:
    """Return whether a model has everything that a set switches off."""
    known = offers(source)
    return all(any(offer.allows(one) for offer in known) for one in switches)


def means(source: str) -> "Means":
    """Measure the means of a model's parts over the examples of all pages in every language."""
    from models import registry

    loaded = cache.checkpoint(source)

    def measured() -> "Means":
        with cache.turn():
            return registry.means_of(loaded, _read(source, content.every_example()))

    return cache.waited(_MEANS, _key(source), measured)


def trace(source: str, prompt: str, switches: Switches) -> ModelTrace:
    """Run a model over a text with something switched off. Raises PromptError."""
    needed = means(source) if switches.need_means else None
    return cache.trace_for(source, prompt, switches=switches, means=needed)


def bits(source: str, texts: tuple[str, ...], switches: Switches = NONE) -> Bits:
    """Sum the bits of some texts."""
    from models.ablation.bits import bits_of
    from models.switches import context

    loaded, encoded = cache.checkpoint(source), _encoded(source, texts)
    needed = means(source) if switches.need_means else None

    def measured() -> Bits:
        with cache.turn(), context.use(switches, means=needed):
            return bits_of(loaded, encoded)

    return cache.waited(_BITS, (*_key(source), texts, switches), measured)


def worth(source: str, texts: tuple[str, ...], told: Callable[[float], None]) -> Worth:
    """Measure what every part of a model is worth on some texts; told is given the share that is done."""
    from models.ablation.worth import worth_of

    loaded, encoded, needed = cache.checkpoint(source), _encoded(source, texts), means(source)

    def measured() -> Worth:
        return worth_of(loaded, encoded, means=needed, turn=cache.turn(), told=told)

    return cache.waited(_WORTHS, (*_key(source), texts), measured)


def examples(page: str) -> tuple[str, ...]:
    """Return the examples of a page in the visitor's language."""
    return tuple(one.text[language.current()] for one in content.examples(page))


def _encoded(source: str, texts: tuple[str, ...]) -> "list[Encoded]":
    from models import registry

    known = cache.tokenizer(source)
    return [registry.encode(known, text) for text in _read(source, texts)]


def _read(source: str, texts: tuple[str, ...]) -> list[str]:
    """Return texts, each as far as a model reads it."""
    return [cache.fitted(source, text).text for text in texts]


def _key(source: str) -> tuple[str, float]:
    from models import registry

    return source, registry.modified_at(source)
