"""The gallery: every figure is built from samples, and whatever is missing is named and fails it."""

import dataclasses
import importlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import pytest
from figure_words import strict
from jsonschema import ValidationError

from models.records import trace as records
from models.records.trace import PARTS
from viz.figure import Registered
from viz.gallery import __main__ as gallery_command
from viz.gallery import build as building
from viz.gallery.__main__ import FIGURES, main
from viz.gallery.build import EVIDENCE, build
from viz.gallery.evidence import complete, lens
from viz.gallery.figures import every
from viz.look.theme import DARK, LIGHT
from viz.look.vega import VegaSpec

CHROMIUM = Path("/usr/bin/chromium")


def built(entries: Mapping[str, Registered] | None = None, *, lang: str = "en", **options) -> building.Built:
    options = {"files": FIGURES, "theme": LIGHT, "t": strict(lang)} | options
    return build(every() if entries is None else entries, options.pop("traces", complete()), **options)


def undrawn() -> dict[str, Registered]:
    """Return the table of figures with one picture for all: what is missing follows from what each says it needs."""
    entries = every()
    strip = built({"token_strip": entries["token_strip"]}).figures[0]
    return {
        key: dataclasses.replace(one, draw=lambda *_, key=key, **__: dataclasses.replace(strip, id=key))
        for key, one in entries.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize(("lang", "theme"), [("en", LIGHT), ("ko", DARK)], ids=["en", "ko"])
def test_every_registered_figure_is_built_and_nothing_is_missing(lang: str, theme) -> None:
    found = built(lang=lang, theme=theme)
    assert found.faults == []
    assert [figure.id for figure in found.figures] == sorted(every())


def checked(spec: Mapping[str, Any]) -> None:
    """Hold a chart against the schema, layer by layer: as a whole it is tried as every kind of chart there is."""
    for layer in spec["layer"]:
        checked(layer) if "layer" in layer else alt.UnitSpec.from_dict(layer, validate=True)
    around = {key: value for key, value in spec.items() if key != "layer"}
    alt.TopLevelLayerSpec.from_dict(around | {"layer": []}, validate=True) if "config" in spec else None


@pytest.mark.slow
def test_every_chart_is_valid_vega_lite() -> None:
    charts = [figure.body.spec for figure in built().figures if isinstance(figure.body, VegaSpec)]
    assert len(charts) > 10
    for chart in charts:
        checked(chart)


def test_a_chart_that_is_no_vega_lite_is_refused() -> None:
    spec = built({"growth": every()["growth"]}).figures[0].body.spec
    checked(spec)
    spec["layer"][0]["mark"]["strokeDash"] = "4 4"
    with pytest.raises(ValidationError):
        checked(spec)


def test_a_quantity_without_figure_and_sample_fails_the_gallery(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = undrawn()
    monkeypatch.setattr(gallery_command, "every", lambda: entries)
    monkeypatch.setattr(records, "PARTS", dict(PARTS) | {"thoughts": ("token",)})
    assert main(["--out", str(tmp_path / "all.html")]) == 1
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "quantity 'thoughts' of the record is drawn by no figure and is no evidence for a check",
        "quantity 'thoughts' of the record has no sample: add one to viz/gallery",
    ]


def test_a_quantity_that_loses_its_figure_is_named() -> None:
    rest = {key: entry for key, entry in undrawn().items() if key != "logit_lens"}
    faults = built(rest).faults
    assert {re.search(r"'(\w+)'", fault)[1] for fault in faults} == {part for part in PARTS if part.startswith("lens_")}


def test_a_figure_without_a_file_of_assets_is_named(tmp_path: Path) -> None:
    only = {"token_strip": every()["token_strip"]}
    faults = [fault for fault in built(only, files=tmp_path, parts={}).faults if fault.startswith("figure")]
    assert faults == [f"figure 'token_strip' has no file of assets: write {tmp_path.name}/token_strip.yaml"]


def test_a_figure_that_needs_what_no_sample_shows_is_named() -> None:
    entry = every()["expert_load"]
    plain = {name: trace for name, trace in complete().items() if name != "jamba"}
    faults = [fault for fault in built({entry.id: entry}, traces=plain).faults if fault.startswith("figure")]
    assert len(faults) == 1
    assert "'expert_load' cannot be drawn" in faults[0] and "no sample trace shows all of chosen_experts" in faults[0]


def test_a_figure_of_something_else_without_a_sample_is_named() -> None:
    entry = dataclasses.replace(every()["growth"], id="planted")
    faults = [fault for fault in built({"planted": entry}).faults if "cannot be drawn" in fault]
    assert len(faults) == 1 and "no sample of what it draws (other)" in faults[0]


def test_a_figure_that_breaks_is_named_and_the_others_are_built() -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("no colours left")

    entries = {key: every()[key] for key in ("token_strip", "growth")}
    entries["growth"] = dataclasses.replace(entries["growth"], draw=broken)
    found = built(entries)
    assert "figure 'growth' cannot be drawn: ValueError: no colours left" in found.faults
    assert [figure.id for figure in found.figures] == ["token_strip"]


def test_evidence_that_no_record_holds_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "EVIDENCE", {**EVIDENCE, "gone": "models.scores"})
    assert built(undrawn()).faults == ["quantity 'gone' is listed as evidence, and no record holds it"]


@pytest.mark.parametrize("part", EVIDENCE)
def test_the_module_of_a_piece_of_evidence_names_it(part: str) -> None:
    source = Path(importlib.import_module(EVIDENCE[part]).__file__).read_text(encoding="utf-8")
    assert f'"{part}"' in source


def test_sample_lenses_follow_their_formulas() -> None:
    """Two positions of three tokens, by hand: p = (1/2, 1/4, 1/4) and (1/4, 1/4, 1/2)."""
    logits = np.log(np.array([[2.0, 1, 1], [1, 1, 2]]))
    found = lens(logits, logits[::-1], ids=(0, 1))
    np.testing.assert_allclose(found["lens_entropy"], [1.5, 1.5])
    np.testing.assert_array_equal(found["lens_tokens"][:, 0], [0, 2])
    np.testing.assert_array_equal(found["lens_rank_final"], [2, 2])
    np.testing.assert_array_equal(found["lens_rank_next"], [2, np.nan])
    for trace in complete().values():
        own = trace.logits.values.argmax(-1)
        np.testing.assert_array_equal(trace.layers[-1].part("lens_tokens")[:, 0], own)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("gallery") / "all.html"
    assert main(["--out", str(out), "--lang", "ko", "--dark"]) == 0
    return out


def test_the_page_holds_every_figure_and_needs_no_network(written: Path) -> None:
    text = written.read_text(encoding="utf-8")
    assert re.findall(r'<section id="(\w+)">', text) == sorted(every())
    assert not re.search(r"""(?:src|href)=["']""", text)
    assert 'lang="ko"' in text and DARK.ground in text


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.exists(), reason="no /usr/bin/chromium")
def test_the_page_draws_its_pictures_in_a_browser(written: Path, chromium) -> None:
    page = chromium.new_page(viewport={"width": 1000, "height": 900})
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "request", lambda request: None if request.url.startswith(("file:", "blob:")) else errors.append(request.url)
    )
    page.goto(written.as_uri())
    hosts = page.locator(".host").count()
    drawn = "canvas.base, canvas.board, :is(.lanes, .lines, .stacks) canvas"
    page.wait_for_function(
        f"() => [...document.querySelectorAll('.host')].every((host) => host.querySelector('{drawn}'))"
    )
    assert hosts > 15 and errors == []
    page.close()
