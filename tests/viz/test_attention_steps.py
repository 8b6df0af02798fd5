"""One attention head step by step: planes are the record's, the check sees what is wrong, and Chromium draws them."""

import dataclasses
import math

import numpy as np
import pytest
from attention_records import trace_of
from figure_words import strict
from mechanism_page import mounted, parsed, sums, told

from models.records.trace import ModelTrace, NamedArray
from viz import proof
from viz.look.theme import DARK, LIGHT
from viz.mechanism import Plane, read
from viz.trace.attention_steps import SIZES, STEPS, WINDOW, attention_steps

PLACE = {"layer": 1, "head": 2}


@pytest.fixture(scope="module")
def like(traces) -> ModelTrace:
    return traces["transformer"]


def steps_of(trace: ModelTrace, **options):
    return attention_steps(trace, **({"theme": LIGHT, "t": strict("en")} | PLACE | options))


def test_every_plane_is_the_record_of_the_head(like) -> None:
    """Head 2 of 4 reads the second of two groups of keys and values."""
    trace = trace_of(like, 7)
    layer, drawn = trace.layer(1), read(steps_of(trace).body.payload())
    known = {
        "query": layer.part("head_query")[2] * np.sqrt(5), "key": layer.part("head_key")[1],
        "value": layer.part("head_value")[1], "scores": layer.part("attention_logits")[2],
        "visible": layer.part("visible"), "weights": layer.part("attention")[2], "output": layer.part("head_output")[2],
    }  # fmt: skip
    assert drawn.planes.keys() == known.keys() == steps_of(trace).data.keys()
    for name, values in known.items():
        np.testing.assert_allclose(drawn.planes[name], values, rtol=1e-6, err_msg=name)
    assert drawn.header["settings"] == {"scale": pytest.approx(5**-0.5), "window": WINDOW, "root": True}


@pytest.mark.parametrize("length", [1, 2, 3, 9])
@pytest.mark.parametrize("window", [None, 1, 3])
def test_a_healthy_record_passes(like, length: int, window: int | None) -> None:
    trace = trace_of(like, length, window=window)
    check = proof.check(steps_of(trace), trace, **PLACE)
    assert check is not None and check.passed and check.error < 1e-5 and check.kind == "rebuilds"


def test_heads_without_groups_and_other_scales_pass(like) -> None:
    trace = trace_of(like, 6, groups=4, scale=0.3)
    figure = steps_of(trace)
    check = proof.check(figure, trace, **PLACE)
    assert check is not None and check.passed
    step = read(figure.body.payload()).header["steps"][1]
    assert step["title"] == "× 0.3" and "0.3" in step["says"]


SPOILS = {
    "transposed": np.transpose,
    "shifted": lambda v: np.roll(v, 1, axis=1),
    "token before": lambda v: np.roll(v, 1, axis=0),
    "a third more": lambda v: 1.3 * v,
    "reversed": lambda v: v[::-1],
    "nan": lambda v: v * np.nan,
    "one number": lambda v: np.concatenate([v[:-1], v[-1:] + np.eye(1, v.shape[1], 0) * np.abs(v).max()]),
}


@pytest.mark.parametrize("name", ["query", "key", "scores", "visible", "weights", "value", "output"])
@pytest.mark.parametrize("how", SPOILS)
def test_a_spoiled_plane_is_red(like, name: str, how: str) -> None:
    """Also where picture and export are spoiled alike."""
    trace = trace_of(like, 5)
    figure = steps_of(trace)
    bad = NamedArray(np.array(SPOILS[how](figure.data[name].values)), figure.data[name].dims)
    planes = {**figure.body.planes, name: Plane(bad.values, bad.dims)}
    for data in (figure.data, {**figure.data, name: bad}):
        spoiled = dataclasses.replace(figure, data=data, body=dataclasses.replace(figure.body, planes=planes))
        check = proof.check(spoiled, trace, **PLACE)
        assert check is not None and not check.error <= 1e-2, (name, how)


@pytest.mark.parametrize("other", [{"layer": 0}, {"head": 1}, {"head": 3}, {"head": 0}])
def test_another_head_is_red(like, other) -> None:
    trace = trace_of(like, 6)
    check = proof.check(steps_of(trace, **other), trace, **PLACE)
    assert check is not None and not check.passed


def test_the_finding_names_what_each_token_reads_most(like) -> None:
    trace = trace_of(like, 6)
    figure, weights = steps_of(trace), trace.layer(1).part("attention")[2]
    assert len(figure.each) == 6 and figure.finding == figure.each[-1][1]
    for t, (alt, said) in enumerate(figure.each):
        best = int(np.argmax(weights[t]))
        written = [f"{w:.0%}" for w in weights[t, : t + 1]]
        if written.count(f"{weights[t, best]:.0%}") > 1:
            assert said == "" or said.endswith(alt)
            continue
        assert f"{weights[t, best]:.0%}" in said and f"w{t}" in said
        assert ("itself" in said) if best == t else (f"w{best}" in said)


def test_even_weights_have_no_finding(like) -> None:
    trace = trace_of(like, 4)
    even = np.tril(np.ones((4, 4, 4), np.float32))
    even /= even.sum(-1, keepdims=True)
    parts = {**trace.layer(1).parts, "attention": NamedArray(even, ("head", "query", "key"))}
    flat = dataclasses.replace(trace, layers=(trace.layers[0], dataclasses.replace(trace.layers[1], parts=parts)))
    assert [said for _, said in steps_of(flat).each[1:]] == [""] * 3


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_a_window_is_said(like, lang: str) -> None:
    near, far = (steps_of(trace_of(like, 6, window=window), t=strict(lang)) for window in (2, None))
    says = [read(one.body.payload()).header["steps"][2]["says"] for one in (near, far)]
    assert says[0] != says[1] and ("window" in says[0] or "\uc708\ub3c4" in says[0])


# ---- in Chromium


@pytest.fixture
def mount(blank):
    pages = []

    def opened(figure, *, width: int = 1150):
        page = blank(max(width, 390), motion="reduce")
        pages.append(page)
        return mounted(page, figure.body, width=width)

    yield opened
    for page in pages:
        page.close()


def at_step(page, token: int, step: str) -> None:
    page.evaluate("(token) => store.set({ token })", token)
    page.locator(".step").nth(STEPS.index(step)).click()


def known_of(trace: ModelTrace, query: int, key: int) -> dict[str, float]:
    """Work one cell out in loops over the record."""
    layer = trace.layer(1)
    q, k = layer.part("head_query")[2].astype(float), layer.part("head_key")[1].astype(float)
    score = sum(q[query, n] * k[key, n] for n in range(q.shape[1]))
    row = [sum(q[query, n] * k[j, n] for n in range(q.shape[1])) for j in range(len(q))]
    seen = layer.part("visible")[query] > 0
    top = max(value for value, there in zip(row, seen, strict=True) if there)
    odds = [math.exp(value - top) if there else 0.0 for value, there in zip(row, seen, strict=True)]
    return {
        "raw": score * math.sqrt(q.shape[1]), "score": score, "masked": score if seen[key] else -math.inf,
        "exp": odds[key], "sum": sum(odds), "weight": odds[key] / sum(odds),
    }  # fmt: skip


@pytest.mark.browser
def test_numbers_on_the_drawing_are_those_of_the_record(like, mount) -> None:
    trace = trace_of(like, 7, window=4)
    page = mount(steps_of(trace))
    layer = trace.layer(1)
    for token in range(7):
        at_step(page, token, "dot")
        best = int(np.argmax(layer.part("attention")[2, token]))
        found = {one["name"] or one["plane"]: one for one in told(page)}
        known = known_of(trace, token, best)
        for name, value in (("raw", "raw"), ("scores", "score"), ("masked", "masked"), ("weights", "weight")):
            assert found[name]["at"] == [token, best], name
            assert parsed(found[name]["text"]) == pytest.approx(known[value], rel=6e-3), name
        dim = int(np.argmax(np.abs(layer.part("head_output")[2, token])))
        assert found["output"]["at"] == [token, dim]
        assert parsed(found["output"]["text"]) == pytest.approx(layer.part("head_output")[2, token, dim], rel=6e-3)
        for one in (one for one in told(page) if one["name"] == "read"):
            assert parsed(one["text"]) == pytest.approx(layer.part("attention")[2][tuple(one["at"])], abs=6e-3)
    assert page.errors == []


@pytest.mark.browser
def test_the_arithmetic_of_every_step_is_right(like, mount) -> None:
    """Every number is that of the record or of a loop over it, and every line adds up."""
    trace = trace_of(like, 7)
    page = mount(steps_of(trace))
    layer, token = trace.layer(1), 5
    weights, value = layer.part("attention")[2], layer.part("head_value")[1]
    planes = read(steps_of(trace).body.payload()).planes
    best = int(np.argmax(weights[token]))
    dim = int(np.argmax(np.abs(layer.part("head_output")[2, token])))
    for step in STEPS:
        at_step(page, token, step)
        found = sums(page)
        assert found, step
        for one in found:
            if one["plane"]:
                assert parsed(one["text"]) == pytest.approx(planes[one["plane"]][tuple(one["at"])], rel=6e-2), (
                    step,
                    one,
                )
        named = {one["name"]: parsed(one["text"]) for one in found if one["name"]}
        known = known_of(trace, token, best)
        for name in named.keys() & known.keys() - {"exp"}:
            assert named[name] == pytest.approx(known[name], rel=6e-3), (step, name)
        for one in (one for one in found if one["name"] == "exp"):
            assert parsed(one["text"]) == pytest.approx(known_of(trace, *one["at"])["exp"], rel=6e-3)
        for one in (one for one in found if one["name"] == "moved"):
            t, j, n = one["at"]
            assert parsed(one["text"]) == pytest.approx(weights[t, j] * value[j, n], rel=6e-2)
        if step == "dot":
            q, k = planes["query"][token], planes["key"][best]
            rest = sorted(q * k, key=abs)[: len(q) - 3]
            assert named["rest_dot"] == pytest.approx(sum(rest), rel=6e-3, abs=1e-6)
        if step == "output":
            assert named["added"] == pytest.approx(weights[token] @ value[:, dim], rel=6e-3)
            rest = sorted(weights[token] * value[:, dim], key=abs)[1:4]  # six are read, three are written out
            assert named["rest_output"] == pytest.approx(sum(rest), rel=6e-3, abs=1e-6)
    assert page.errors == []


@pytest.mark.browser
def test_a_cell_that_may_not_be_read_says_so(like, mount) -> None:
    page = mount(steps_of(trace_of(like, 6)))
    at_step(page, 2, "mask")
    page.locator(".stage").focus()
    key = int(np.argmax(trace_of(like, 6).layer(1).part("attention")[2, 2]))
    for _ in range(5 - key):
        page.keyboard.press("Shift+ArrowRight")
    assert parsed(sums(page)[-1]["text"]) == -math.inf
    page.locator(".step").nth(3).click()
    assert next(parsed(one["text"]) for one in sums(page) if one["name"] == "exp") == 0
    assert parsed(sums(page)[-1]["text"]) == 0 and page.errors == []


@pytest.mark.browser
def test_a_chosen_key_stays_for_rows_that_may_read_it(like, mount) -> None:
    """Another row shows its strongest key where it may not read the chosen one."""
    trace = trace_of(like, 6)
    page = mount(steps_of(trace))
    map_ = page.evaluate("document.querySelector('.root').plan()")["maps"][3]
    weights = trace.layer(1).part("attention")[2]
    page.locator(".stage").click(position={"x": map_["x"] + 3.5 * map_["wide"], "y": map_["y"] + 5.5 * map_["tall"]})
    page.mouse.move(2, 880)
    for token, key in ((5, 3), (4, 3), (2, int(np.argmax(weights[2]))), (3, 3)):
        page.evaluate("(token) => store.set({ token })", token)
        assert next(one for one in told(page) if one["plane"] == "weights")["at"] == [token, key]


LINES = """() => {
  window.lines = [];
  const stroke = CanvasRenderingContext2D.prototype.stroke;
  CanvasRenderingContext2D.prototype.stroke = function () {
    if (this.lineCap === "round") window.lines.push(this.lineWidth);
    return stroke.call(this);
  };
}"""


@pytest.mark.browser
def test_lines_over_the_words_are_as_wide_as_the_weights(like, mount) -> None:
    trace = trace_of(like, 8, window=5)
    page = mount(steps_of(trace))
    page.evaluate(LINES)
    weights = trace.layer(1).part("attention")[2]
    for token in range(8):
        page.evaluate("() => { window.lines.length = 0 }")
        page.evaluate("(token) => store.set({ token })", token)
        page.wait_for_function("window.lines.length")
        known = sorted(float(weight) for weight in weights[token] if weight > 0)
        found = page.evaluate("window.lines")[: len(known)]
        np.testing.assert_allclose(np.array(found) / max(found), np.array(known) / max(known), rtol=1e-4)


def color_of(page, x: float, y: float) -> list[int]:
    return page.evaluate(
        """([x, y]) => { const c = document.querySelector('.board');
        return [...c.getContext('2d').getImageData(Math.round(x), Math.round(y), 1, 1).data].slice(0, 3) }""",
        [x, y],
    )


@pytest.mark.browser
@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_every_cell_of_the_maps_has_the_colour_of_its_number(like, mount, theme) -> None:
    """A map that is transposed, shifted or of another head has other colours."""
    trace = trace_of(like, 6)
    figure = steps_of(trace, theme=theme)
    page = mount(figure)
    planes = read(figure.body.payload()).planes
    maps = page.evaluate(
        "document.querySelector('.root').plan().maps.map(({x, y, wide, tall, name}) => ({x, y, wide, tall, name}))"
    )
    ramps = figure.body.ramps
    raw = planes["scores"] * math.sqrt(5)
    high = np.abs(raw).max()
    at_step(page, 5, "output")
    for one, values in zip(maps, (raw, planes["scores"], planes["scores"], planes["weights"]), strict=True):
        for t in range(5):  # the last row is framed
            for j in range(6):
                seen = color_of(page, one["x"] + (j + 0.5) * one["wide"], one["y"] + (t + 0.5) * one["tall"])
                hidden = one["name"] in ("mask", "softmax") and j > t
                share = (
                    math.sqrt(values[t, j])
                    if one["name"] == "softmax"
                    else 0.5 + 0.5 * np.sign(values[t, j]) * math.sqrt(abs(values[t, j]) / high)
                )
                hex_ = (
                    theme.chip
                    if hidden
                    else ramps["weight" if one["name"] == "softmax" else "signed"][round(share * 255)]
                )
                known = [int(hex_[n : n + 2], 16) for n in (1, 3, 5)]
                assert np.abs(np.array(seen) - known).max() <= 3, (one["name"], t, j, seen, known)


@pytest.mark.browser
def test_pointing_and_clicking_choose_words_and_cells(like, mount) -> None:
    trace = trace_of(like, 6)
    page = mount(steps_of(trace))
    stage = page.locator(".stage")
    plan = page.evaluate("document.querySelector('.root').plan()")
    word, map_ = plan["boxes"][2], plan["maps"][3]
    stage.hover(position={"x": word["x"] + 4, "y": word["y"]})
    assert page.evaluate("store.get().hover") == 2 and "w2" in page.locator(".says").inner_text()
    stage.click(position={"x": map_["x"] + 1.5 * map_["wide"], "y": map_["y"] + 4.5 * map_["tall"]})
    assert page.evaluate("store.get().token") == 4
    page.mouse.move(2, 880)
    cell = next(one for one in told(page) if one["plane"] == "weights")
    assert cell["at"] == [4, 1]
    stage.hover(position={"x": map_["x"] + 2.5 * map_["wide"], "y": map_["y"] + 3.5 * map_["tall"]})
    weight = trace.layer(1).part("attention")[2, 3, 2]
    tip = page.locator(".tip.on").inner_text()
    assert "w3" in tip and "w2" in tip and parsed(tip.split()[-1]) == pytest.approx(weight, rel=6e-3)
    assert page.errors == []


@pytest.mark.browser
@pytest.mark.parametrize("length", [1, 2, 40, 256])
@pytest.mark.parametrize("width", [320, 390, 700, 1150, 1600])
def test_short_and_long_texts_fit_every_width(like, mount, length: int, width: int) -> None:
    figure = steps_of(trace_of(like, length, d_head=2))
    page = mount(figure, width=width)
    for step in range(len(STEPS)):
        page.locator(".step").nth(step).click()
        found = page.evaluate("document.querySelector('#host').getBoundingClientRect()")
        assert found["height"] == pytest.approx(figure.body.height(width), abs=1), step
    plan = page.evaluate("document.querySelector('.root').plan()")
    drawing = next(size.drawing for size in reversed(SIZES) if size.width <= width)
    boxes = [*plan["boxes"], *plan["maps"], plan["values"], plan["output"]]
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= width + 1 for box in boxes)
    assert all(box["y"] + box["height"] / (2 if "tokens" in box else 1) <= drawing for box in boxes)
    assert plan["values"]["height"] > 60
    most = 32 if width < 560 else WINDOW
    assert plan["after"] - plan["first"] == min(length, most) and plan["after"] == length
    assert page.errors == []


@pytest.mark.browser
def test_a_window_of_a_long_text_moves_with_the_word_and_says_what_is_outside(like, mount) -> None:
    trace = trace_of(like, 120, d_head=2)
    page = mount(steps_of(trace))
    weights = trace.layer(1).part("attention")[2]
    for token in (0, 10, 80, 119):
        page.evaluate("(token) => store.set({ token })", token)
        plan = page.evaluate("document.querySelector('.root').plan()")
        assert plan["first"] <= token < plan["after"] and plan["after"] - plan["first"] == WINDOW
        outside = next(one for one in told(page) if one["name"] == "outside")
        known = 1 - weights[token, plan["first"] : plan["after"]].sum()
        assert parsed(outside["text"].replace("<", "")) == pytest.approx(known, abs=6e-3)
