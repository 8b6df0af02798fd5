"""What a card says first is true of the run: compared with a plain recount of the record."""

import re

import pytest

from pages.shared.words import i18n
from viz.look.labels import short
from viz.look.theme import LIGHT
from viz.trace.decay import half_life, half_life_spectrum
from viz.trace.routing import expert_load


@pytest.mark.parametrize(("name", "draw"), [("rwkv", half_life_spectrum), ("mamba", half_life)])
def test_the_longest_memory_is_named_with_its_layer(runs, name, draw) -> None:
    found = [(float(value), layer.index) for layer in runs[name] if "half_life" in layer.parts
             for value in layer.part("half_life")]  # fmt: skip
    longest, layer = max(found)
    told = draw(runs[name], theme=LIGHT, t=i18n.translator("en")).finding
    assert f"{short(longest)} tokens" in told and re.search(rf"layer {layer}\.", told)
    assert ("component" in told) == (name == "mamba")


def test_the_most_used_expert_is_named_with_its_layer(runs) -> None:
    counts: dict[tuple[int, int], float] = {}
    for layer in runs["jamba"].layers_with("chosen_experts"):
        slots = [int(expert) for row in layer.part("chosen_experts") for expert in row]
        counts |= {(layer.index, expert): slots.count(expert) / len(slots) for expert in set(slots)}
    most = max(counts.values())
    told = expert_load(runs["jamba"], theme=LIGHT, t=i18n.translator("en")).finding
    named = re.search(r"number (\d+) of layer (\d+): it gets (\d+)%", told)
    assert named is not None
    assert counts[int(named[2]), int(named[1])] == most
    assert int(named[3]) == round(100 * most)
