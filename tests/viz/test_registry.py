"""The table of figures: every figure registers itself, has a file of assets, and a check where it draws a run."""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from models.records.trace import LayerTrace, ModelTrace
from viz import figure as table
from viz import proof
from viz.figure import Figure, figure, registered, registered_as
from viz.gallery.figures import every, figures_of
from viz.look.theme import LIGHT
from viz.trace.attention import head_matrix

ASSETS = Path(__file__).resolve().parents[2] / "assets"
OF_A_RUN = ("trace", "traces", "channel", "asked")


@pytest.fixture
def own_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register into a copy of the table, which is thrown away."""
    monkeypatch.setattr(table, "_TABLE", dict(table._TABLE))


def nothing(*_: object, **__: object) -> Figure:
    return Figure("planted", None, {}, "nothing")  # type: ignore[arg-type]


def test_every_figure_has_a_file_of_assets_and_every_file_a_figure() -> None:
    assert every().keys() == {path.stem for path in (ASSETS / "figures").glob("*.yaml")}


def test_every_figure_of_a_run_has_a_check() -> None:
    """What draws a trace is checked; costs and results of the benchmark are not of a trace."""
    of_a_run = {entry.id for entry in every().values() if entry.of in OF_A_RUN}
    assert of_a_run == {*proof.CHECKS, *proof.CHECKS_OF_ALL}


def test_a_figure_registers_itself(own_table: None) -> None:
    drawn = figure("planted", of="other", needs=("dt",), also=("state",))(nothing)
    entry = registered()["planted"]
    assert (entry.id, entry.of, entry.needs, entry.also) == ("planted", "other", ("dt",), ("state",))
    assert entry.draw is drawn and registered_as(drawn) is entry
    assert drawn().id == "planted"
    assert drawn.__name__ == "nothing" and drawn.__module__ == __name__


@pytest.mark.parametrize("where", ["needs", "also"])
def test_a_figure_that_needs_what_no_record_has_is_refused(own_table: None, where: str) -> None:
    with pytest.raises(ValueError, match=r"'planted' needs \['thoughts'\]"):
        figure("planted", **{where: ("dt", "thoughts")})(nothing)
    assert "planted" not in registered()


def test_an_id_belongs_to_one_function(own_table: None) -> None:
    with pytest.raises(ValueError, match=r"'head_matrix' is drawn by viz\.trace\.attention\.head_matrix already"):
        figure("head_matrix")(nothing)
    assert registered_as(head_matrix).id == "head_matrix"


def test_a_figure_must_have_the_id_it_is_registered_as(own_table: None) -> None:
    other = figure("another")(nothing)
    with pytest.raises(ValueError, match="is registered as 'another' and returned 'planted'"):
        other()
    with pytest.raises(LookupError, match="no registered figure"):
        registered_as(nothing)


class Watched(dict):
    """The parts of a layer, and which of them were read."""

    def __init__(self, parts: Mapping, read: set[str]) -> None:
        super().__init__(parts)
        self.read = read

    def __getitem__(self, name: str) -> object:
        self.read.add(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self.read.add(str(name))
        return super().__contains__(name)


def read_by(entry: table.Registered, trace: ModelTrace, t) -> set[str]:
    """Draw a figure and return the quantities that it asked its layers for."""
    read: set[str] = set()
    layers = []
    for layer in trace:
        layers.append(LayerTrace(layer.index, layer.mixer, layer.ffn, dict(layer.parts)))
        object.__setattr__(layers[-1], "parts", Watched(layer.parts, read))
    watched = dataclasses.replace(trace, layers=tuple(layers))
    (entry.draw([watched], theme=LIGHT, t=t) if entry.of == "traces" else entry.draw(watched, theme=LIGHT, t=t))
    return read


def allowed(trace: ModelTrace) -> Iterator[table.Registered]:
    ids = {draw.func.__name__ for draw in figures_of(trace)}
    yield from (entry for entry in every().values() if entry.draw.__name__ in ids)


def test_a_figure_names_all_that_it_reads_of_a_layer(trace: ModelTrace, english) -> None:
    """Otherwise it breaks with a record that shows what it says it needs."""
    for entry in allowed(trace):
        read = read_by(entry, trace, english)
        assert read <= {*entry.needs, *entry.also}, entry.id
        assert set(entry.needs) <= read, entry.id
