"""Charts that follow the chosen token in the browser alone: every mark stands where the model's numbers say."""

import json
import math
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page
from settling import settle

from models import registry
from models.records.trace import LayerTrace, ModelTrace
from pages.shared.words import i18n
from viz.look.labels import short
from viz.trace.findings import decay_finding, router_finding
from viz.trace.router import SCORES

TEXT = "Once upon a time a fox lived in the wood"
LAYER = {"rwkv": 2, "jamba": 3}
LOOK_MS = 60_000
EDGE = 104  # pixels right of the curves
pytestmark = pytest.mark.skipif(not registry.bundled(), reason="no bundled checkpoints")

# Every mark of the chart of a card, by its layer: where it stands, and what it stands for. The drawn elements know it.
MARKS = """(card) => {
  const svg = document.querySelector(`.st-key-card-${card} [data-testid="stVegaLiteChart"] svg`);
  const told = ({ x, y, x2, y2, width, opacity, text, datum }) => ({ ...datum, x, y, x2, y2, width, opacity, text });
  const marks = {};
  let plot = null;
  for (const group of svg.querySelectorAll("g.role-mark")) {
    const layer = group.getAttribute("class").match(/layer_[0-9]+/)[0];
    const mark = group.firstElementChild?.__data__?.mark;
    if (!mark) continue;
    plot = mark.group.width ? mark.group : mark.group.mark.group;
    const { top } = group.getBoundingClientRect(); // of a bar, which stands in a group of its own
    (marks[layer] ??= []).push(...mark.items.map((item) => ({ top, ...told(item) })));
  }
  const axes = [...svg.querySelectorAll(".role-axis")].map((axis) =>
    [...axis.querySelectorAll(".role-axis-label text")].map((label) => label.textContent));
  return { marks, plot: { width: plot.width, height: plot.height }, axes: axes.filter((labels) => labels.length) };
}"""
AROUND = """(card) => {
  const node = document.querySelector(`.st-key-card-${card}`);
  const { ariaLabel } = node.querySelector('[data-testid="stVegaLiteChart"]');
  return [node.querySelector(".cs-finding").textContent, ariaLabel, node.querySelector(".cs-subtitle").textContent];
}"""


def opened(visit, server, page: str, card: str, **options: Any):
    query = f"?text={TEXT}&layer={LAYER[page]}&router_layer={LAYER[page]}"
    visited = visit(f"{server.url}/{page}{query}", **options)
    chart = visited.page.locator(f".st-key-card-{card} [data-testid='stVegaLiteChart'] svg")
    chart.scroll_into_view_if_needed(timeout=LOOK_MS)
    chart.wait_for(timeout=LOOK_MS)
    settle(visited.page)
    count = -1
    while count != len(visited.frames):
        count = len(visited.frames)
        visited.page.wait_for_timeout(1200)
    return visited


def follows(page: Page, card: str, token: int, words: list[str]) -> None:
    """Wait until a chart shows the words or the token that were asked for."""
    page.wait_for_function("(token) => document.getElementById('contextscope-shown').value === token", arg=str(token))
    page.wait_for_function(
        f"([card, finding]) => ({AROUND})(card)[0] === finding", arg=[card, words[0]], timeout=LOOK_MS
    )
    page.wait_for_timeout(300)  # the chart draws itself in the next frame


def trace_of(name: str) -> ModelTrace:
    return registry.trace(registry.load(name), TEXT)


@pytest.mark.parametrize(("lang", "dark"), [("en", False), ("ko", True)])
def test_curves_count_back_from_the_chosen_word_without_the_server(server, visit, lang: str, dark: bool) -> None:
    trace, t = trace_of("rwkv"), i18n.translator(lang)
    layer, last = trace.layer(LAYER["rwkv"]), len(trace.tokens) - 1
    visited = opened(visit, server, "rwkv", "rwkv-decay", lang=lang, dark=dark)
    page = visited.page
    assert_curves(page.evaluate(MARKS, "rwkv-decay"), layer, last, trace, t)
    visited.frames.clear()
    page.locator(".bar .word").nth(5).click()
    for token in (5, 6):
        rate = drawn_rates(layer, page.evaluate(MARKS, "rwkv-decay"))
        finding = decay_finding(rate, float(max(token, 4)), t)
        follows(page, "rwkv-decay", token, [finding])
        assert_curves(page.evaluate(MARKS, "rwkv-decay"), layer, token, trace, t)
        said, alt, _ = page.evaluate(AROUND, "rwkv-decay")
        assert said == finding and alt.endswith(finding)
        page.locator(".bar .text").focus()
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Escape")
    page.wait_for_function("document.getElementById('contextscope-shown').value === ''")
    page.wait_for_timeout(400)
    assert_curves(page.evaluate(MARKS, "rwkv-decay"), layer, last, trace, t)
    assert visited.frames == []
    assert visited.console_errors == []


def drawn_rates(layer: LayerTrace, seen: Any) -> np.ndarray:
    channels = [int(one["channel"]) for one in seen["marks"]["layer_1"]]
    return np.asarray(layer.part("decay_rate"), np.float64)[channels]


def assert_curves(seen: Any, layer: LayerTrace, token: int, trace: ModelTrace, t: Any) -> None:
    marks, plot, reach = seen["marks"], seen["plot"], float(max(token, 4))
    channels = [int(one["channel"]) for one in marks["layer_1"]]
    rate = np.asarray(layer.part("decay_rate"), np.float64)
    bonus = np.exp(np.asarray(layer.part("bonus"), np.float64))
    top = max(1.0, float(bonus[channels].max())) * 1.1

    def across(distance: float) -> Any:
        return pytest.approx((distance + 0.02 * reach) / (1.02 * reach) * (plot["width"] - EDGE), abs=0.01)

    def up(weight: float) -> Any:
        return pytest.approx(plot["height"] * (1 - weight / top), abs=0.01)

    assert len(channels) == 5
    curves: dict[int, list[Any]] = {channel: [] for channel in channels}
    for point in marks["layer_0"]:
        channel = int(point["channel"])
        curves[channel].append(point)
        known = math.exp(-(point["distance"] - 1) * rate[channel])
        assert point["weight"] == pytest.approx(known, rel=1e-5, abs=1e-9)
        assert (point["x"], point["y"]) == (across(point["distance"]), up(known))
    for points in curves.values():
        assert {float(n) for n in range(1, int(reach) + 1)} <= {point["distance"] for point in points}
        assert max(point["distance"] for point in points) == reach
    for ring in marks["layer_1"]:
        assert (ring["x"], ring["y"]) == (across(0), up(float(bonus[int(ring["channel"])])))
    for kind in ("layer_3", "layer_4", "layer_5", "layer_6"):
        assert [int(mark["channel"]) for mark in marks[kind]] == channels
        for mark in marks[kind]:
            own = rate[int(mark["channel"])]
            distance = min(1 + math.log(2) / own, reach)
            assert mark["x"] == across(distance)
            if kind in ("layer_3", "layer_5"):
                assert up(math.exp(-(distance - 1) * own)) in (mark["y"], mark["y2"])
            else:
                assert mark["text"] == t("viz.decay_curves.label", half_life=short(math.log(2) / own))
    words = [one.label.removeprefix("␣") if one.piece == 1 else "" for one in trace.tokens[token::-1]]
    labels = next(labels for labels in seen["axes"] if "1" not in labels)
    shown = {place: label for place, label in enumerate(labels) if label}
    assert shown[0] == words[0] and len(shown) > 1
    assert {place: words[place] for place in shown} == shown and len(labels) == token + 1


def test_the_router_is_that_of_the_chosen_word_without_the_server(server, visit) -> None:
    trace, t = trace_of("jamba"), i18n.translator("en")
    layer, last = trace.layer(LAYER["jamba"]), len(trace.tokens) - 1
    visited = opened(visit, server, "jamba", "jamba-router")
    page = visited.page
    assert_router(page, layer, last, trace, t)
    visited.frames.clear()
    words = page.locator(".bar .word")
    for place in (3, 0):
        words.nth(place).click()
        page.wait_for_function(
            "(token) => document.getElementById('contextscope-shown').value === token", arg=str(place)
        )
        page.wait_for_timeout(400)
        assert_router(page, layer, place, trace, t)
    page.locator(".bar .text").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(400)
    assert_router(page, layer, 1, trace, t)
    assert visited.frames == []
    assert visited.console_errors == []


def assert_router(page: Page, layer: LayerTrace, token: int, trace: ModelTrace, t: Any) -> None:
    seen = page.evaluate(MARKS, "jamba-router")
    every = np.asarray(layer.part("router_probs"), np.float64)
    probs, chosen = every[token], [int(one) for one in layer.part("chosen_experts")[token]]
    kept, end = float(probs[chosen].sum()), float(every.max()) * 1.25
    room, falling = seen["plot"]["width"] - SCORES, sorted(probs, reverse=True)
    margin = float(falling[len(chosen) - 1] - falling[len(chosen)])
    order = sorted(range(len(probs)), key=lambda e: (e not in chosen, -float(probs[e])))
    bars = sorted(seen["marks"]["layer_0"], key=lambda bar: bar["top"])
    assert [bar["expert"] for bar in bars] == order
    for bar in bars:
        known = float(probs[bar["expert"]])
        assert bar["width"] == pytest.approx(known / end * room, abs=0.01)
        assert bar["opacity"] == (1 if bar["expert"] in chosen else 0.45)
    texts = sorted(seen["marks"]["layer_2"], key=lambda text: text["y"])
    assert [text["text"] for text in texts] == [f"{probs[expert]:.3f}" for expert in order]
    assert [labels for labels in seen["axes"] if labels == [str(expert) for expert in order]]
    logits = layer.part("router_logits")[token]
    scores = sorted(seen["marks"]["layer_3"], key=lambda text: text["y"])
    assert [text["text"].replace("\u2212", "-") for text in scores] == [f"{logits[expert]:+.2f}" for expert in order]
    (note,) = seen["marks"]["layer_5"]
    told = t("viz.router_bars.margin", k=len(chosen), next=len(chosen) + 1, margin=f"{margin:.3f}")
    assert note["text"] == f"{t('viz.router_bars.kept', kept=f'{kept:.2f}', count=len(chosen))} · {told}"
    finding, alt, subtitle = page.evaluate(AROUND, "jamba-router")
    assert finding == router_finding(kept, len(chosen), margin, t)
    label = trace.tokens[token].label
    listed = ", ".join(map(str, layer.part("chosen_experts")[token].astype(int)))
    said = t("viz.router_bars.alt", layer=layer.index, token=label, chosen=listed, kept=f"{kept:.2f}")
    assert alt == f"{said} {finding}" and subtitle.endswith(f" · {label}")


def test_a_chart_that_comes_later_shows_the_token_that_was_chosen_before(server, visit) -> None:
    """A new layer is drawn by the server, and counts back from the same word as the chart before."""
    trace, t = trace_of("rwkv"), i18n.translator("en")
    visited = opened(visit, server, "rwkv", "rwkv-decay")
    page = visited.page
    page.locator(".bar .word").nth(6).click()
    page.locator(".st-key-reading-choices button").nth(4).click()
    page.wait_for_function(f"({AROUND})('rwkv-decay')[2].includes('4')", timeout=LOOK_MS)
    page.wait_for_timeout(1500)
    seen = page.evaluate(MARKS, "rwkv-decay")
    assert_curves(seen, trace.layer(4), 6, trace, t)
    finding, alt, _ = page.evaluate(AROUND, "rwkv-decay")
    assert finding == decay_finding(drawn_rates(trace.layer(4), seen), 6.0, t) and alt.endswith(finding)
    assert json.loads(page.evaluate("JSON.stringify(window.contextscope.selection.get().token)")) == 6
