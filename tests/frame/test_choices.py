"""What the controls of the benchmark and of recall offer: options, words and limits, and what they keep."""

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from models.bench.plan.plan import Plan
from models.bench.plan.settings import ATTENTION, EXPERTS, KERNELS, LIMITS, PRESETS, VIEWS
from models.recall import evaluation
from models.recall.live import Key
from models.records.cell import Cell, Prediction
from models.records.recall import Accuracy
from models.sources import sizes
from pages.compare.benchmark import guess, settings, settings_codec
from pages.compare.recall import measuring, question, results
from pages.shared import cache, html, layout, model_picker
from pages.shared.state import session
from pages.shared.words import i18n, language, units


@pytest.fixture(params=i18n.LANGS)
def say(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Have the pages speak one language without a visitor, and return its translator."""
    monkeypatch.setattr(language, "current", lambda: request.param)
    return i18n.translator(request.param)


class Controls:
    """Streamlit in place of it: notes every control by its key, with its words and options."""

    def __init__(self) -> None:
        self.session_state: dict[str, Any] = {}
        self.query_params: dict[str, str] = {}
        self.context = SimpleNamespace(url="", locale="en-US")
        self.drawn: dict[str, tuple[str, tuple[Any, ...], dict[str, Any]]] = {}

    def __getattr__(self, kind: str) -> Any:
        def element(*given: Any, **options: Any) -> Any:
            if "key" in options and given:
                self.drawn[options["key"]] = (kind, given, options)
            if kind == "columns":
                return [nullcontext()] * given[0]
            return self.session_state.get(options.get("key")) if kind == "toggle" else nullcontext()

        return element


@pytest.fixture
def controls(monkeypatch: pytest.MonkeyPatch) -> Controls:
    made = Controls()
    for module in (settings, guess, results, session, html):
        monkeypatch.setattr(module, "st", made)
    return made


DEVICES = ("cpu", "cuda:0")


@pytest.mark.parametrize("device", DEVICES)
def test_every_setting_offers_its_own_options_under_its_own_words(say, controls, monkeypatch, device: str) -> None:
    monkeypatch.setattr(settings.facts, "devices", lambda: DEVICES)
    monkeypatch.setattr(settings.facts, "device_name", lambda name: name)
    monkeypatch.setattr(settings, "_notes", lambda name: None)
    settings.begin()
    controls.session_state["benchmark.device"] = device
    settings.choose("preset", "careful")
    settings.ask()
    lang = language.current()
    attention = [one for one in ATTENTION if device != "cpu" or one not in ("efficient", "cudnn")]
    usual = "float32" if device == "cpu" else "bfloat16"
    dtypes = [usual, *(one for one in settings_codec.DTYPES if one != usual)]
    known: dict[str, dict[Any, str]] = {
        "preset": {one: settings.preset_name(one) for one in PRESETS},
        "architectures": {one: say(f"nav.{one}") for one in cache.architectures()},
        "size": {one: sizes.tier(one).name[lang] for one in sizes.TIERS},
        "device": {one: one.upper() for one in DEVICES},
        "contexts": {2**n: units.count(2**n) for n in range(7, 18)},
        "batches": {one: str(one) for one in (1, 4, 8, 16, 32)},
        "dtype": {one: one for one in dtypes},
        "view": {one: say(f"benchmark.views.{one}") for one in VIEWS},
        "kernels": {one: say(f"benchmark.kernel.{one}") for one in KERNELS},
        "attention": {one: one for one in attention},
        "experts": {one: say(f"benchmark.expert.{one}") for one in EXPERTS},
        "match": {one: say(f"benchmark.matches.{one}") for one in sizes.MATCHES},
    }
    for name, options in known.items():
        kind, (words, offered), more = controls.drawn[f"benchmark.{name}"]
        assert kind == ("pills" if name in ("architectures", "contexts", "batches") else "segmented_control"), name
        assert words == say(f"benchmark.{name}")
        assert {one: more["format_func"](one) for one in offered} == options and list(offered) == list(options), name
        assert more.get("required", True) is True
    for name, step in {"budget_s": 30, "rounds": 1, "decode_tokens": 8, "seed": 1}.items():
        kind, given, more = controls.drawn[f"benchmark.{name}"]
        assert (kind, given, more["step"]) == ("number_input", (say(f"benchmark.{name}"), *LIMITS[name]), step)
    kind, given, _ = controls.drawn["benchmark.throughput"]
    assert (kind, given) == ("toggle", (say("benchmark.throughput"),))
    assert {*controls.drawn} == {f"benchmark.{name}" for name in settings_codec.NAMES}


def test_a_choice_that_another_device_lacks_becomes_the_first_of_those_it_has(controls, monkeypatch) -> None:
    monkeypatch.setattr(settings.facts, "devices", lambda: DEVICES)
    settings.begin()
    controls.session_state |= {"benchmark.device": "cpu", "benchmark.attention": "cudnn",
                               "benchmark.contexts": [4096, 128, 7]}  # fmt: skip
    found = settings.chosen()
    assert (found["attention"], found["contexts"]) == ("auto", [128, 4096])


@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_guess_is_asked_for_where_there_is_something_to_compare(say, controls, count: int) -> None:
    names = ("transformer", "mamba", "rwkv", "jamba")[:count]
    cells = tuple(Cell(name, name, 64 * (n + 1)) for n, name in enumerate(names))
    foretold = (Prediction(0, 0, 0, 0, 1, 1, 1, fits=True),) * count
    guess.ask(Plan(cells, foretold))
    keys = [f"benchmark.guess.{name}" for name in guess.QUESTIONS] if count > 1 else []
    assert [key for key in controls.drawn if key.startswith("benchmark.guess.")] == keys
    for name, key in zip(guess.QUESTIONS, keys, strict=False):
        _, (words, offered), more = controls.drawn[key]
        assert words == say(f"benchmark.guess.{name}", tokens=units.count(64 * count))
        assert {one: more["format_func"](one) for one in offered} == {one: say(f"nav.{one}") for one in names}


# --- recall ------------------------------------------------------------------------------------------------------
def test_a_visitor_watches_and_stops_the_run_of_that_task_and_no_other(controls, monkeypatch) -> None:
    running: dict[Key, SimpleNamespace] = {}
    left: list[Key] = []
    line = SimpleNamespace(
        start=lambda key: running.update({key: SimpleNamespace(key=key, running=True, stopping=False)}),
        get=running.get, leave=left.append,
    )  # fmt: skip
    monkeypatch.setattr(results, "live_runs", lambda: line)
    assert results.live("mqar") is None and not results.watched("mqar")
    results.start("mqar")
    results.start("induction")
    key = Key("mqar", evaluation.SEED + 1)
    assert results.live("mqar").key == key and results.live("induction").key.task == "induction"
    results.stop("mqar")
    results.stop("mqar")
    assert left == [key], "once"
    assert (results.watched("mqar"), results.watched("induction")) == (False, True)
    running[key].stopping = True
    assert results.watched("mqar"), "until its last cell"
    running[key].running = False
    assert not results.watched("mqar")


def test_the_first_question_that_tells_models_apart_is_found() -> None:
    assert question.first_split({"a": (True, True, False), "b": (True, False, True)}) == 1
    assert question.first_split({"a": (False, True), "b": (True, True)}) == 0
    assert question.first_split({"a": (True, True), "b": (True, True)}) == 0


def record_of(accuracy: dict[tuple[int, int], tuple[float, float]], *, long: tuple[int, ...] = ()) -> Any:
    """Make a record of two models over distances and pairs; some distances are too long for a strip."""
    cells = {
        name: [Accuracy({"distance": d, "pairs": p}, values[n], 0, 1, 640, 999 if d in long else 99, 1)
               for (d, p), values in accuracy.items()]
        for n, name in enumerate(("transformer", "mamba"))
    }  # fmt: skip
    distances, pairs = (sorted({at[n] for at in accuracy}) for n in (0, 1))
    layout = SimpleNamespace(across="distance", up="pairs", places=distances, rows=pairs, trained_to=64)
    return SimpleNamespace(task="mqar", layout=layout, bundled=cells, about={"held_out_seed": 987})


def test_the_cell_that_tells_models_apart_best_is_one_that_training_met_and_a_strip_can_show() -> None:
    places = {(16, 2): (0.9, 0.7), (16, 8): (0.9, 0.5), (64, 2): (0.9, 0.6), (128, 2): (1.0, 0.1), (256, 2): (1.0, 0.0)}
    assert question.telling(record_of(places, long=(256,))) == {"distance": 16, "pairs": 8}
    assert question._readable(record_of(places, long=(256,))) == [16, 64, 128]
    alike = {at: (0.9, 0.85) if at[0] <= 64 else values for at, values in places.items()}
    assert question.telling(record_of(alike, long=(256,))) == {"distance": 128, "pairs": 2}
    assert question._readable(record_of(places, long=(16, 64, 128, 256))) == [16], "the shortest at least"


def test_the_next_wrong_answer_is_looked_for_here_and_then_where_least_is_recalled(monkeypatch) -> None:
    places = {(16, 2): (0.9, 0.7), (64, 2): (0.9, 0.2), (128, 2): (0.9, 0.1)}
    record = record_of(places, long=(128,))
    here, least = {"distance": 16, "pairs": 2}, {"distance": 64, "pairs": 2}
    wrong: dict[int, set[int]] = {16: {3, 7}, 64: {2}}
    monkeypatch.setattr(question, "_right", lambda record, at: {
        "mamba": tuple(n not in wrong[at["distance"]] for n in range(question.QUESTIONS))})  # fmt: skip
    assert question.next_wrong(record, "mamba", here, 3) == (here, 7)
    assert question.next_wrong(record, "mamba", here, 7) == (here, 3), "from the beginning again"
    wrong[16] = {3}
    assert question.next_wrong(record, "mamba", here, 3) == (least, 2), "not the one that is open"
    wrong.update({16: set(), 64: set()})
    assert question.next_wrong(record, "mamba", here, 3) is None
    assert question._seed(record) == 986


RUN = SimpleNamespace(measured=3, cells={"live": 1})


@pytest.mark.parametrize(
    ("run", "watched", "wanted", "live"),
    [
        (None, False, None, False),
        (RUN, False, None, True),
        (RUN, False, "live", True),
        (RUN, False, "recorded", False),
        (RUN, True, "recorded", True),
        (SimpleNamespace(measured=0, cells={}), True, None, True),
        (SimpleNamespace(measured=0, cells={}), False, None, False),
    ],
)
def test_what_is_measured_is_on_screen_while_it_runs_and_then_what_was_chosen(monkeypatch, run, watched, wanted, live):
    monkeypatch.setattr(measuring, "st", SimpleNamespace(session_state={"recall.shown.mqar": wanted} if wanted else {}))
    monkeypatch.setattr(measuring.results, "watched", lambda task, **_: watched)
    record = SimpleNamespace(task="mqar", bundled={"recorded": 1})
    assert measuring._shown(record, run) == (live, run.cells if live else record.bundled)


# --- the models that read ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("chosen", "folders", "downloaded", "source", "here", "name"),
    [
        (None, True, False, "mamba", "mamba", "bundled"),
        ("state-spaces/mamba-130m-hf", True, False, "state-spaces/mamba-130m-hf", "mamba", "Mamba 130M"),
        (
            "state-spaces/mamba-130m-hf",
            True,
            True,
            "state-spaces/mamba-130m-hf",
            "state-spaces/mamba-130m-hf",
            "Mamba 130M",
        ),
        ("/data/my model", True, False, "/data/my model", "/data/my model", "my model"),
        ("/data/my model", False, False, "mamba", "mamba", "bundled"),
    ],
)
def test_the_model_that_reads_is_the_chosen_one_where_it_may_be(
    say, monkeypatch, chosen, folders: bool, downloaded: bool, source: str, here: str, name: str
) -> None:
    visit = SimpleNamespace(model={"mamba": chosen}.get)
    monkeypatch.setattr(model_picker.session, "current", lambda: visit)
    monkeypatch.setattr(model_picker, "folders_allowed", lambda: folders)
    monkeypatch.setattr(model_picker.hub, "downloaded", lambda one: downloaded)
    monkeypatch.setattr(cache, "architectures", lambda: {"mamba": "mamba", "rwkv": "rwkv"})
    monkeypatch.setattr(cache, "bundled", lambda: ("mamba", "rwkv"))
    assert (model_picker.chosen("mamba"), model_picker.chosen_here("mamba")) == (source, here)
    assert model_picker.name_of("mamba") == (say("models.bundled") if name == "bundled" else name)
    code = session.folder_code("mamba", source) if source.startswith("/") else source
    assert model_picker.code_of("mamba") == code
    assert model_picker.chosen("rwkv") == "rwkv", "the other architectures keep theirs"
    asked: list[tuple[str, int]] = []
    monkeypatch.setattr(cache, "cache_bytes", lambda one, tokens: asked.append((one, tokens)) or 1024)
    monkeypatch.setattr(layout.html, "show", lambda *markup: None)
    layout.cache_bars(77)
    assert asked == [(here, 77), ("rwkv", 77)], "what is carried is that of the model that can read here"
