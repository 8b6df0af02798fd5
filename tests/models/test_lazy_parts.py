"""Parts that are derived on demand: known at once, worked out once, checked when they arrive."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from models import registry
from models.reconstruction import reconstruction_errors
from models.records.trace import LayerTrace, LazyGroup, NamedArray, with_lazy
from models.tracing.adapter import Checkpoint

SKIP = NamedArray(np.ones(3, np.float32), ("channel",))
MATRIX = NamedArray(np.eye(4, dtype=np.float32), ("query", "key"))


def layer(compute: Callable[[], object]) -> LayerTrace:
    derivation = LazyGroup(["hidden_attention"], compute)  # type: ignore[arg-type]
    return LayerTrace(0, "mamba", "none", with_lazy({"skip": SKIP}, derivation))


def test_names_are_known_without_computing_and_values_are_computed_once() -> None:
    calls = []

    def compute():
        calls.append(1)
        return {"hidden_attention": MATRIX}

    shown = layer(compute)
    assert set(shown.parts) == {"skip", "hidden_attention"} and len(shown.parts) == 2
    assert not calls
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: shown.part("hidden_attention"), range(8)))
    assert all(values is MATRIX.values for values in found)
    assert calls == [1]


@pytest.mark.parametrize(
    ("parts", "complaint"),
    (({}, "not what was announced"), ({"hidden_attention": SKIP}, "has dims")),
)
def test_what_arrives_is_checked(parts: dict[str, NamedArray], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        layer(lambda: parts).part("hidden_attention")


def test_a_name_that_no_part_has_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="'nonsense'"):
        LayerTrace(0, "mamba", "none", with_lazy({}, LazyGroup(["nonsense"], dict)))


def test_the_runs_of_a_model_are_recorded_before_anything_is_derived(
    checkpoint_of: Callable[[str], Checkpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = checkpoint_of("jamba")
    with monkeypatch.context() as patch:
        patch.setattr(LazyGroup, "result", lambda self: pytest.fail(f"derived {sorted(self.parts)}"))
        trace = registry.trace(checkpoint, "The wolf said to the King")
        assert {"attention", "state", "hidden_attention", "router_probs"} <= {part for x in trace for part in x.parts}
    trace.derive()
    assert max(error for shown in trace for error in reconstruction_errors(shown).values()) < 1e-5
