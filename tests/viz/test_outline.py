"""The outline in a figure's place: its shape is that of its kind, has a style, and its height is remembered."""

import re

import pytest
from figure_words import strict

from models.machine.paths import ASSETS
from pages.shared import outline, site, viewport
from viz.diagram.spec import Diagram
from viz.finder.spec import Finder
from viz.gallery.__main__ import FIGURES
from viz.gallery.build import build
from viz.gallery.evidence import complete
from viz.gallery.figures import every
from viz.look.theme import LIGHT
from viz.look.vega import VegaSpec
from viz.ranking import Ranking

STYLE = (ASSETS / "style/outline.css").read_text(encoding="utf-8")
KNOWN = {
    "head_matrix": "triangle",
    "state_slice": "film",
    "head_mosaic": "tiles",
    "token_strip": "strip",
    "layer_ribbon": "map",
    "decay_curves": "curve",
}


@pytest.fixture(scope="module")
def bodies() -> dict:
    """Return what every registered figure draws."""
    built = build(every(), complete(), files=FIGURES, theme=LIGHT, t=strict("en"))
    return {
        figure.id: figure.body for figure in built.figures if not isinstance(figure.body, Ranking | Diagram | Finder)
    }


@pytest.mark.slow
def test_every_figure_has_the_shape_of_its_kind(bodies):
    shapes = {name: outline.shape(body) for name, body in bodies.items()}
    assert {name: shapes[name] for name in KNOWN} == KNOWN
    assert set(shapes.values()) == set(outline.SHAPES)


def test_every_shape_has_a_style_and_no_style_is_left_over():
    styled = re.findall(r'key-shape-(\w+)-"\], \[class\*="st-key-slot-\1-"\], \[class\*="st-key-outline-\1-"\]', STYLE)
    assert sorted(styled) == sorted(outline.SHAPES)
    assert "animation: none" in STYLE
    assert not re.search(r"\btransition\b|@keyframes", STYLE)


@pytest.fixture
def window(monkeypatch):
    """Return a function that sets the width of the visitor's window, with nothing remembered at first."""
    monkeypatch.setattr(outline, "_drawn", {})
    return lambda pixels: monkeypatch.setattr(viewport, "window", lambda: pixels)


def test_an_outline_is_as_high_as_the_figure_was_in_a_window_as_wide(window):
    chart = VegaSpec({"height": 400, "layer": [{"mark": "rule"}, {"mark": {"type": "line"}}]}, {})
    window(1280)
    assert outline.remembered("rwkv.decay") == outline.USUAL
    outline.remember("rwkv.decay", chart)
    assert outline.remembered("rwkv.decay") == ("curve", 400 + outline.AROUND)
    window(390)
    assert outline.remembered("rwkv.decay") == outline.USUAL, "another width has other heights"


@pytest.mark.parametrize(
    ("marks", "shape"),
    [(["bar", "text"], "bars"), (["text", "area"], "curve"), (["line", "rect"], "map"), ([], "bars")],
)
def test_a_chart_has_the_shape_of_its_marks(marks, shape):
    assert outline.shape(VegaSpec({"height": 1, "vconcat": [{"layer": [{"mark": one} for one in marks]}]}, {})) == shape


def test_pages_that_wait_have_a_first_figure():
    assert all(page.first for page in site.PAGES if page.section == "learn")
