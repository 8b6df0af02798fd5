"""Bits over texts and the worth of parts, against one text after another."""

from collections.abc import Callable

import numpy as np
import pytest

from models import registry
from models.ablation import bits as module
from models.ablation.bits import bits_of
from models.ablation.worth import PARTS, worth_of
from models.records.what_if import of_text, summed
from models.switches import context
from models.switches.value import Switch, Switches
from models.tracing.adapter import Checkpoint

TEXTS = ("The wolf was hungry.", "He ran into the wood and saw a girl with a red hood.", "늑대는 배가 고팠다.", "He")
Loader = Callable[[str], Checkpoint]


@pytest.mark.parametrize("tokens", (4096, 24))
def test_bits_are_those_of_each_text_alone(name: str, tokens: int, checkpoint_of: Loader, monkeypatch) -> None:
    """Texts of several lengths run together, filled up at their ends, as each runs alone."""
    checkpoint = checkpoint_of(name)
    monkeypatch.setattr(module, "CHUNK_BYTES", 4 * tokens * checkpoint.config.vocab_size)
    found = bits_of(checkpoint, [registry.encode(checkpoint, text) for text in TEXTS])
    known = summed(of_text(registry.trace(checkpoint, text)) for text in TEXTS)
    assert found.tokens == known.tokens
    assert found.total == pytest.approx(known.total, rel=1e-5)


@pytest.mark.parametrize("model", ("seeded-llama", "seeded-mixtral", "seeded-mamba", "seeded-rwkv", "seeded-jamba"))
def test_worth_is_what_a_text_costs_more_without_a_part(model: str, checkpoint_of: Loader) -> None:
    checkpoint, text = checkpoint_of(model), TEXTS[1]
    means = registry.means_of(checkpoint, TEXTS[:1])
    told: list[float] = []
    worth = worth_of(checkpoint, [registry.encode(checkpoint, text)], means=means, told=told.append)
    base = of_text(registry.trace(checkpoint, text))
    assert worth.base.total == pytest.approx(base.total, rel=1e-5)
    offers = {offer.kind: offer for offer in registry.switches_of(checkpoint)}
    kinds = [("channel_mix" if model == "seeded-rwkv" and kind == "feed_forward" else kind, how)
             for kind, how in PARTS if kind in offers]  # fmt: skip
    assert list(worth.parts) == kinds
    for row, (named, how) in enumerate(worth.parts):
        kind = "feed_forward" if named == "channel_mix" else named
        for column, layer in enumerate(worth.layers):
            drawn = worth.loss.values[row, column]
            if layer not in offers[kind].layers:  # type: ignore[index]
                assert np.isnan(drawn)
                continue
            with context.use(Switches.of(Switch(kind, layer, how=how)), means=means):  # type: ignore[arg-type]
                off = of_text(registry.trace(checkpoint, text))
            assert drawn == pytest.approx(off.per_token - base.per_token, abs=2e-4)
    assert told[-1] == 1 and told == sorted(told) and len(told) == int(np.isfinite(worth.loss.values).sum())
