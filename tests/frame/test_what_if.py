"""The section "What if": the switch stands in the address, both readings are drawn, and nothing is when all is on."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from showing import Shown, noting, opened
from stage import Stage
from streamlit.testing.v1 import AppTest

from models import registry
from models.ablation.bits import bits_of
from models.recall import curriculum, evaluation, micro
from models.recall import what_if as recalled
from models.records.trace import NamedArray
from models.records.what_if import Bits, Worth
from models.switches import context
from models.switches.value import NONE, Switch, Switches
from pages.shared import ablation, anatomy, cache, part_worth, switch_choice
from pages.shared.canvas import Selection
from pages.shared.state import session
from pages.shared.words import content

pytestmark = pytest.mark.skipif(not registry.bundled(), reason="no bundled checkpoints")

TEXT = "The old sailor tied the boat, and the old dog slept."
PAGES = [adapter.name for adapter in registry.ADAPTERS]
OFF = {
    "transformer": "head.1.2.zero",
    "mamba": "selectivity.*.*.mean",
    "rwkv": "token_shift.2.*.zero",
    "jamba": "mixer.4.*.zero",
}


def shown(seen: list[Shown], key: str) -> list[Shown]:
    return [one for one in seen if one.key == key]


def address(at: AppTest) -> str:
    return "~".join(at.session_state["contextscope.off"].get(at.session_state["contextscope.page"], ()))


@pytest.mark.parametrize("page", PAGES)
def test_a_link_switches_off_and_both_readings_are_drawn(monkeypatch, page: str) -> None:
    with noting(monkeypatch) as seen:
        at = opened(page, text=TEXT, off=OFF[page])
    switches = Switches.read(OFF[page])
    before, after = cache.trace_for(page, TEXT), ablation.trace(page, TEXT, switches)
    (drawn,) = shown(seen, f"{page}.what_if")
    known = -np.stack([np.asarray(one.surprisal.values, np.float64) for one in (before, after)])
    assert np.array_equal(drawn.fig.data["log_probs"].values, known, equal_nan=True)
    assert not np.allclose(known[0, 1:], known[1, 1:])
    assert shown(seen, f"{page}.what_if_words")
    assert address(at) == OFF[page], "it survives a run"
    assert not at.info


def test_with_everything_on_nothing_is_run_and_the_page_offers_a_choice(monkeypatch) -> None:
    with noting(monkeypatch) as seen:
        monkeypatch.setattr(ablation, "trace", None)
        monkeypatch.setattr(ablation, "worth", None)
        monkeypatch.setattr(anatomy, "worths_of", lambda _trace: ())  # its own section, which is open here
        at = opened("mamba", text=TEXT)
    assert not [one for one in seen if "what_if" in one.key or "worth" in one.key]
    box = at.selectbox(key="mamba.off.0.kind")
    assert box.value == switch_choice.NOTHING


def test_choosing_a_part_switches_it_off_and_nothing_switches_it_on_again(monkeypatch) -> None:
    at = opened("transformer", text=TEXT)
    at.selectbox(key="transformer.off.0.kind").select("head").run()
    assert address(at).startswith("head.")
    at.selectbox(key="transformer.off.0.layer").select(3).run()
    at.selectbox(key="transformer.off.0.index").select(1).run()
    at.selectbox(key="transformer.off.0.how").select("mean").run()
    assert address(at) == "head.3.1.mean"
    at.button(key="transformer.off.another").click().run()
    assert len(address(at).split("~")) == 2
    at.button(key="transformer.off.1.remove").click().run()
    assert address(at) == "head.3.1.mean"
    at.selectbox(key="transformer.off.0.kind").select(switch_choice.NOTHING).run()
    assert address(at) == ""


@pytest.mark.parametrize("code", ("magic.1.*.zero", "head.99.0.zero", "gate.1.*.open", "<b>~~~"))
def test_a_link_to_what_the_model_does_not_have_is_answered(monkeypatch, code: str) -> None:
    with noting(monkeypatch) as seen:
        at = opened("transformer", text=TEXT, off=code)
    assert address(at) == "" and not shown(seen, "transformer.what_if")
    assert len(at.info) == 1 and "part to switch off" in at.info[0].value


def test_bits_over_the_examples_are_measured_when_asked_for() -> None:
    at = opened("rwkv", text=TEXT, off=OFF["rwkv"])
    assert not [one for one in at.markdown if "bits a token before" in one.value]
    at.button(key="rwkv.off_examples").click().run()
    (said,) = [one.value for one in at.markdown if "bits a token before" in one.value]
    loaded = cache.checkpoint("rwkv")
    texts = [registry.encode(loaded, one.text["en"]) for one in content.examples("rwkv")]
    before = bits_of(loaded, texts).per_token
    with context.use(Switches.read(OFF["rwkv"])):
        after = bits_of(loaded, texts).per_token
    assert f"**{before:.3f}**" in said and f"**{after:.3f}**" in said


def test_worth_is_measured_when_its_section_is_opened(monkeypatch) -> None:
    with noting(monkeypatch) as seen:
        opened("rwkv", text=TEXT, state={"rwkv.what_if.worth": True})
    (drawn,) = shown(seen, "rwkv.part_worth")
    worth = ablation.worth("rwkv", (TEXT,), lambda share: None)
    assert np.array_equal(drawn.fig.data["loss"].values, worth.loss.values, equal_nan=True)


def test_a_click_on_a_cell_is_the_switch_of_its_row_and_column() -> None:
    loss = np.array([[1.0, np.nan], [0.5, 0.25]])
    worth = Worth(
        (("gate", "mean"), ("channel_mix", "zero")), (1, 4), NamedArray(loss, ("part", "layer")), Bits(1.0, 1)
    )

    def at(row: int | None, column: int | None) -> Switch | None:
        return part_worth.switch_at(worth, Selection(row, column, None, None))

    assert at(0, 0) == Switch("gate", 1, how="mean")
    assert at(1, 1) == Switch("feed_forward", 4)
    assert at(0, 1) is None and at(2, 0) is None and at(0, 2) is None and at(None, 0) is None


def test_a_reading_with_a_switch_is_kept_apart() -> None:
    plain = cache.trace_for("mamba", TEXT)
    off = ablation.trace("mamba", TEXT, Switches.read("mixer.0.*.zero"))
    assert ablation.trace("mamba", TEXT, Switches.read("mixer.0.*.zero")) is off
    assert cache.trace_for("mamba", TEXT) is plain is ablation.trace("mamba", TEXT, NONE)
    assert not np.array_equal(plain.logits.values, off.logits.values)


def test_the_address_carries_what_is_off_on_this_page_alone(monkeypatch) -> None:
    stage = Stage().on(monkeypatch)
    stage.session_state["contextscope.page"] = "mamba"
    visit = session.current()
    visit.off = ["gate.1.*.open", "forget.*.4.zero", "gate.1.*.open"]
    assert visit.query()["off"] == "gate.1.*.open~forget.*.4.zero"
    stage.session_state["contextscope.page"] = "rwkv"
    assert "off" not in visit.query()
    stage.session_state["contextscope.page"] = "mamba"
    visit.not_off("gate.1.*.open")
    assert visit.off == ("forget.*.4.zero",)
    visit.forget()
    assert visit.off == ()


def test_names_say_which_part(monkeypatch) -> None:
    tokens = [SimpleNamespace(label=label) for label in ("<s>", "The", "wolf")]
    offers: Any = registry.switches_of(cache.checkpoint("rwkv"))
    model = switch_choice.Model(offers, tokens)  # type: ignore[arg-type]
    monkeypatch.setattr(switch_choice, "t", lambda key, **values: " ".join([key, *map(str, values.values())]))
    assert "channel_mix" in switch_choice.label(Switch("feed_forward", 1), model)
    assert "2 wolf" in switch_choice.label(Switch("forget", index=2), model)
    assert "longest" in switch_choice.label(Switch("channels", 0, 7), model)
    assert "forget" not in switch_choice.Model(offers).kinds


def test_recall_is_measured_with_and_without(monkeypatch) -> None:
    name = PAGES[0]
    with noting(monkeypatch) as seen:
        opened("recall", off="head.0.0.zero", architecture="0")
    (drawn,) = shown(seen, "recall.what_if")
    task = curriculum.task(next(iter(curriculum.TASKS)))
    loaded = micro.load(task.name, name)
    found = drawn.fig.data["accuracy"].values
    rows = sorted({tuple(evaluation.values_of(cell).values())[1:] for cell in task.cells})
    cells = [cell for cell in task.cells if tuple(evaluation.values_of(cell).values())[1:] == rows[len(rows) // 2]]
    known = [
        cell.accuracy
        for cell in evaluation.evaluate(loaded.model, task, cells, seed=recalled.SEED, queries=recalled.QUERIES)
    ]
    assert np.allclose(found[0], known)
    assert found.shape == (2, len(known)) and not np.allclose(found[0], found[1])
