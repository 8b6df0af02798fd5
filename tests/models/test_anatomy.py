"""The parts of a model: every parameter once, under a role, as the state dict and the accounting count them."""

from collections.abc import Callable

import pytest

from models import registry
from models.counting import accounting
from models.records.anatomy import Anatomy
from models.tracing.adapter import Checkpoint
from models.tracing.anatomy import OTHER

Loader = Callable[[str], Checkpoint]


@pytest.fixture
def plan(name: str, checkpoint_of: Loader) -> Anatomy:
    return registry.anatomy_of(checkpoint_of(name))


def test_the_parts_are_all_parameters_of_the_state_dict(name: str, checkpoint_of: Loader, plan: Anatomy) -> None:
    model = checkpoint_of(name).model
    buffers = {one.data_ptr() for one in model.buffers()}
    held = {one.data_ptr(): one.numel() for one in model.state_dict().values() if one.data_ptr() not in buffers}
    blocks = sum(kind.count * len(kind.layers) for kind in plan.kinds)
    assert blocks + sum(one.count for one in plan.around) == sum(held.values()) == plan.total
    assert plan.total == accounting.params_total(accounting.shape_of(model.config))


def test_every_parameter_has_a_role(plan: Anatomy) -> None:
    keys = [one.key for one in plan.around] + [one.key for kind in plan.kinds for one in kind.components]
    assert OTHER not in keys
    assert plan.of("embedding") is not None and plan.of("final_norm") is not None
    assert (plan.of("head") is None) == plan.tied


def test_kinds_are_the_layers_of_the_trace(name: str, checkpoint_of: Loader, plan: Anatomy) -> None:
    trace = registry.trace(checkpoint_of(name), "One two")
    found = {layer: (kind.mixer, kind.ffn) for kind in plan.kinds for layer in kind.layers}
    assert found == {layer.index: (layer.mixer, layer.ffn) for layer in trace}
    assert len(found) == sum(len(kind.layers) for kind in plan.kinds)


def test_shapes_are_those_of_the_modules(checkpoint_of: Loader) -> None:
    plan = registry.anatomy_of(checkpoint_of("seeded-jamba"))
    attention = next(kind for kind in plan.kinds if kind.mixer == "attention")
    parts = {one.key: one for one in attention.components}
    assert parts["q"].shapes == ((24, 24),) and parts["k"].shapes == ((12, 24),)
    assert plan.heads == 4 and plan.kv_heads == 2 and plan.experts == 4 and plan.top_k == 2
    experts = next(one for kind in plan.kinds for one in kind.components if one.key == "experts")
    assert experts.count == 4 * 3 * 24 * 40
    neox = registry.anatomy_of(checkpoint_of("seeded-gpt_neox"))
    assert neox.kinds[0].parallel and not plan.kinds[0].parallel
    assert registry.anatomy_of(checkpoint_of("seeded-rwkv")).of("embedding_norm") is not None
