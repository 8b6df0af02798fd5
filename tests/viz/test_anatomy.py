"""The diagram of a model: boxes, counts and lengths of a real model, and a badge that turns red for others."""

import base64
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from figure_words import strict

from models import registry
from models.records.anatomy import Anatomy
from models.records.trace import ModelTrace, NamedArray
from viz import proof
from viz.canvas import decode
from viz.diagram import Diagram, script
from viz.figure import Figure
from viz.look.theme import DARK, LIGHT
from viz.trace.anatomy import FFNS, MIXERS, anatomy, ranges

pytestmark = pytest.mark.skipif(not registry.bundled(), reason="no bundled checkpoints")


@pytest.fixture(scope="module", params=[adapter.bundled for adapter in registry.ADAPTERS])
def run(request: pytest.FixtureRequest) -> tuple[ModelTrace, Anatomy]:
    model = registry.load(request.param)
    return registry.trace(model, "Once upon a time a wolf met a wolf"), registry.anatomy_of(model)


def error(figure: Figure, trace: ModelTrace, plan: Anatomy) -> float:
    check = proof.check(figure, trace, plan=plan)
    assert check is not None
    return check.error


def diagram(figure: Figure) -> Diagram:
    assert isinstance(figure.body, Diagram)
    return figure.body


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_every_part_of_a_model_has_one_box(run: tuple[ModelTrace, Anatomy], lang: str) -> None:
    trace, plan = run
    figure = anatomy(trace, theme=LIGHT if lang == "en" else DARK, t=strict(lang), plan=plan)
    assert error(figure, trace, plan) < 1e-6
    header, _ = decode(diagram(figure).payload())
    assert len(header["columns"]) == len(plan.kinds) and "viz." not in str(header)
    for column, kind in zip(diagram(figure).columns, plan.kinds, strict=True):
        boxes = [box for branch in column.branches for step in branch.steps for box in step if box.weights]
        assert len(boxes) == len(kind.components)
        assert len(column.branches) == 1 + (kind.ffn != "none")
    drawn = [box for box in (*diagram(figure).before, *diagram(figure).after) if box.weights]
    assert len(drawn) == len(plan.around)


def test_every_role_has_its_place_and_its_words() -> None:
    from models.tracing.anatomy import INSIDE

    placed = {key for table in (*MIXERS.values(), *FFNS.values()) for step in table for key in step}
    assert {role for _, role in INSIDE} - {"embedding_norm"} <= placed


def test_worth_stands_at_its_branch(run: tuple[ModelTrace, Anatomy]) -> None:
    trace, plan = run
    layer = plan.kinds[0].layers[0]
    figure = anatomy(trace, theme=LIGHT, t=strict("en"), plan=plan, worth=((layer, "mixer", 0.25),))
    assert diagram(figure).columns[0].branches[0].worth == "worth 0.25 bits a token"
    assert [one.worth for column in diagram(figure).columns for one in column.branches].count("") == sum(
        len(column.branches) for column in diagram(figure).columns
    ) - 1  # fmt: skip


SPOILED: dict[str, Callable[[Figure], Figure]] = {
    "another sum": lambda one: dataclasses.replace(one, body=dataclasses.replace(one.body, total="1 parameter")),
    "rescaled lengths": lambda one: with_data(one, "length", lambda x: 1.01 * x),
    "places in another order": lambda one: with_data(one, "length", lambda x: np.roll(x, 1, axis=1)),
    "more parameters": lambda one: with_data(one, "parameters", lambda x: x + 1),
    "other words": lambda one: dataclasses.replace(
        one,
        body=dataclasses.replace(
            one.body, columns=tuple(dataclasses.replace(c, enters=c.leaves) for c in one.body.columns)
        ),
    ),
}


def with_data(figure: Figure, name: str, change: Callable[[Any], Any]) -> Figure:
    named = figure.data[name]
    return dataclasses.replace(figure, data={**figure.data, name: NamedArray(change(named.values.copy()), named.dims)})


@pytest.mark.parametrize("name", SPOILED)
def test_a_spoiled_diagram_is_red(run: tuple[ModelTrace, Anatomy], name: str) -> None:
    trace, plan = run
    figure = anatomy(trace, theme=LIGHT, t=strict("en"), plan=plan)
    assert not error(SPOILED[name](figure), trace, plan) <= 1e-3


def test_a_deep_model_has_one_column_for_each_kind(run: tuple[ModelTrace, Anatomy]) -> None:
    trace, plan = run
    assert ranges(range(32)) == "0–31"
    layers = tuple(dataclasses.replace(trace.layers[i % len(trace.layers)], index=i) for i in range(32))
    deep = dataclasses.replace(trace, layers=layers)
    kind = dataclasses.replace(plan.kinds[0], layers=tuple(range(0, 32, len(trace.layers))))
    around = sum(one.count for one in plan.around)
    many = dataclasses.replace(plan, kinds=(kind,), total=around + kind.count * len(kind.layers))
    figure = anatomy(deep, theme=LIGHT, t=strict("en"), plan=many)
    assert error(figure, deep, many) < 1e-6 and len(diagram(figure).payload()) < 20_000


PAGE = """<div id="host"><div class="root"></div></div>
<script type="module">
const source = new TextDecoder().decode(Uint8Array.from(atob("SCRIPT"), (c) => c.charCodeAt(0)));
const drawn = await import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
const data = Uint8Array.from(atob("DATA"), (c) => c.charCodeAt(0));
drawn.default({ data, parentElement: document.getElementById("host") });
window.ready = true;
</script>"""


@pytest.mark.browser
@pytest.mark.skipif(not Path("/usr/bin/chromium").exists(), reason="no Chromium")
def test_the_browser_writes_every_box(run: tuple[ModelTrace, Anatomy], blank: Callable[[], Any]) -> None:
    trace, plan = run
    figure = anatomy(trace, theme=LIGHT, t=strict("en"), plan=plan)
    coded = [base64.b64encode(part).decode() for part in (script().encode(), diagram(figure).payload())]
    page = blank()
    page.set_content(PAGE.replace("SCRIPT", coded[0]).replace("DATA", coded[1]))
    page.wait_for_function("window.ready === true")
    boxes = [box for c in diagram(figure).columns for branch in c.branches for step in branch.steps for box in step]
    assert page.locator(".columns .box strong").all_inner_texts() == [box.name for box in boxes]
    assert page.locator(".columns .detail").all_inner_texts() == [box.detail for box in boxes if box.detail]
    assert page.locator(".total").inner_text() == diagram(figure).total
    assert "innerHTML" not in script()
    page.close()
