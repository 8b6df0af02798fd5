"""The step sizes of an opened question: where they are offered, of whom, and with which tokens marked."""

from types import SimpleNamespace
from typing import Self

import numpy as np
import pytest
from stage import Stage

from models.recall import examples
from models.recall.tasks import FILL, KEY, OTHER, VALUE
from pages.compare.recall import results, steps
from pages.shared.words import i18n
from viz.look.theme import LIGHT
from viz.trace.step_sizes import auc


@pytest.mark.parametrize(
    ("roles", "marked"),
    [
        ((FILL, VALUE, FILL, VALUE, FILL, KEY, KEY), (1, 3)),
        ((KEY, VALUE, KEY, VALUE, FILL, FILL, KEY), ()),
        ((FILL, VALUE, FILL, KEY), ()),
        ((OTHER, OTHER, KEY, OTHER), ()),
        ((FILL, FILL), ()),
    ],
)
def test_values_are_marked_where_fillers_stand_between_them(roles, marked) -> None:
    assert steps.values_among_fillers(SimpleNamespace(roles=roles)) == marked


@pytest.mark.parametrize("opened", [True, False])
def test_the_models_that_take_steps_are_shown_with_the_values_marked(monkeypatch, opened: bool) -> None:
    record = results.record("selective_copying")
    found = examples.opened("selective_copying", {"span": 16, "count": 4}, seed=1)
    stage, drawn = Stage().on(monkeypatch, steps), []
    monkeypatch.setattr(steps.unfolding, "section", lambda title, *, key: _Section(stage, title, opened=opened))
    monkeypatch.setattr(steps.controls, "layer_picker", lambda page, layers, **told: layers[-1])
    monkeypatch.setattr(steps, "panel", lambda draw, trace, **told: drawn.append((draw, trace, told)))
    steps.section(found)
    assert stage.said("title") == [i18n.say("en", "recall.steps.title")]
    names = [trace.architecture for _, trace, _ in drawn]
    assert names == [name for name in record.bundled if name in ("mamba", "jamba")] * opened
    for draw, trace, told in drawn:
        assert draw is steps.dt_map and told["layer"] == trace.layers_with("dt")[-1].index
        assert told["marked"] == tuple(n for n, token in enumerate(found.tokens) if token.label.isalpha())
        figure = draw(trace, theme=LIGHT, t=lambda key, **_: key, layer=told["layer"], marked=told["marked"])
        labels = [n in told["marked"] for n in range(len(found.tokens))]
        dt = trace.layer(told["layer"]).part("dt")
        np.testing.assert_allclose(figure.data["auc"].values, auc(dt, labels))


def test_a_task_without_blanks_has_no_steps(monkeypatch) -> None:
    stage = Stage().on(monkeypatch, steps)
    steps.section(examples.opened("mqar", {"distance": 16, "pairs": 2}, seed=1))
    assert stage.calls == []


class _Section:
    def __init__(self, stage: Stage, title: str, *, opened: bool) -> None:
        stage.title(title)
        self.open = opened

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None
