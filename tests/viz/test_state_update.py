"""The hero of the Mamba page: h after is the state of the real run, keep and write are those of the equations."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from mechanism_page import mounted, parsed, sums, told
from proof_cases import TEXT, english, is_red, spoiled

from models import registry
from models.records.trace import ModelTrace, NamedArray
from viz import proof
from viz.figure import Figure
from viz.look.theme import LIGHT
from viz.mechanism import MechanismSpec, read
from viz.trace.state_update import STEPS, chosen_rows, first_cell, keep_and_write, state_update

CHROMIUM = Path("/usr/bin/chromium")
in_chromium = pytest.mark.skipif(not CHROMIUM.exists(), reason="no /usr/bin/chromium")
CHOICE = {"layer": 5, "channel": 7}


@pytest.fixture(scope="module")
def trace() -> ModelTrace:
    return registry.trace(registry.load("mamba"), TEXT)


@pytest.fixture(scope="module")
def figure(trace: ModelTrace) -> Figure:
    return state_update(trace, theme=LIGHT, t=english, **CHOICE)


def arrays(figure: Figure) -> dict[str, np.ndarray]:
    """Return what is drawn, at full precision; the states that travel to the browser have four digits of it."""
    assert isinstance(figure.body, MechanismSpec)
    found = {name: np.asarray(array.values, np.float64) for name, array in figure.data.items()}
    sent = read(figure.body.payload()).planes
    for name, values in sent.items():
        assert np.allclose(values, found[name], rtol=5.1e-3 if name == "left" else 5.1e-4, atol=0), name
    return found


def with_data(figure: Figure, name: str, values: np.ndarray) -> Figure:
    """Return a figure that draws and exports another array."""
    body = figure.body
    assert isinstance(body, MechanismSpec)
    plane = dataclasses.replace(body.planes[name], values=values)
    planes = {**body.planes, name: plane}
    data = {**figure.data, name: NamedArray(np.array(values), figure.data[name].dims)}
    kept = {one.name: getattr(body, one.name) for one in dataclasses.fields(body) if one.init}
    return dataclasses.replace(figure, body=MechanismSpec(**(kept | {"planes": planes})), data=data)


def test_the_state_after_a_word_is_the_one_of_the_real_run(trace: ModelTrace, figure: Figure) -> None:
    """Every prefix is run by transformers alone; its cache holds the state that is drawn after its last token."""
    checkpoint, adapter = registry.load("mamba"), registry.adapter("mamba")
    ids = [token.id for token in trace.tokens]
    channels = figure.data["channel"].values
    for length in (1, 2, len(ids) // 2, len(ids)):
        _, cache = adapter.step(checkpoint, torch.tensor([ids[:length]]), None)
        held = cache.layers[CHOICE["layer"]].recurrent_states[0][0].float().numpy()[channels]
        drawn = arrays(figure)["state"][length - 1]
        assert np.abs(drawn - held).max() < 1e-5 * np.abs(held).max()


def test_keep_and_write_are_those_of_a_loop(figure: Figure) -> None:
    sent = arrays(figure)
    keep, write = keep_and_write(figure.data)
    before = np.zeros_like(sent["state"][0])
    for t, c, n in np.ndindex(sent["state"].shape):
        assert keep[t, c, n] == pytest.approx(math.exp(float(sent["dt"][t, c]) * float(sent["rates"][c, n])), rel=1e-12)
        new = float(sent["dt"][t, c]) * float(sent["write"][t, n]) * float(sent["input"][t, c])
        assert write[t, c, n] == pytest.approx(new, rel=1e-12, abs=1e-30)
    for t, after in enumerate(sent["state"]):
        assert np.abs(keep[t] * before + write[t] - after).max() < 1e-5 * np.abs(sent["state"]).max()
        before = after


def test_a_healthy_picture_passes_and_wrong_ones_are_red(trace: ModelTrace, figure: Figure) -> None:
    check = proof.check(figure, trace, **CHOICE)
    assert check is not None and check.passed and check.error < 1e-5
    data = {name: np.array(array.values) for name, array in figure.data.items()}
    state, skip = data["state"], data["skip"] * data["input"]
    lies = {
        "state": {"a token later": np.roll(state, 1, 0), "another channel": np.roll(state, 1, 1),
                  "components reversed": state[..., ::-1].copy(), "mirrored": state[:, ::-1].copy(),
                  "a third more": 1.3 * state, "nan": state * np.nan},
        "dt": {"a token later": np.roll(figure.data["dt"].values, 1, 0)},
        "rates": {"another channel": np.roll(data["rates"], 1, 0), "twice": 2 * data["rates"]},
        "write": {"a token later": np.roll(figure.data["write"].values, 1, 0)},
        "read": {"a token later": np.roll(figure.data["read"].values, 1, 0)},
        "input": {"another channel": np.roll(figure.data["input"].values, 1, 1)},
        "output": {"without D u": data["output"] - skip},
        "left": {"transposed": figure.data["left"].values.T.copy(), "squared": np.square(figure.data["left"].values)},
    }  # fmt: skip
    for name, kinds in lies.items():
        for kind, values in kinds.items():
            assert is_red(proof.check(with_data(figure, name, values), trace, **CHOICE)), (name, kind)  # type: ignore[arg-type]
    for other in ({"layer": 4}, {"layer": 6}, {"channel": 8}):
        if other.get("channel") in figure.data["channel"].values:
            continue
        assert is_red(proof.check(figure, trace, **(CHOICE | other)))  # type: ignore[arg-type]


def test_a_spoiled_record_is_red(trace: ModelTrace) -> None:
    lies = {
        "state": lambda v: np.roll(v, 1, axis=0),
        "dt": lambda v: 1.3 * v,
        "half_life": lambda v: v[::-1].copy(),
        "write_proj": lambda v: np.roll(v, 1, axis=0),
    }
    for part, lie in lies.items():
        other = spoiled(trace, part, lie, CHOICE["layer"])
        drawn = state_update(other, theme=LIGHT, t=english, **CHOICE)
        assert is_red(proof.check(drawn, other, **CHOICE)), part  # type: ignore[arg-type]


def test_the_chosen_channel_is_among_the_rows(trace: ModelTrace) -> None:
    layer = trace.layer(5)
    half_life = layer.part("half_life")
    for channel in (0, 100, 447, int(np.argmax(half_life)), int(np.argmin(half_life))):
        rows = chosen_rows(layer, channel, 24)
        assert channel in rows and len(set(rows.tolist())) == 24
        assert (np.diff(half_life[rows]) <= 0).all()
        row, component = first_cell(layer, rows, channel)
        assert rows[row] == channel
        assert np.abs(layer.part("state")[:, channel]).mean(0).argmax() == component


@pytest.mark.parametrize("text", ["wolf", "wolf fox", "wolf " * 200])
def test_texts_of_any_length_can_be_drawn(text: str) -> None:
    trace = registry.trace(registry.load("mamba"), text)
    figure = state_update(trace, theme=LIGHT, t=english, layer=3)
    assert isinstance(figure.body, MechanismSpec)
    check = proof.check(figure, trace, layer=3)
    assert check is not None and check.passed
    assert len(figure.body.payload()) < 1_500_000


@pytest.fixture
def mount(blank, figure):
    pages = []

    def opened(*, width: int = 900, **changes):
        page = blank(max(width, 390), motion="reduce")
        pages.append(page)
        return mounted(page, dataclasses.replace(figure.body, **changes) if changes else figure.body, width=width)

    yield opened
    for page in pages:
        page.close()


@pytest.mark.browser
@in_chromium
@pytest.mark.parametrize("width", [390, 760, 1100])
def test_the_place_has_the_height_that_the_server_keeps_free(mount, figure, width: int) -> None:
    page = mount(width=width)
    high = page.evaluate("document.querySelector('#host').getBoundingClientRect().height")
    for step in range(len(STEPS)):
        page.locator(".step").nth(step).click()
        now = page.evaluate("document.querySelector('#host').getBoundingClientRect().height")
        assert now <= figure.body.height(width) + 1, (STEPS[step], now)
    assert high <= figure.body.height(width) + 1 and page.errors == []


@pytest.mark.browser
@in_chromium
def test_every_number_on_the_picture_is_that_of_the_run(mount, trace: ModelTrace, figure: Figure) -> None:
    """At several words: what is written equals keep, write and h of the shown token, never its neighbour's."""
    page = mount()
    keep, write = keep_and_write(figure.data)
    state = np.asarray(figure.data["state"].values, np.float64)
    output = np.asarray(figure.data["output"].values, np.float64)
    begin = figure.body.settings["cell"]
    for token in (0, 1, 5, len(trace.tokens) - 1):
        page.evaluate("(token) => store.set({ token })", token)
        row, n = begin
        found = {(one["name"] or one["plane"], tuple(one["at"])): parsed(one["text"]) for one in told(page)}
        close = {"rel": 6e-3, "abs": 1e-12}
        assert found["keep", (token, row, n)] == pytest.approx(keep[token, row, n], **close)
        assert found["write", (token, row, n)] == pytest.approx(write[token, row, n], **close)
        assert found["state", (token, row, n)] == pytest.approx(state[token, row, n], **close)
        assert found["output", (token, row)] == pytest.approx(output[token, row], **close)
        if token:
            assert found["state", (token - 1, row, n)] == pytest.approx(state[token - 1, row, n], **close)
        for one in sums(page):
            at = tuple(one["at"])
            source = {"keep": keep, "write": write}.get(one["name"])
            if source is not None:
                assert parsed(one["text"]) == pytest.approx(source[at], **close)
            elif one["plane"]:
                assert parsed(one["text"]) == pytest.approx(float(figure.data[one["plane"]].values[at]), **close)
    assert page.errors == []


@pytest.mark.browser
@in_chromium
def test_what_is_left_at_the_end_is_multiplied_on(mount, trace: ModelTrace, figure: Figure) -> None:
    page = mount()
    page.locator(".step").last.click()
    keep, write = keep_and_write(figure.data)
    row, _ = figure.body.settings["cell"]
    for token in (2, 9):
        page.evaluate("(token) => store.set({ token })", token)
        left = np.abs(write[token, row])
        total = left.sum()
        for later in range(token + 1, len(trace.tokens)):
            left = left * keep[later, row]
        (found,) = [parsed(one["text"]) for one in told(page) if one["name"] == "left at the end"]
        assert found == pytest.approx(left.sum() / total, abs=6e-3)


@pytest.mark.browser
@in_chromium
def test_a_cell_is_chosen_in_a_film_and_its_numbers_follow(mount, figure: Figure) -> None:
    page = mount()
    page.locator(".stage").focus()
    before = page.locator(".sum").first.inner_text()
    page.keyboard.press("Shift+ArrowRight")
    after = page.locator(".sum").first.inner_text()
    row, n = figure.body.settings["cell"]
    channel = figure.data["channel"].values[row]
    assert before.startswith(f"h[{channel}, {n}]")
    assert after.startswith(f"h[{channel}, {min(n + 1, 15)}]")
    page.locator(".step").first.click()
    assert "stands at" in page.locator(".says").inner_text()
