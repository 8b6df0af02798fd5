"""The recall page: the record at first sight, a live run beside it, one question opened, verdicts in words."""

import threading
from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from models.recall import evaluation, live, study
from models.recall.curriculum import TASKS
from models.recall.tasks import values_of
from models.records.recall import Accuracy
from pages.compare.recall import measuring, question, results
from pages.shared.words import content, i18n

PAGE = "recall"


def html(at: AppTest, mark: str) -> list[str]:
    return [element.proto.body for element in at.get("html") if mark in element.proto.body]


def captions(at: AppTest) -> str:
    return "\n".join(caption.value for caption in at.caption)


@pytest.fixture
def open_task(open_page):
    """Give a function that opens the page at a task by its number."""

    def opened(task: int, **options: str) -> AppTest:
        at = open_page(PAGE, **options)
        at.session_state["contextscope.places"] = {PAGE: {"task": task}}
        return at.run()

    return opened


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make live runs short: one question per cell, answered at once."""
    cell = Accuracy({}, 1.0, 0.9, 1.0, 320, 10, 100)

    def at_once(model, task, cells, **_):
        from dataclasses import replace

        from models.recall.tasks import values_of

        return iter([replace(cell, at=values_of(cells[0]))])

    monkeypatch.setattr(live.evaluation, "evaluate", at_once)


@pytest.mark.slow
@pytest.mark.parametrize("lang", i18n.LANGS)
@pytest.mark.parametrize("task", range(len(results.TASKS)))
def test_every_task_opens_with_its_record_its_question_and_its_verdicts(open_task, task: int, lang: str) -> None:
    at = open_task(task, browser=lang)
    assert [error.value for error in [*at.exception, *at.error]] == []
    name = results.TASKS[task]
    assert any(content.section(PAGE, f"task.{name}", lang=lang) == markdown.value for markdown in at.markdown)
    assert str(evaluation.SEED) in captions(at)
    (answers,) = html(at, 'class="cs-answers"')
    assert answers.count("<li") == 4
    (verdicts,) = html(at, 'class="cs-expected"')
    assert verdicts.count("<tr>") > 2
    assert verdicts.count("cs-badge") == verdicts.count("<tr>") - 1


@pytest.mark.slow
def test_a_live_run_is_set_beside_the_record(open_task, few) -> None:
    at = open_task(1)
    at.button(f"{PAGE}.measure").click().run()
    run = results.live_runs().get(live.Key("induction", evaluation.SEED + 1))
    run.wait(60)
    at.run()
    assert [error.value for error in [*at.exception, *at.error]] == []
    assert f"no. {evaluation.SEED + 1}" in captions(at)
    assert i18n.say("en", "recall.expected.judged_live", seeds=1) in captions(at)
    assert at.button(f"{PAGE}.measure").label == i18n.say("en", "recall.measure_again")


@pytest.mark.slow
def test_stop_ends_after_the_running_cell_and_keeps_what_is_finished(open_task, monkeypatch) -> None:
    """The first visitor stops while a second watches the same run: only the first one's page leaves it."""
    at_cell, may_go_on = threading.Event(), threading.Event()

    def slow(model, task, cells, **_):
        at_cell.set()
        may_go_on.wait(60)
        return iter([Accuracy(values_of(cells[0]), 1.0, 0.9, 1.0, 320, 10, 100)])

    monkeypatch.setattr(live.evaluation, "evaluate", slow)
    monkeypatch.setattr(results, "evaluation", SimpleNamespace(SEED=evaluation.SEED + 1000))  # a run of its own
    first, second = open_task(1), open_task(1)
    first.button(f"{PAGE}.measure").click().run()
    second.button(f"{PAGE}.measure").click().run()
    run = results.live_runs().get(live.Key("induction", evaluation.SEED + 1001))
    assert at_cell.wait(60)
    first.button(f"{PAGE}.stop").click().run()
    assert not run.stopping
    assert [button.key for button in first.button if button.key == f"{PAGE}.measure"]
    second.run()
    assert [button.key for button in second.button if button.key == f"{PAGE}.stop"]
    second.button(f"{PAGE}.stop").click().run()
    assert run.stopping
    may_go_on.set()
    run.wait(60)
    assert run.measured == 1
    second.run()
    assert [error.value for error in [*second.exception, *second.error]] == []
    assert "after 1 of 16 cells" in captions(second)


@pytest.mark.slow
@pytest.mark.parametrize("task", range(len(results.TASKS)))
def test_another_question_is_another_sequence(open_task, task: int, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[tuple[int, ...]] = []
    sentence = question._sentence

    def noted(record, found) -> None:
        shown.append(tuple(token.id for token in found.tokens))
        sentence(record, found)

    monkeypatch.setattr(question, "_sentence", noted)
    at = open_task(task)
    del shown[:-1]  # the first task, before the chosen one
    for _ in range(3):
        at.button(f"{PAGE}.another").click().run()
    assert len(set(shown)) == 4


@pytest.mark.parametrize("lang", i18n.LANGS)
def test_the_words_agree_with_the_tasks_and_the_sizes(lang: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many keys are asked, how large the models are, what a step and a point are called."""
    monkeypatch.setenv(i18n.STRICT_VARIABLE, "1")
    assert {cell.answers for cell in TASKS["mqar"].cells} == {2, 4}
    asked = {"en": "two or four of the keys", "ko": "키 둘이나 넷"}[lang]
    assert asked in content.section(PAGE, "task.mqar", lang=lang)
    single = {"en": "only one question", "ko": "물음은 하나뿐"}[lang]
    assert single not in content.section(PAGE, "check", lang=lang)
    records = [study.recorded(task)["architectures"] for task in TASKS]
    used = [entry["parameters_active"] for record in records for entry in record.values()]
    assert (round(min(used), -3), round(max(used), -3)) == (130_000, 133_000)
    assert {round(record["jamba"]["parameters"], -3) for record in records} <= {185_000, 186_000}
    sizes = {"en": ("130 to 133 thousand", "185 thousand"), "ko": ("13만~13만 3천", "18만 5천")}[lang]
    assert all(size in content.section(PAGE, "hood.training.text", lang=lang) for size in sizes)
    for pairs in (2, 8):
        guessed = TASKS["mqar"].guess({"distance": 16, "pairs": pairs})
        assert f"{guessed * 100:.0f}" in content.section(PAGE, "task.mqar", lang=lang)
    if lang == "ko":
        assert "5%p" in i18n.say("ko", "recall.finding.selection_distance.expected")
        assert "걸음" in i18n.say("ko", "recall.budget", steps="1", tokens="1", seeds=1)
        assert "목록 값" not in content.section(PAGE, "chapter1.text", lang="ko")


def test_agreement_compares_the_same_cells_only() -> None:
    def cell(distance: int, right: int) -> Accuracy:
        low, high = evaluation.wilson(right, 100)
        return Accuracy({"distance": distance}, right / 100, low, high, 100, 1, 1)

    recorded = {"mamba": [cell(16, 90), cell(32, 50)]}
    assert measuring.agreement(recorded, {"mamba": [cell(32, 52)], "rwkv": [cell(16, 9)]}) == (1, 1)
    assert measuring.agreement(recorded, {"mamba": [cell(16, 60), cell(32, 50)]}) == (1, 2)


@pytest.mark.slow
@pytest.mark.parametrize("lang", i18n.LANGS)
def test_the_page_counts_the_verdicts_of_every_task(open_task, lang: str) -> None:
    """Ten of the twelve expectations agree in every recorded seed, two cannot be told, none is contradicted."""
    total = {"yes": 0, "no": 0, "unclear": 0}
    for task in range(len(results.TASKS)):
        at = open_task(task, browser=lang)
        (table,) = html(at, '<table class="cs-expected"')
        kinds = {"yes": "cs-good", "no": "cs-bad", "unclear": "cs-unclear"}
        seen = {verdict: table.count(f"cs-badge {kind}") for verdict, kind in kinds.items()}
        said = i18n.say(lang, "recall.expected.counted", all=sum(seen.values()), agree=seen["yes"],
                        unclear=seen["unclear"], against=seen["no"])  # fmt: skip
        assert said in [markdown.value for markdown in at.markdown]
        total = {verdict: count + seen[verdict] for verdict, count in total.items()}
    assert total == {"yes": 10, "no": 0, "unclear": 2}


@pytest.mark.parametrize("lang", i18n.LANGS)
def test_the_words_of_the_page_leave_the_sizes_to_the_table(lang: str) -> None:
    assert "KiB" not in content.section(PAGE, "hood.training.text", lang=lang)
    kept = [entry for task in results.TASKS for entry in (study.recorded(task) or {})["architectures"].values()]
    sizes = [entry["bytes_float16"] for entry in kept]
    assert (min(sizes), max(sizes)) == (260_992, 371_144)


def test_a_contradicted_expectation_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    from models.recall.expectations import Finding
    from pages.compare.recall import expected

    said: dict[str, int] = {}
    monkeypatch.setattr(expected, "t", lambda key, **values: said.update(values) or key)
    expected._counted([Finding("a", "no", {}), Finding("b", "yes", {}), Finding("c", "no", {})])
    assert said == {"all": 3, "agree": 1, "unclear": 0, "against": 2}


def record_of(accuracies: dict[str, dict[tuple[int, int], float]]) -> results.Record:
    """Make a record of associative recall with these accuracies at (distance, pairs)."""
    runs = {
        name: [(0, [Accuracy({"distance": d, "pairs": p}, share, 0, 1, 9, 9, 9) for (d, p), share in cells.items()])]
        for name, cells in accuracies.items()
    }
    cells = [cell for every in runs.values() for _, found in every for cell in found]
    layout = results.layout_of(cells, ("distance", "pairs"), guess=lambda _: 0.1, trained_to=64)
    return results.Record("mqar", layout, runs, {"held_out_seed": 5})


def test_the_first_cell_is_where_the_recorded_accuracies_lie_farthest_apart() -> None:
    known = {
        "rwkv": {(16, 2): 0.9, (64, 2): 0.5, (64, 4): 0.4, (128, 4): 0.0},
        "jamba": {(16, 2): 1.0, (64, 2): 1.0, (64, 4): 0.9, (128, 4): 1.0},
    }
    assert question.telling(record_of(known)) == {"distance": 64, "pairs": 2}, "the nearest of equals, within training"
    known["rwkv"] |= {(16, 2): 0.95, (64, 2): 0.93, (64, 4): 0.91}
    known["jamba"] |= {(64, 4): 1.0}
    assert question.telling(record_of(known)) == {"distance": 128, "pairs": 4}, "none in training tells them apart"
    known["rwkv"][64, 4] = 0.2
    assert question.telling(record_of(known)) == {"distance": 64, "pairs": 4}


def test_the_first_question_is_the_first_that_splits_the_models() -> None:
    yes, no = True, False
    assert question.first_split({"a": (yes, no, yes, no), "b": (yes, no, yes, yes)}) == 3
    assert question.first_split({"a": (yes, yes), "b": (yes, yes)}) == 0


def test_a_wrong_answer_is_looked_for_here_first_and_then_where_least_is_recalled(monkeypatch) -> None:
    record = record_of({"rwkv": {(16, 2): 0.9, (64, 2): 0.5}, "jamba": {(16, 2): 1.0, (64, 2): 0.9}})
    here, there = {"distance": 16, "pairs": 2}, {"distance": 64, "pairs": 2}
    wrong: dict[tuple[int, str], set[int]] = {(16, "rwkv"): {3, 7}, (64, "rwkv"): {0}, (64, "jamba"): {5}}

    def answered(_, at):
        return {
            name: tuple(n not in wrong.get((at["distance"], name), ()) for n in range(question.QUESTIONS))
            for name in ("rwkv", "jamba")
        }

    monkeypatch.setattr(question, "_right", answered)
    assert question.next_wrong(record, "rwkv", here, 3) == (here, 7)
    assert question.next_wrong(record, "rwkv", here, 7) == (here, 3), "round to the beginning"
    assert question.next_wrong(record, "jamba", here, 3) == (there, 5)
    wrong[16, "rwkv"] = {3}
    assert question.next_wrong(record, "rwkv", here, 3) == (there, 0), "another one than the one that is shown"
    wrong.clear()
    assert question.next_wrong(record, "jamba", here, 0) is None
    wrong[16, "jamba"] = {4}
    assert question.next_wrong(record, "jamba", here, 4) == (here, 4), "the only one is the one that is shown"


@pytest.mark.slow
@pytest.mark.parametrize("task", range(len(results.TASKS)))
def test_the_page_begins_with_a_split_and_finds_a_wrong_answer(open_task, task: int) -> None:
    at = open_task(task)
    (answers,) = html(at, 'class="cs-answers"')
    assert 0 < answers.count('cs-bad"') < 4
    assert answers.count("%</b>") == 4, "one number each"
    at.button(f"{PAGE}.find.rwkv").click().run()
    assert not at.exception
    (answers,) = html(at, 'class="cs-answers"')
    mine = answers.split('class="cs-rwkv"')[1].split("</li>")[0]
    assert 'cs-bad"' in mine or i18n.say("en", "recall.never_wrong", name="RWKV", count=20) in captions(at)


@pytest.mark.slow
def test_a_phone_shows_one_map_at_a_time(open_task, monkeypatch) -> None:
    drawn: list[list[str]] = []
    draw = measuring.recall_map
    monkeypatch.setattr(
        measuring, "recall_map", lambda cells, *a, **k: drawn.append(list(cells)) or draw(cells, *a, **k)
    )
    monkeypatch.setattr(measuring, "_maps", measuring.Memo())
    monkeypatch.setattr(measuring.viewport, "window", lambda: 390)
    at = open_task(0)
    assert drawn[-1] == ["transformer"]
    at.get("button_group")[0]  # the switch stands on the page
    at.session_state[f"{PAGE}.alone"] = "rwkv"
    at.run()
    assert drawn[-1] == ["rwkv"]
    monkeypatch.setattr(measuring.viewport, "window", lambda: 1280)
    at.run()
    assert len(drawn[-1]) == 4
