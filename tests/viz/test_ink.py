"""RWKV's memory as ink: planes are the record's, the check sees what is wrong, and Chromium draws P and writes WKV."""

import dataclasses
import math

import numpy as np
import pytest
from figure_words import strict
from mechanism_page import mounted, parsed, sums, told
from time_mix_records import WIDTH, trace_of, weights

from models.records.trace import ModelTrace, NamedArray
from viz import proof
from viz.look.theme import DARK, LIGHT
from viz.mechanism import Plane, read
from viz.trace.ink import SIZES, STEPS, wkv_ink

PLACE = {"layer": 1}
CLOSE = 5e-3  # numbers are written in three digits


@pytest.fixture(scope="module")
def like(traces) -> ModelTrace:
    return traces["rwkv"]


def ink_of(trace: ModelTrace, **options):
    return wkv_ink(trace, **({"theme": LIGHT, "t": strict("en")} | PLACE | options))


def test_every_plane_is_the_record_with_the_longest_memory_first(like) -> None:
    trace = trace_of(like, 7)
    layer, drawn = trace.layer(1), read(ink_of(trace).body.payload())
    order = np.argsort(-layer.part("half_life"), kind="stable")
    assert drawn.header["settings"]["channels"] == order.tolist()
    for name, part in {"rate": "decay_rate", "half_life": "half_life", "bonus": "bonus"}.items():
        np.testing.assert_allclose(drawn.planes[name], layer.part(part)[order], rtol=1e-6)
    for name, part in {"key": "key", "value": "value", "receptance": "receptance", "output": "mixer_output"}.items():
        np.testing.assert_allclose(drawn.planes[name], layer.part(part)[:, order], rtol=1e-6)
    zeros = [sum(unit <= 0 for unit in row) / len(row) for row in layer.part("ffn_key")]
    np.testing.assert_allclose(drawn.planes["zeros"], zeros, rtol=1e-6)
    lengths = [math.sqrt(sum(float(v) ** 2 for v in row)) for row in layer.part("mixer_write")]
    np.testing.assert_allclose(drawn.planes["stream"][1], lengths, rtol=1e-6)


@pytest.mark.parametrize("length", [1, 2, 3, 9])
def test_a_healthy_record_passes(like, length: int) -> None:
    trace = trace_of(like, length)
    check = proof.check(ink_of(trace), trace, **PLACE)
    assert check is not None and check.passed and check.error < 1e-5 and check.kind == "rebuilds"


SPOILS = {
    "shifted": lambda v: np.roll(v, 1, axis=-1),
    "token before": lambda v: np.roll(v, 1, axis=0),
    "another channel": lambda v: v[..., ::-1],
    "a third more": lambda v: 1.3 * v,
    "nan": lambda v: v * np.nan,
}


@pytest.mark.parametrize(
    "name", ["rate", "bonus", "half_life", "key", "value", "receptance", "output", "zeros", "stream"]
)
@pytest.mark.parametrize("how", SPOILS)
def test_a_spoiled_plane_is_red(like, name: str, how: str) -> None:
    """Also where picture and export are spoiled alike."""
    trace = trace_of(like, 6)
    figure = ink_of(trace)
    bad = NamedArray(np.array(SPOILS[how](np.array(figure.data[name].values))), figure.data[name].dims)
    planes = {**figure.body.planes, name: Plane(bad.values, bad.dims)}
    for data in (figure.data, {**figure.data, name: bad}):
        spoiled = dataclasses.replace(figure, data=data, body=dataclasses.replace(figure.body, planes=planes))
        check = proof.check(spoiled, trace, **PLACE)
        assert check is not None and not check.error <= 1e-2, (name, how)


def test_transposed_keys_and_another_layer_are_red(like) -> None:
    trace = trace_of(like, WIDTH)  # a square
    figure = ink_of(trace)
    turned = NamedArray(np.array(figure.data["key"].values.T), figure.data["key"].dims)
    planes = {**figure.body.planes, "key": Plane(turned.values, turned.dims)}
    spoiled = dataclasses.replace(
        figure, data={**figure.data, "key": turned}, body=dataclasses.replace(figure.body, planes=planes)
    )
    for wrong in (spoiled, ink_of(trace, layer=0)):
        check = proof.check(wrong, trace, **PLACE)
        assert check is not None and not check.passed


def test_channels_that_are_named_wrongly_are_red(like) -> None:
    trace = trace_of(like, 5)
    figure = ink_of(trace)
    settings = {**figure.body.settings, "channels": figure.body.settings["channels"][::-1]}
    wrong = dataclasses.replace(figure, body=dataclasses.replace(figure.body, settings=settings))
    check = proof.check(wrong, trace, **PLACE)
    assert check is not None and not check.passed


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_the_words_are_there_in_both_languages(like, lang: str) -> None:
    header = read(ink_of(trace_of(like, 4), t=strict(lang)).body.payload()).header
    assert [step["key"] for step in header["steps"]] == list(STEPS)
    assert all(step["says"] and step["title"] for step in header["steps"])


def row_of(trace: ModelTrace, channel: int, t: int) -> dict[str, list[float] | float]:
    """Work one WKV out from the record by plain loops, weights relative to the largest."""
    layer = trace.layer(1)
    rate, bonus = float(layer.part("decay_rate")[channel]), float(layer.part("bonus")[channel])
    key, value = (layer.part(name)[:, channel].astype(float) for name in ("key", "value"))
    share = weights(rate, bonus, key, t)
    relative = [one / max(share) for one in share]
    num = sum(one * value[i] for i, one in enumerate(relative))
    gate = float(layer.part("receptance")[t, channel])
    return {"share": share, "weight": relative, "num": num, "den": sum(relative), "gated": gate * num / sum(relative),
            "kept": [math.exp(-(t - 1 - i) * rate) for i in range(t)] + [math.exp(bonus)]}  # fmt: skip


@pytest.fixture
def page(blank):
    """Open an empty page of Chromium in which nothing moves."""
    opened = blank(1200, motion="reduce")
    yield opened
    opened.close()


@pytest.fixture
def drawn(page, like):
    """Draw a text of nine tokens; returns the page, the trace and the channels in the order of the slider."""
    trace = trace_of(like, 9)
    figure = ink_of(trace)
    mounted(page, figure.body, width=1100)
    yield page, trace, figure.body.settings["channels"]
    assert page.errors == []


@pytest.mark.parametrize("place", [0, 2, WIDTH - 1])
@pytest.mark.parametrize("token", [0, 1, 5, 8])
def test_the_ink_is_the_weight_of_the_channel(drawn, place: int, token: int) -> None:
    """Decay alone is exp(-(n-1) w), with e^u for the token itself; with keys it is P over its largest."""
    page, trace, channels = drawn
    page.evaluate("(token) => window.store.set({ token })", token)
    choose(page, place)
    known = row_of(trace, channels[place], token)
    for step, expected in ((0, [min(1.0, one) for one in known["kept"]]), (1, known["weight"])):
        page.locator(".step").nth(step).click()
        shares = page.evaluate("() => document.querySelector('.root').plan().shares")
        np.testing.assert_allclose(shares[: token + 1], expected, rtol=1e-4, atol=1e-9)
        assert shares[token + 1 :] == [0] * (8 - token)


def choose(page, place: int) -> None:
    """Walk along the slider by keys, from its longest memory."""
    page.locator(".stage").focus()
    for _ in range(WIDTH):
        page.keyboard.press("Shift+ArrowLeft")
    for _ in range(place):
        page.keyboard.press("Shift+ArrowRight")


@pytest.mark.parametrize("place", [0, 3])
def test_the_arithmetic_is_that_of_wkv(drawn, place: int) -> None:
    """Every weight, share, sum, quotient and product that is written equals a plain loop over the record."""
    page, trace, channels = drawn
    page.evaluate("(token) => window.store.set({ token })", 6)
    choose(page, place)
    channel, layer = channels[place], trace.layer(1)
    known = row_of(trace, channel, 6)
    seen = set()
    for step in range(1, 6):
        page.locator(".step").nth(step).click()
        for number in sums(page):
            name, at, value = number["name"], number["at"], parsed(number["text"])
            if name in ("weight", "share"):
                expected = known[name][at[1]]
            elif name in ("num", "den", "gated"):
                expected = known[name]
            elif name == "wkv":
                expected = known["num"] / known["den"]
            elif number["plane"] in ("value", "key"):
                expected = float(layer.part(number["plane"])[at[0], channel])
            else:
                continue
            seen.add(name or number["plane"])
            assert value == pytest.approx(expected, rel=CLOSE, abs=6e-3 if name == "share" else 1e-6), number
    assert seen == {"weight", "share", "num", "den", "wkv", "gated", "value", "key"}
    whole = {"num": known["num"], "den": known["den"], "wkv": known["num"] / known["den"]}
    boxes = {one["name"]: parsed(one["text"]) for one in told(page) if one.get("name") in whole}
    assert boxes == {name: pytest.approx(value, rel=CLOSE) for name, value in whole.items()}


def test_the_model_computed_what_the_last_product_says(drawn) -> None:
    page, trace, channels = drawn
    page.locator(".step").nth(5).click()
    written = {one["name"] or one["plane"]: parsed(one["text"]) for one in sums(page)}
    place = next(one["at"][1] for one in sums(page) if one["plane"] == "output")
    assert written["gated"] == pytest.approx(written["output"], rel=CLOSE)
    assert written["output"] == pytest.approx(float(trace.layer(1).part("mixer_output")[8, channels[place]]), rel=CLOSE)


def test_pointing_at_the_slider_shows_a_channel_and_a_click_keeps_it(drawn) -> None:
    page, _, channels = drawn
    track = page.evaluate("() => document.querySelector('.root').plan().track")
    box = page.locator(".board").bounding_box()

    def shown() -> str:
        return page.locator(".says").inner_text()

    before = shown()
    page.mouse.move(box["x"] + track["x"] + 1, box["y"] + track["y"])
    assert f"Channel {channels[-1]} " in shown()
    page.mouse.move(box["x"] + 300, box["y"] + track["y"] - 60)
    assert shown() == before
    page.mouse.click(box["x"] + track["x"] + track["width"] - 1, box["y"] + track["y"])
    page.mouse.move(box["x"] + 2, box["y"] + 2)
    assert f"Channel {channels[0]} " in shown()


FOOT = "() => { const { flow } = document.querySelector('.root').plan(); return flow.y + flow.height; }"
CHART = "() => document.querySelector('.root').plan().chart.height"
BELOW = "() => document.querySelector('.below').getBoundingClientRect().height"


@pytest.mark.parametrize("width", [350, 700, 1200])
@pytest.mark.parametrize("lang", ["en", "ko"])
def test_the_drawing_stays_within_its_height(page, like, width: int, lang: str) -> None:
    figure = ink_of(trace_of(like, 60), t=strict(lang), theme=DARK)
    size = max((size for size in SIZES if size.width <= width), key=lambda size: size.width)
    mounted(page, figure.body, width=width)
    for step in range(len(STEPS)):
        page.locator(".step").nth(step).click()
        assert page.evaluate(FOOT) <= size.drawing and page.evaluate(CHART) > 60
        assert page.evaluate(BELOW) <= size.words + 1
    assert page.errors == []
