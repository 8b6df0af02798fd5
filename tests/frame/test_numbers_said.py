"""Numbers that pages say outside of tables: progress, written texts, offered models, plans, guesses."""

import re
from collections.abc import Callable
from contextlib import nullcontext
from html import unescape
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import torch

from models.bench.plan.plan import Plan
from models.bench.plan.settings import ATTENTION, EXPERTS, KERNELS, LIMITS, PRESETS, VIEWS
from models.bench.run.job import PAUSE_LIMIT_S, Progress
from models.generation.distribution import Sampling
from models.generation.live import Pace
from models.generation.stream import Settings, Step
from models.limits import PROMPT_CHARACTERS, PROMPT_TOKENS
from models.records.cell import Cell, Prediction
from models.records.measurement import Measurement
from models.records.run import Run
from models.sources import downloadable, downloads, sizes
from models.sources.downloads import DownloadProgress
from pages.compare.benchmark import (
    address,
    guess,
    live,
    planning,
    provenance,
    results,
    settings,
    settings_codec,
)
from pages.compare.recall import measuring
from pages.shared import cache, continuing, layout, model_picker, proof, ticker
from pages.shared.state import session
from pages.shared.words import i18n, language, units

Say = Callable[..., str]
MODULES = (
    address, guess, live, planning, provenance, results, settings, measuring, continuing, layout, model_picker, session,
)  # fmt: skip


class Paper:
    """Streamlit in place of it: notes what is written, by the name of the element; elements hold others."""

    def __init__(self) -> None:
        self.written: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.session_state: dict[str, Any] = {}
        self.query_params: dict[str, str] = {}
        self.context = SimpleNamespace(url="https://example.org/benchmark", locale="en-US")
        self.delta_generator = SimpleNamespace(DeltaGenerator=object)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def element(*given: Any, **options: Any) -> Any:
            self.written.append((name, given, options))
            if name == "columns":
                return [nullcontext()] * (given[0] if isinstance(given[0], int) else len(given[0]))
            return nullcontext()

        return element

    def of(self, name: str) -> list[Any]:
        """Return the first argument of every element of a kind."""
        return [given[0] for kind, given, _ in self.written if kind == name]


@pytest.fixture(params=i18n.LANGS)
def say(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Say:
    """Have the pages speak one language without a visitor, and return its translator."""
    monkeypatch.setattr(language, "current", lambda: request.param)
    return i18n.translator(request.param)


@pytest.fixture
def paper(monkeypatch: pytest.MonkeyPatch) -> Paper:
    made = Paper()
    for module in MODULES:
        monkeypatch.setattr(module, "st", made)
    return made


def text_of(markup: str) -> str:
    return unescape(re.sub("<[^>]+>", "|", markup))


# --- a text that is written on -----------------------------------------------------------------------------------
def step(index: int, text: str, prob: float, rank: int, *, read: int = 9, ends: bool = False) -> Step:
    return Step(index, index, text, text, prob, 0.77, rank, read, 555, ends)


STEPS = (step(0, " one", 0.125, 3), step(1, "", 0.5, 1), step(2, " two", 0.0004, 1234, read=12))


def written(**more: Any) -> SimpleNamespace:
    settings = Settings(tokens=3, greedy=False, sampling=Sampling(0.7, 20, 0.95), seed=17)
    known: dict[str, Any] = {
        "names": ("mamba",), "settings": settings, "steps": {"mamba": STEPS}, "errors": {}, "waiting": False,
        "running": False, "stopped": False, "paces": {"mamba": Pace(1.0, 3.0, 9)},
    }  # fmt: skip
    return SimpleNamespace(**(known | more))


def test_a_written_token_has_its_own_probability_and_rank(say: Say) -> None:
    """The probability is that of the model itself, not that among the tokens that could be drawn."""
    markup = continuing._text("before", written(), "mamba", STEPS, 1536, 4096, named=True)
    titles = [unescape(one) for one in re.findall('title="(.*?)"', markup)]
    assert titles == [
        say("next_word.piece", share="12.5%", rank="3"), say("next_word.piece", share="0.0%", rank="1,234"),
    ]  # fmt: skip
    assert "width:37.5%" in markup
    words = text_of(markup)
    assert say("next_word.facts", tokens=3, size="1.5 KiB") in words
    assert say("next_word.pace", rate="4") in words, "8 tokens after the first in two seconds"
    long = "a" * 20 + " " + "b" * 59
    assert f"\u2026{'b' * 59}" in text_of(continuing._text(long, written(), "mamba", (), 0, 0, named=False))


def test_what_a_model_carries_is_counted_after_the_tokens_it_has_read(say, paper, monkeypatch) -> None:
    monkeypatch.setattr(cache, "cache_bytes", lambda source, tokens: {("mine", 12): 777}[source, tokens])
    paper.session_state["contextscope.continuations.sources"] = {"mamba": {"mamba": "mine"}}
    assert continuing._carried("mamba", "mamba", STEPS) == 777
    assert continuing._carried("mamba", "mamba", ()) == 0


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({}, "done"),
        ({"running": True}, "writing"),
        ({"steps": {"mamba": STEPS[:2]}, "stopped": True}, "stopped"),
        ({"steps": {"mamba": STEPS[:2]}}, "dropped"),
        ({"steps": {"mamba": (step(0, "x", 0.5, 1, ends=True),)}}, "done"),
        ({"steps": {"mamba": ()}, "errors": {"mamba": ValueError()}}, "done"),
    ],
)
def test_a_text_says_how_it_stands_and_how_its_tokens_were_chosen(say, paper, monkeypatch, more, word: str) -> None:
    shown: list[str] = []
    monkeypatch.setattr(continuing.html, "show", lambda *parts: shown.extend(map(str, parts)))
    monkeypatch.setattr(continuing, "line", lambda: SimpleNamespace(ahead=lambda run: 0))
    continuing._status(written(**more))
    how = say("next_word.how.1", temperature="0.7", topk=20, topp="0.95", seed=17)
    assert text_of(shown[0]) == f"||{say(f'next_word.{word}')}| · {how}|"


@pytest.mark.parametrize("ahead", [0, 3])
def test_who_waits_is_told_how_many_are_before(say, paper, monkeypatch, ahead: int) -> None:
    shown: list[str] = []
    monkeypatch.setattr(continuing.html, "show", lambda *parts: shown.extend(map(str, parts)))
    monkeypatch.setattr(continuing, "line", lambda: SimpleNamespace(ahead=lambda run: ahead))
    plain = Settings(tokens=3, greedy=True, sampling=Sampling(), seed=0)
    continuing._status(written(waiting=True, settings=plain))
    known = say("next_word.waiting", ahead=3) if ahead else say("next_word.starting")
    assert known in text_of(shown[0]) and say("next_word.how.0") in text_of(shown[0])


def test_a_text_that_was_cut_says_to_how_much(say, paper) -> None:
    paper.session_state["contextscope.continuations.cut"] = {"mamba": True}
    continuing._troubles("mamba")
    assert paper.of("caption") == [say("next_word.cut", tokens=PROMPT_TOKENS, characters=f"{PROMPT_CHARACTERS:,}")]


@pytest.mark.parametrize(("every_s", "told"), [(0.25, 250), (1.5, 1500), (None, 0)])
def test_a_ticker_is_told_milliseconds_and_nothing_when_it_has_to_stop(monkeypatch, every_s, told) -> None:
    found: dict[str, Any] = {}
    monkeypatch.setattr(ticker, "_component", lambda: lambda **given: found.update(given))
    ticker.ticker(every_s, key="k")
    assert (found["data"], found["key"]) == (told, "k")


# --- what is carried ---------------------------------------------------------------------------------------------
def test_bars_of_what_is_carried_are_as_long_as_their_bytes(say: Say) -> None:
    markup = layout._bars_of((("transformer", 4096), ("mamba", 1024), ("rwkv", 3072)))
    found = re.findall(r"<li.*?</li>", markup)
    names = [say(f"nav.{name}") for name in ("transformer", "mamba", "rwkv")]
    for item, name, size, width in zip(
        found, names, ("4 KiB", "1 KiB", "3 KiB"), ("100.0", "25.0", "75.0"), strict=True
    ):
        assert name in item and f">{size}<" in item and f"width:{width}%" in item


def test_bytes_are_compared_at_the_readers_length_and_at_longer_ones(say, paper, monkeypatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(layout, "cache_bars", asked.append)
    shown: list[str] = []
    monkeypatch.setattr(layout.html, "show", lambda *parts: shown.extend(map(text_of, parts)))
    for tokens, lengths in ((17, [17, 1024, 32768]), (1024, [1024, 32768])):
        asked.clear()
        shown.clear()
        layout.what_it_costs("mamba", tokens)
        assert asked == lengths
        assert [one.strip("|") for one in shown] == [say("cost.tokens", tokens=units.count(n)) for n in lengths]


@pytest.mark.parametrize("counted", [(9, 9), (9, 8)])
def test_the_note_says_whether_the_live_cache_is_as_large_as_its_formula(say: Say, counted: tuple[int, int]) -> None:
    trace = SimpleNamespace(tokens=range(1234), cache_bytes=counted[0], cache_bytes_formula=counted[1])
    agrees = say("layout.formula_agrees" if counted == (9, 9) else "layout.formula_differs")
    assert layout._cache_note([trace]) == f"{say('layout.carried_note', tokens='1,234')} · {agrees}"


def test_a_model_weighs_its_numbers_times_the_bytes_of_each() -> None:
    numbers = [torch.zeros(3, 5), torch.zeros(7, dtype=torch.float16), torch.zeros(2, dtype=torch.float64)]
    loaded = SimpleNamespace(model=SimpleNamespace(parameters=lambda: iter(numbers)))
    assert cache._weight_bytes(loaded) == 15 * 4 + 7 * 2 + 2 * 8


# --- models that are offered -------------------------------------------------------------------------------------
@pytest.mark.parametrize("offer", downloadable.offers(), ids=lambda offer: offer.name)
def test_an_offered_model_says_each_of_its_facts(say, paper, monkeypatch, offer) -> None:
    monkeypatch.setattr(model_picker.hub, "downloaded", lambda source: False)
    monkeypatch.setattr(downloads, "progress", lambda source: None)
    model_picker._offered(offer.architecture, offer)
    caption = paper.of("caption")[0].replace("\\", "")
    key = "models.facts" if offer.params_active == offer.params_total else "models.facts_active"
    values = {"params": units.compact(offer.params_total), "active": units.compact(offer.params_active)}
    facts = say(key, download=units.decimal_size(offer.download_bytes), memory=units.size(offer.need_bytes), **values)
    assert caption.startswith(facts)
    licence = offer.licence or say("models.licence_unknown")
    vocabulary = units.count(offer.vocabulary)
    assert say("models.licence", licence=licence, tokenizer=offer.tokenizer, vocabulary=vocabulary) in caption
    assert f"https://huggingface.co/{offer.id}" in caption
    assert paper.of("markdown")[0].replace("\\", "") == f"**{offer.name}**"


def test_a_bundled_model_says_its_parameters_and_how_many_are_active(say, paper, monkeypatch) -> None:
    monkeypatch.setattr(cache, "parameters", lambda source: 5_600_000)
    monkeypatch.setattr(cache, "active_parameters", lambda source: 3_400_000 if source == "jamba" else 5_600_000)
    monkeypatch.setattr(cache, "architectures", lambda: {"jamba": "jamba", "rwkv": "rwkv"})
    for name in ("jamba", "rwkv"):
        model_picker._bundled(name)
    params, active = units.compact(5_600_000), units.compact(3_400_000)
    known = [
        say("models.bundled_facts_active", params=params, active=active),
        say("models.bundled_facts", params=params),
    ]
    assert [one.replace("\\", "") for one in paper.of("caption") if one != say("models.in_use")] == known


def test_a_download_says_what_is_here_of_how_much_and_its_rate(say, paper) -> None:
    for state in ("running", "cancelled"):
        model_picker._state(DownloadProgress("m", state, 250_000_000, 1_000_000_000, 5_000_000.0))
    amounts = {"done": units.decimal_size(250_000_000), "total": units.decimal_size(1_000_000_000)}
    (bar,) = [(given[0], options["text"]) for kind, given, options in paper.written if kind == "progress"]
    assert bar == (0.25, say("models.progress", rate=units.decimal_size(5_000_000), **amounts))
    assert paper.of("caption") == [say("models.cancelled", done=amounts["done"])]


# --- the benchmark -----------------------------------------------------------------------------------------------
def progress(**more: Any) -> Progress:
    known: dict[str, Any] = {
        "run_id": "r", "state": "running", "position": 0, "total": 9, "done": 4, "cell": Cell("rwkv", "rwkv", 2048),
        "phase": "prefill", "round": 3, "worker_pid": None, "elapsed_s": 50.0, "remaining_s": 120.0, "rounds": 17,
        "rounds_total": 44,
    }  # fmt: skip
    return Progress(**(known | more))


def test_a_run_says_its_place_its_cell_its_round_and_the_time_left(say: Say) -> None:
    left, cell = (
        say("benchmark.left", time=units.duration(120)),
        say("benchmark.cell", name=say("nav.rwkv"), tokens="2,048"),
    )
    phase = say("benchmark.round", phase=say("benchmark.phase.prefill"), number=3)
    held = say("benchmark.paused", time=units.duration(PAUSE_LIMIT_S - 60))
    made = say("benchmark.board.rounds", made="17", total="44")
    elapsed = say("benchmark.board.elapsed", time=units.duration(50))
    known = {
        f"{made} · {cell} · {phase} · {elapsed} · {left}": progress(),
        f"{made} · {cell} · {say('benchmark.phase.start')} · {elapsed} · {left}": progress(phase="", round=0),
        f"{made} · {cell} · {phase} · {elapsed}": progress(remaining_s=None),
        f"{made} · {elapsed} · {left}": progress(cell=None, phase=""),
        f"{made} · {held}": progress(paused=True, held_s=60.0),
        f"{made} · {say('benchmark.pausing')}": progress(paused=True),
        say("benchmark.queued", position=2): progress(state="queued", position=2),
    }
    assert [live.said(now) for now in known.values()] == [*known]


def test_a_headline_counts_what_was_measured_of_what_was_planned(say: Say) -> None:
    rows = [Measurement("r", f"c{n}", state, "mamba", "mamba", 64 * (n + 1), 1, "cpu", "float32", 2, 0)
            for n, state in enumerate(("ok", "unstable", "oom"))]  # fmt: skip
    run = Run("r", "", 10**18, ({}, {}, {}, {}, {}), {"host_cpu": "CPU x"}, tuple(rows), ended="done")
    when = layout.moment_text(10**18)
    assert results._headline(run) == say("benchmark.headline.done", when=when, machine="CPU x", done=2, total=5)


def test_a_plan_says_its_cells_their_time_and_the_most_memory_that_one_takes(say, paper, monkeypatch) -> None:
    cells = tuple(Cell("mamba", "mamba", n) for n in (64, 128))
    foretold = tuple(Prediction(n * 2**20, 0, 0, 2**20, 1.0, 1.0, n * 60.0, fits=True) for n in (3, 2))
    line = SimpleNamespace(waiting=lambda device: {"cpu": 2}[device])
    monkeypatch.setattr(planning.runner, "shared", lambda: line)
    plan = Plan(cells, foretold)
    planning._start(plan, shown="", begun=bool)
    assert paper.of("text") == [say("benchmark.queue.others", count=2)]
    total = say("benchmark.plan.total", cells=2, time=units.duration(300), memory="4 MiB")
    assert planning._line(plan) == say("benchmark.plan.line", total=total)
    for name, preset in PRESETS.items():
        words = say(
            "benchmark.presets.named", name=say(f"benchmark.presets.{name}"), time=units.duration(preset["budget_s"])
        )
        assert settings.preset_name(name) == words


CHOICES: dict[str, Any] = {
    "preset": "careful", "architectures": ["transformer", "jamba"], "size": sizes.TIERS[1], "contexts": [128, 4096],
    "batches": [4, 16], "budget_s": 77, "rounds": 10, "decode_tokens": 40, "seed": 5, "throughput": True,
    "dtype": "float16", "view": VIEWS[1], "kernels": KERNELS[1], "attention": ATTENTION[3], "experts": EXPERTS[2],
    "match": sizes.MATCHES[1],
}  # fmt: skip


@pytest.mark.parametrize("name", CHOICES)
def test_a_choice_of_the_benchmark_comes_back_from_its_address_and_changes_no_other(name: str) -> None:
    written_ = settings_codec.to_query({name: CHOICES[name]})
    assert written_.startswith(f"{name}:") and ";" not in written_
    assert settings_codec.from_query(written_) == {"preset": settings_codec.FIRST} | {name: CHOICES[name]}
    plain = settings_codec.defaults(CHOICES[name] if name == "preset" else settings_codec.FIRST)
    assert settings_codec.to_query(plain | {name: CHOICES[name]}) == written_


def test_all_choices_of_the_benchmark_come_back_together_and_the_usual_ones_are_not_written(paper) -> None:
    assert {*CHOICES} | {"device"} == {*settings_codec.NAMES}, "a new choice needs its value here"
    every = CHOICES | {"throughput": False}  # the careful plan looks for the largest batch
    assert settings_codec.from_query(settings_codec.to_query(every)) == every
    for preset in ("quick", "careful"):
        assert settings_codec.to_query(settings_codec.defaults(preset)) == (
            "" if preset == "quick" else "preset:careful"
        )
    for text in ("seed:-1", "seed:x", f"rounds:{LIMITS['rounds'][1] + 1}", "view:other", "contexts:7", "nonsense", ""):
        assert settings_codec.from_query(text) == {}, text
    session.start("benchmark")
    paper.session_state |= {f"benchmark.{name}": value for name, value in every.items()}
    query = {name: value for name, (value,) in parse_qs(urlsplit(address.of_plan()).query).items()}
    assert settings_codec.from_query(query["plan"]) == every and query["lang"] == "en"


def test_a_ready_plan_replaces_what_it_decides_and_leaves_the_rest(paper) -> None:
    paper.session_state |= {f"benchmark.{name}": value for name, value in CHOICES.items()}
    settings._take_preset()
    plain = settings_codec.defaults("careful")
    for name, value in CHOICES.items():
        known = plain[name] if name in settings_codec.DECIDED else value
        assert paper.session_state[f"benchmark.{name}"] == known, name


def test_a_guess_is_kept_for_its_run_and_asked_anew_for_the_next(paper) -> None:
    paper.session_state |= {"benchmark.guess.carried": "mamba", "benchmark.guess.decode": "rwkv"}
    guess.keep("r1")
    guess.keep("r2")
    assert paper.session_state["benchmark.guesses"] == {"r1": {"carried": "mamba", "decode": "rwkv"}}
    assert {paper.session_state[f"benchmark.guess.{name}"] for name in guess.QUESTIONS} == {None}


def test_a_guess_is_judged_at_the_longest_length_that_all_have_with_the_smallest_batch(say: Say) -> None:
    def row(name: str, context: int, carried: int, batch: int = 1) -> Measurement:
        cell = f"{name}-{context}-{batch}"
        return Measurement("r", cell, "ok", name, name, context, batch, "cpu", "float32", 2, 0, cache_bytes=carried)

    rows = [row("mamba", 64, 10), row("rwkv", 64, 20), row("mamba", 512, 300), row("rwkv", 512, 200),
            row("rwkv", 1024, 1), row("mamba", 1024, 1, 8), row("rwkv", 1024, 9, 8)]  # fmt: skip
    carried = say("benchmark.guess.carries_more", least=say("nav.rwkv"), small="200 B", own="300 B")
    assert guess._cache_bytes(rows, "mamba") == carried
    assert guess._cache_bytes(rows, "rwkv") == say("benchmark.guess.right", why="200 B")
    assert guess._cache_bytes(rows, "jamba") == say("benchmark.guess.open")


def test_the_samples_of_a_cell_say_how_many_rounds_were_unsteady_and_repeated(say, paper, monkeypatch) -> None:
    made = Measurement("r", "c", "ok", "mamba", "mamba", 64, 1, "cpu", "float32", 2, 0, rounds=2, rounds_unsteady=3,
                       rounds_repeated=5, decode_ms_samples=(1.0, 2.0, 3.0, 4.0))  # fmt: skip
    monkeypatch.setattr(paper, "selectbox", lambda *_, **__: "c", raising=False)
    provenance._samples([made])
    assert [one.replace("\\", "") for one in paper.of("caption")] == [
        say("benchmark.provenance.samples_note", unsteady=3, repeated=5)
    ]


# --- recall ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("seconds", "measured", "word"), [(0.0, 0, "waits"), (90.0, 3, "measuring"), (9.0, 0, "measuring")]
)
def test_a_measurement_says_how_many_cells_it_has_of_how_many(say, paper, monkeypatch, seconds, measured, word) -> None:
    monkeypatch.setattr(measuring.results, "watched", lambda task, **_: True)
    run = SimpleNamespace(seconds=seconds, measured=measured, planned=16, stopping=False, error=None)
    measuring._status(SimpleNamespace(task="mqar"), run)
    (bar,) = [(given[0], options["text"]) for kind, given, options in paper.written if kind == "progress"]
    assert bar == (measured / 16, say(f"recall.{word}", done=measured, total=16, time=units.duration(seconds)))


# --- the proof of a figure -----------------------------------------------------------------------------------------
def test_a_curve_is_drawn_from_left_to_right_and_from_its_low_to_its_high_end() -> None:
    path = proof._path([0.0, float("nan"), 2.0, 4.0], 0.0, 4.0, 100)
    room, wide = proof.ROOM, proof.WIDTH - 2 * proof.ROOM
    known = [("M", 0.0, 1.0), ("M", 2 / 3, 0.5), ("L", 1.0, 0.0)]
    assert re.findall(r"([ML])([\d.]+) ([\d.]+)", path) == [
        (kind, f"{room + wide * x:.1f}", f"{room + (100 - 2 * room) * y:.1f}") for kind, x, y in known
    ]
