"""Opening a row of a finder: it chooses layer and item, and leads to the figure, also where a section hides it."""

import pytest
from stage import Stage

from pages.shared import finder, parts, pointing
from pages.shared.finder import FinderRow
from pages.shared.state import session


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    made = Stage().on(monkeypatch, finder, pointing)
    made.session_state["contextscope.page"] = "mamba"
    return made


def test_a_hidden_figure_takes_the_whole_page(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that runs alone cannot write the section that has just been opened."""
    redrawn: list[tuple[str, ...]] = []
    monkeypatch.setattr(parts, "redraw", lambda *names: redrawn.append(names))
    pick = finder.opens("mamba", "channel_matrix", item="channel")
    pick(FinderRow(5, 137))
    assert session.current().selection("layer", default=0, allowed=range(12)) == 5
    assert session.current().selection("channel", default=0, allowed=range(448)) == 137
    assert stage.session_state["mamba.hood.channel_matrix"] is True
    assert len(stage.found("rerun")) == 1
    stage.clear()
    redrawn.clear()
    pick(FinderRow(6, 20))
    assert stage.found("rerun") == [] and redrawn == [("layer", "channel", "place")], "it is open by now"
