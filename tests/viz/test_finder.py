"""Finders: what reaches the browser, what it draws, sorts and reports, and a check that turns red for other numbers."""

import base64
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models import registry, scores
from models.records.trace import ModelTrace, NamedArray
from viz import proof
from viz.canvas import decode
from viz.charts.finders import finder_figure
from viz.figure import Figure
from viz.finder import Metric, script
from viz.finder.spec import Finder
from viz.gallery.evidence import complete
from viz.look.theme import DARK, LIGHT
from viz.proof.finder import finder_error, spread, table_of
from viz.trace.heads import head_finder, punctuation

LAYERS, HEADS = [0, 0, 1, 1, 3], [0, 1, 0, 1, 0]
HERE = np.array([0.2, 0.9, 0.5, np.nan, 0.1])
THERE = np.array([0.3, 0.1, 0.8, 0.2, 0.4])


def made(english, **changes: Any) -> Figure:
    one = Metric("previous_token", HERE, THERE, np.full(5, 0.25), np.full(5, 0.35), high=1.0)
    two = Metric("entropy", THERE, HERE, smallest_first=True, digits=None)
    options = {"theme": LIGHT, "t": english, "color": "#0B62B0", "item": "head"} | changes
    return finder_figure("head_finder", LAYERS, HEADS, [one, two], **options)


def body(figure: Figure) -> Finder:
    assert isinstance(figure.body, Finder)
    return figure.body


def test_every_number_is_sent_under_its_metric(english) -> None:
    figure = made(english, marked=(1, 0))
    header, planes = decode(figure.body.payload())
    assert (header["layers"], header["items"], header["marked"]) == (LAYERS, HEADS, [1, 0])
    columns = header["metrics"][0]["columns"]
    np.testing.assert_array_equal(planes[columns["here"]], HERE.astype(np.float32))
    np.testing.assert_array_equal(planes[columns["chance_there"]], np.full(5, 0.35, np.float32))
    assert [one["name"] for one in header["metrics"]] == ["previous token", "entropy"]
    assert set(header["metrics"][1]["columns"]) == {"here", "there"}
    assert header["metrics"][1]["high"] == pytest.approx(0.9), "without an end of its own, the largest value"
    assert figure.data["previous_token_here"].values.tolist()[1] == 0.9


def test_the_finding_names_the_first_row_of_the_shown_metric(english) -> None:
    assert made(english).finding == "First by “previous token”: layer 0 · head 1 with 0.90; chance gives 0.25."
    tie = Metric("sink", np.array([0.501, 0.502]), high=1.0)
    same = finder_figure("head_finder", [0, 0], [0, 1], [tie], theme=LIGHT, t=english, color="#000000", item="head")
    assert same.finding == ""
    least = dataclasses.replace(tie, here=np.array([0.5, 0.1]), smallest_first=True)
    first = finder_figure("head_finder", [0, 0], [0, 1], [least], theme=LIGHT, t=english, color="#000000", item="head")
    assert first.finding == "First by “attention sink”: layer 0 · head 1 with 0.10."


def test_a_metric_without_a_number_for_every_row_is_refused(english) -> None:
    short = Metric("sink", np.zeros(4))
    with pytest.raises(ValueError, match="has 5 rows"):
        finder_figure("head_finder", LAYERS, HEADS, [short], theme=LIGHT, t=english, color="#000000", item="head")


def test_a_shifted_rescaled_or_unnamed_column_is_an_error(english) -> None:
    figure, rows = made(english), list(zip(LAYERS, HEADS, strict=True))
    known = {
        "previous_token": {"here": HERE, "there": THERE, "chance_here": np.full(5, 0.25),
                           "chance_there": np.full(5, 0.35)},
        "entropy": {"here": THERE, "there": HERE},
    }  # fmt: skip
    assert finder_error(figure, rows, known) < 1e-6
    some = {key: {name: values[[0, 3, 4]] for name, values in one.items()} for key, one in known.items()}
    assert finder_error(figure, rows, some, checked=[0, 3, 4]) < 1e-6
    assert finder_error(figure, rows[::-1], known) == 1.0
    for key, name in (("previous_token", "here"), ("entropy", "there"), ("previous_token", "chance_here")):
        for wrong in (np.roll(known[key][name], 1) * 1.1, known[key][name] * 1.01):
            assert finder_error(figure, rows, known | {key: known[key] | {name: wrong}}) > 1e-3
    assert finder_error(figure, rows, {"previous_token": known["previous_token"]}) == 1.0
    told = {**figure.data, "entropy_here": NamedArray(THERE * 1.01, ("row",))}
    assert finder_error(dataclasses.replace(figure, data=told), rows, known) > 1e-3
    assert spread(5, 3) == [0, 2, 4] and spread(2, 9) == [0, 1] and spread(0, 4) == []


# ---- heads

IDEAL = np.array([7, 8, 9, 7, 8, 9])


def pattern(*targets: int) -> np.ndarray:
    """Put all weight of query t on target t."""
    weights = np.zeros((1, len(targets), len(targets)))
    weights[0, range(len(targets)), targets] = 1.0
    return weights


def scored(weights: np.ndarray, ids: np.ndarray = IDEAL, marked: np.ndarray | None = None) -> dict[str, float]:
    marks = np.zeros(len(ids), bool) if marked is None else marked
    return dict(zip(scores.HEAD_METRICS, scores.head_metrics(weights, ids, marks)[0].tolist(), strict=True))


def test_ideal_patterns_score_one() -> None:
    assert scored(pattern(0, 0, 1, 2, 3, 4))["previous_token"] == 1.0
    assert scored(pattern(0, 0, 0, 0, 0, 0))["sink"] == 1.0
    assert scored(pattern(0, 1, 2, 0, 1, 2))["duplicate"] == 1.0
    assert scored(pattern(0, 1, 2, 1, 2, 3))["induction"] == 1.0
    assert scored(pattern(0, 1, 2, 1, 2, 3))["duplicate"] == 0.0
    assert scored(pattern(0, 0, 0, 0, 0, 0))["distance"] == pytest.approx(3.0)
    marked = np.array([False, True, False, False, False, False])
    assert scored(pattern(0, 1, 1, 1, 1, 1), marked=marked)["punctuation"] == 1.0
    even = scores.uniform(6)[None]
    assert scored(even)["entropy"] == pytest.approx(1.0) and scored(pattern(0, 0, 0, 0, 0, 0))["entropy"] == 0.0


def test_what_a_text_cannot_score_is_no_number() -> None:
    alone = scores.head_metrics(np.ones((2, 1, 1)), np.array([4]), np.array([True]))
    assert alone.shape == (2, 7) and np.isnan(alone).all()
    two = scored(scores.uniform(2)[None], np.array([4, 5]))
    assert np.isnan([two["induction"], two["duplicate"], two["punctuation"]]).all()
    assert two["previous_token"] == two["sink"] == 0.5 and two["distance"] == 0.5


def test_metrics_agree_with_the_scores_of_the_tiles() -> None:
    """Where both define a score, the table and the older function of one head give the same number."""
    weights = np.random.default_rng(0).random((3, 6, 6)) * np.tri(6)
    weights /= weights.sum(-1, keepdims=True)
    table = scores.head_metrics(weights, IDEAL, np.zeros(6, bool))
    for head in range(3):
        one = dict(zip(scores.PATTERNS, scores.head_patterns(weights[head], IDEAL), strict=True))
        for name, value in one.items():
            assert table[head, scores.HEAD_METRICS.index(name)] == pytest.approx(value), name


@pytest.fixture(scope="module")
def three() -> list[ModelTrace]:
    """Return a text, another one, and random tokens written twice, as a bundled model reads them."""
    if "transformer" not in registry.bundled():
        pytest.skip("no bundled Transformer")
    model = registry.load("transformer")
    texts = [
        registry.trace(model, text) for text in ("The wolf met a wolf. The king", "Once upon a time, a king, a fox")
    ]
    return [*texts, registry.trace_encoded(model, registry.repeated(model))]


def test_random_tokens_are_written_twice_and_always_the_same(three: list[ModelTrace]) -> None:
    ids = [token.id for token in three[2].tokens]
    half = len(ids) // 2
    assert len(ids) == 2 * half + 1 and ids[1 : half + 1] == ids[half + 1 :] and len(set(ids[1:])) == half
    again = registry.repeated(registry.without_weights("transformer"))
    assert again.ids == ids


def test_punctuation_is_what_its_label_says() -> None:
    trace = complete()["transformer"]
    assert [token.label for token, is_sign in zip(trace.tokens, punctuation(trace), strict=True) if is_sign] == [
        ".",
        ".",
    ]


def test_the_finder_exists_in_both_languages_and_modes(t) -> None:
    trace = complete()["transformer"]
    figure = head_finder([trace, trace, trace], theme=DARK, t=t, marked=(2, 1))
    rows, columns = table_of(figure)
    assert rows == [(layer, head) for layer in range(3) for head in range(2)]
    assert set(columns) == set(scores.HEAD_METRICS)
    assert "viz." not in str(decode(figure.body.payload())[0])


PAGE = """<div id="host"><div class="root"></div></div>
<script type="module">
window.picked = [];
const source = new TextDecoder().decode(Uint8Array.from(atob("SCRIPT"), (c) => c.charCodeAt(0)));
const finder = await import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const parentElement = document.getElementById("host");
const setTriggerValue = (name, value) => window.picked.push([name, value]);
finder.default({ data: bytes("DATA"), parentElement, setTriggerValue });
window.ready = true;
</script>"""
CELLS = """() => [...document.querySelectorAll("tbody tr")].map((row) => [
  ...[...row.children].map((cell) => cell.textContent),
  ...[...row.querySelectorAll(".fill")].map((one) => one.style.width),
  ...[...row.querySelectorAll(".tick")].map((one) => one.style.left)])"""


@pytest.mark.browser
@pytest.mark.skipif(not Path("/usr/bin/chromium").exists(), reason="no Chromium")
def test_the_table_sorts_filters_and_reports_its_rows(english, blank) -> None:
    figure = made(english, marked=(1, 0))
    coded = [base64.b64encode(part).decode() for part in (script().encode(), figure.body.payload())]
    page = blank()
    page.set_content(PAGE.replace("SCRIPT", coded[0]).replace("DATA", coded[1]))
    page.wait_for_function("window.ready === true")

    def names() -> list[str]:
        return [row[0] for row in page.evaluate(CELLS)]

    first = page.evaluate(CELLS)[0]
    assert first == ["layer 0 · head 1", "0.90", "0.25", "0.10", "0.35", "90%", "10%", "25%", "35%"]
    order = ["layer 0 · head 1", "layer 1 · head 0", "layer 0 · head 0", "layer 3 · head 0", "layer 1 · head 1"]
    assert names() == order, "largest first, what has no value last"
    assert page.locator("tr.marked").inner_text().startswith("layer 1 · head 0")
    page.get_by_role("button", name="your text").click()
    assert names() == [*order[:4][::-1], order[4]]
    page.get_by_role("button", name="sample").click()
    assert names()[0] == "layer 1 · head 0"
    page.get_by_role("button", name="head", exact=True).click()
    assert names() == sorted(order)
    page.get_by_label("only beyond chance").check()
    assert names() == ["layer 1 · head 0"]
    page.get_by_label("only beyond chance").uncheck()
    page.locator("select").select_option("3")
    assert names() == ["layer 3 · head 0"]
    page.get_by_role("button", name="entropy").click()
    assert names() == ["layer 3 · head 0"], "the filter stays with another metric"
    page.locator("select").select_option("")
    assert names()[0] == "layer 0 · head 1", "the smallest first"
    page.get_by_role("button", name="Show layer 1 · head 1 on this page").click()
    assert page.evaluate("window.picked") == [["picked", {"layer": 1, "item": 1}]]
    assert page.locator("tr.marked").inner_text().startswith("layer 1 · head 1")
    before = names()
    page.evaluate("document.querySelector('.root').still(true)")
    assert names() == before and page.locator(".list button").count() == 0, "a picture has names, nothing to press"
    assert page.locator(".root.still").count() == 1 and page.locator(".meaning").inner_text().startswith("entropy")
    page.evaluate("document.querySelector('.root').still(false)")
    assert page.locator("tbody button").count() == 5
    page.close()


def test_no_text_reaches_the_page_as_markup() -> None:
    assert (
        "innerHTML" not in script() and "insertAdjacentHTML" not in script() and script().count("export default") == 1
    )


def test_a_badge_turns_red_for_other_scores(three: list[ModelTrace], english) -> None:
    figure = head_finder(three, theme=LIGHT, t=english)
    found = proof.check(figure, three)
    assert found is not None and found.passed and found.kind == "recomputed"
    assert not proof.check(figure, [three[1], three[0], three[2]]).passed  # type: ignore[union-attr]
    assert not proof.check(figure, [three[0], three[2], three[1]]).passed  # type: ignore[union-attr]
    metrics = body(figure).metrics
    for at in range(len(metrics)):
        for name in metrics[at].columns():
            values = metrics[at].columns()[name]
            spoiled = dataclasses.replace(metrics[at], **{name: np.roll(values, 1) + 0.01})
            other = dataclasses.replace(body(figure), metrics=(*metrics[:at], spoiled, *metrics[at + 1 :]))
            assert not proof.check(dataclasses.replace(figure, body=other), three).passed, (metrics[at].key, name)  # type: ignore[union-attr]
