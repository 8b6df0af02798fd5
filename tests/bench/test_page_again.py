"""The benchmark page: pausing, measuring cells again, guessing, and where the numbers come from. Stand-in workers."""

import pytest
from page_helpers import opened, texts
from run_helpers import until

from models import registry
from models.bench.plan.plan import Cell
from models.bench.run import remeasure
from models.machine import facts as machine_facts
from models.records.run import Run, fingerprint
from pages.compare.benchmark import guess, planning, provenance, results
from pages.shared.words import i18n

pytestmark = pytest.mark.skipif(not registry.bundled(), reason="no bundled checkpoints")


@pytest.mark.slow
def test_a_running_run_is_paused_and_goes_on(shared, plan_of):
    run_id = shared.submit(plan_of("slow", "slow", rounds=20))
    until(lambda: shared.progress(run_id).round)
    opened(run=run_id).button(key="benchmark.pause").click().run()
    until(lambda: shared.progress(run_id).held_s is not None)
    for lang in i18n.LANGS:
        at = opened(lang, run=run_id)
        left = {"en": "15 min", "ko": "15분"}[lang]
        assert any(i18n.say(lang, "benchmark.paused", time=left) in bar.text for bar in at.progress)
    opened(run=run_id).button(key="benchmark.resume").click().run()
    assert shared.wait(run_id, timeout_s=240)
    assert {row.state for row in shared.store.run(run_id).rows} == {"ok"}


@pytest.mark.slow
def test_what_failed_is_measured_again_by_one_button(shared, plan_of, stand_in_shapes):
    run_id = shared.submit(plan_of("ok", "ok", "ok", "crash"))
    assert shared.wait(run_id, timeout_s=240)
    at = opened(run=run_id)
    assert at.button(key="benchmark.again.missing").label == i18n.say("en", "benchmark.again.missing", count=1)
    at.button(key="benchmark.again.missing").click().run()
    assert shared.wait(run_id, timeout_s=240)
    assert sorted(row.state for row in shared.store.run(run_id).rows) == ["killed"] * 2 + ["ok"] * 3
    assert "Cells without a measurement: 1" in texts(opened(run=run_id))


@pytest.mark.parametrize(("state", "offered"), [("killed", True), ("timeout", True), ("parity_fail", False)])
def test_what_would_end_the_same_way_is_not_offered_again(shared, measurement, state, offered):
    cells = [{"architecture": "mamba", "source": "mamba", "context": 64}]
    run_id = shared.store.create(cells=cells, environment=machine_facts.environment())
    shared.store.append(measurement(run_id, cell_id=Cell(**cells[0]).cell_id, state=state))
    labels = [button.label for button in opened(run=run_id).button]
    assert (i18n.say("en", "benchmark.again.missing", count=1) in labels) == offered


@pytest.mark.slow
@pytest.mark.parametrize("lang", i18n.LANGS)
def test_a_guess_is_set_beside_what_was_measured(shared, plan_of, monkeypatch, lang):
    plan = plan_of("ok", "ok", "ok", "ok")
    monkeypatch.setattr(planning, "make_plan", lambda *_, **__: plan)
    at = opened(lang)
    at.button_group(key="benchmark.guess.carried").set_value("mamba").run()
    at.button_group(key="benchmark.guess.decode").set_value("rwkv").run()
    at.button(key="benchmark.run").click().run()
    (run_id,) = shared._jobs
    assert shared.wait(run_id, timeout_s=240)
    assert at.button_group(key="benchmark.guess.carried").value in (None, []), "the next run begins without"
    kept = {"benchmark.guesses": at.session_state["benchmark.guesses"]}
    said = texts(opened(lang, state=kept, run=run_id)).replace("\\", "")
    say = i18n.translator(lang)
    assert say("benchmark.guess.of.carried", name="Mamba") in said
    assert say("benchmark.guess.right", why="128 B") in said, "the stand-ins carry alike"
    others = say("benchmark.guess.shared", others="Transformer, Mamba, Jamba")
    assert others in said, "equals cannot be told apart"
    assert say("benchmark.guess.of.prefill", name="") not in said, "nothing was guessed of it"


def test_a_wrong_guess_is_told_by_how_much(measurement, said_in):
    say = i18n.translator(said_in)
    steady = {"rounds": 5, "decode_ms_samples": (4.0,) * 10, "prefill_ms_samples": (9.0,) * 5}
    quick = steady | {"architecture": "rwkv", "cell_id": "r", "decode_ms_samples": (2.0,) * 10, "cache_bytes": 50}
    rows = [measurement(**steady), measurement(**quick)]
    told = {"en": "RWKV is 2 times as fast as Mamba", "ko": "RWKV 쪽이 Mamba보다 2배 빠릅니다"}[said_in]
    assert told in guess._timed(rows, "decode", "mamba")
    assert guess._timed(rows, "decode", "rwkv") == say("benchmark.guess.first")
    assert guess._cache_bytes(rows, "mamba") == say(
        "benchmark.guess.carries_more", least="RWKV", small="50 B", own="100 B"
    )
    assert guess._cache_bytes(rows, "rwkv") == say("benchmark.guess.right", why="50 B")
    assert guess._timed([], "decode", "rwkv") == guess._cache_bytes([], "rwkv") == say("benchmark.guess.open")


def test_the_drawer_says_where_the_numbers_come_from(said_in, measurement):
    first = measurement(config_hash="abc", params_total=8_980_000, params_active=5_890_000, threads=2)
    second = measurement(context=128, experts="grouped", environment={"host_cpu": "x", "torch": "2.13.0"})
    rows = [first, second]
    run = Run("r", "", 1, ({"architecture": "mamba", "source": "mamba", "context": 64},), {}, tuple(rows))
    facts = dict(provenance._about(run))
    say = i18n.translator(said_in)
    name = {
        key: say(f"benchmark.provenance.{key}") for key in ("fingerprint", "torch", "experts", "view", "cuda", "size")
    }
    assert facts[name["fingerprint"]] == fingerprint(run)
    assert facts[name["torch"]] == "2.13.0"
    assert facts[name["experts"]] == f"{say('benchmark.expert.auto')}, {say('benchmark.expert.grouped')}"
    assert facts[name["view"]] == say("benchmark.views.architecture")
    assert facts[name["cuda"]] == "", "what is not known is not shown"
    table = provenance._models(run)
    assert all(text in table for text in ("8.98M", "5.89M", "abc", ">mamba<"))
    assert table.count("<tr>") == 3, "another configuration is another line"
    odd = measurement(environment={"memory_bytes": "much", "torch": ["2", "3"]}, implementation={"magic": "wand"})
    told = dict(provenance._about(Run("r", "", 1, (), {}, (odd,))))
    assert told[say("benchmark.provenance.memory_bytes")] == "much", "what a file says is shown as it is"
    assert "magic: wand" in provenance._models(Run("r", "", 1, (), {}, (odd,)))
    lines = provenance._rounds(rows[0])
    assert [list(line.values())[:2] for line in lines] == [[1, 3.0], [2, 4.0]]
    assert [line[say("benchmark.provenance.round.most")] for line in lines] == [2.0, 3.0]


@pytest.mark.slow
@pytest.mark.parametrize("lang", i18n.LANGS)
def test_the_opened_drawer_has_the_command_and_the_rounds(shared, plan_of, monkeypatch, lang):
    opens = provenance.st.expander
    monkeypatch.setattr(provenance.st, "expander", lambda *args, **options: opens(*args, **options, expanded=True))
    run_id = shared.submit(plan_of("ok", "ok"))
    assert shared.wait(run_id, timeout_s=240)
    at = opened(lang, run=run_id)
    run = shared.store.run(run_id)
    assert remeasure.command(run) in [code.value for code in at.code]
    assert at.selectbox(key="benchmark.samples").options


def test_the_place_where_memory_ran_out_is_said(measurement, said_in):
    say = i18n.translator(said_in)
    ends = [(64, 1, "ok"), (96, 1, "ok"), (128, 1, "oom"), (256, 1, "predicted_oom_skipped"), (64, 8, "oom")]
    rows = [measurement(context=n, batch=batch, state=state, cell_id=f"{n}-{batch}") for n, batch, state in ends]
    run = Run("r", "", 1, (), {}, tuple(rows))
    assert results._room(run) == [say("benchmark.room", name="Mamba", batch=1, fits="96", full="128")]
