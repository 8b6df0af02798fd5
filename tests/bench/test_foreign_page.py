"""A run of another program on the benchmark page: in both languages, under its own name, with what it lacks said."""

import json

import foreign_samples as samples
import hostile
import pytest
from page_helpers import texts
from showing import noting, opened

from models import registry
from models.bench.judge.statistics import growth_exponent
from models.bench.report import html_page
from models.bench.store import files
from models.cli import bench_report
from models.cli import runs as runs_command
from models.looks import looks
from models.records.run import Run
from pages.compare.benchmark import other_tools, provenance, verdicts
from pages.shared import figure_menu
from pages.shared.words import i18n
from viz.bench import batches, memory, speed
from viz.bench.rows import series_of
from viz.look.theme import DARK, LIGHT

STATE = {
    "benchmark.provenance": True,
    "benchmark.beside_runs": True,
    "benchmark.rows": True,
    "benchmark.hood.pareto": True,
}
SWEPT = [samples.reading(n_prompt=n, avg_ts=None, avg_ns=n * 140000, samples_ns=[n * 140000, n * 150000, n * 145000])
         for n in (128, 256, 512)]  # fmt: skip
FILES = {
    "llama-bench": samples.as_lines([*SWEPT, samples.generating(), samples.reading(n_depth=4096)]),
    "llama-bench table": samples.as_table([samples.reading(), samples.generating(n_depth=64)]),
    "llama-benchy": samples.benchy(samples.benchy_test(), samples.benchy_test(prompt_size=1024, concurrency=4)),
    "GuideLLM": samples.guidellm(samples.guidellm_test(), samples.guidellm_test("concurrent")),
    "optimum-benchmark": samples.optimum(),
}
with_models = pytest.mark.skipif(not registry.bundled(), reason="no bundled checkpoints")


def run_of(tool: str) -> Run:
    return files.parse("mine.json", FILES[tool])


def look(lang="en", theme=LIGHT):
    return {"t": i18n.translator(lang), "theme": theme}


def drawn(fig):
    """Return the names of the lines of a chart, and every x and y of their points."""
    lines = [trace for trace in fig.body.to_dict()["data"] if trace.get("meta") == "line"]
    return {trace["name"] for trace in lines}, [
        at for trace in lines for at in zip(trace["x"], trace["y"], strict=True)
    ]


@pytest.mark.slow
@with_models
@pytest.mark.parametrize("lang", i18n.LANGS)
@pytest.mark.parametrize("tool", FILES)
def test_the_page_shows_it_without_an_error(shared, monkeypatch, tool, lang):
    run_id = shared.store.import_file("mine.json", FILES[tool])
    with noting(monkeypatch) as seen:
        at = opened("benchmark", lang=lang, run=run_id, state=STATE)
    run = shared.store.run(run_id)
    said = texts(at)
    assert i18n.say(lang, "benchmark.tool.measured", tools=run.rows[0].tool) in said.replace("\\", "")
    keys = {one.key for one in seen}
    assert {"benchmark.prefill", "benchmark.decode"} <= keys
    assert not keys & {"benchmark.memory", "benchmark.parts"}, "no file has bytes: no empty axes are drawn"
    html = "".join(element.proto.body for element in at.get("html"))
    assert "cs-provenance" in html and run.rows[0].architecture in html
    assert hostile.unescaped(at) == []


@pytest.mark.slow
@with_models
@pytest.mark.parametrize("lang", i18n.LANGS)
def test_a_hostile_file_is_shown_as_text(shared, lang):
    bad = {
        "model_type": hostile.TEXT,
        "cpu_info": hostile.TEXT,
        "model_filename": hostile.TEXT,
        "devices": hostile.TEXT,
    }
    tests = [samples.reading(**bad), samples.reading(**bad | {"n_threads": 4}), samples.generating(**bad)]
    tests.append(samples.reading(model_type="mamba cs-hidden", n_depth=7, devices=hostile.TEXT))
    run_id = shared.store.import_file(f"{hostile.NAME}.json", samples.as_lines(tests))
    at = opened("benchmark", lang=lang, run=run_id, state=STATE)
    assert hostile.holds(at, "onerror")
    assert hostile.unescaped(at) == []


@pytest.mark.slow
@with_models
def test_the_page_says_what_is_wrong_with_a_file(shared):
    at = opened("benchmark")
    (box,) = at.get("file_uploader")
    assert {".json", ".jsonl", ".csv", ".parquet"} <= {f".{kind.lstrip('.')}" for kind in box.proto.type}


@pytest.mark.parametrize("lang", i18n.LANGS)
@pytest.mark.parametrize("tool", FILES)
def test_what_is_said_of_a_file(monkeypatch, tool, lang):
    monkeypatch.setattr(other_tools, "t", i18n.translator(lang))
    run = run_of(tool)
    said = other_tools.sentences(run)

    def there(key, **values):
        return i18n.say(lang, f"benchmark.tool.{key}", **values) in said

    assert there("measured", tools=run.rows[0].tool)
    assert there("served", tools=tool) is (tool in ("llama-benchy", "GuideLLM"))
    assert there("begins", tool=tool) is (tool == "llama-bench")
    assert there("left_out", count="1", list="5-pp512-d4096") is (tool == "llama-bench")
    loose = {"llama-bench table": "2", "llama-benchy": "1", "GuideLLM": "1"}.get(tool, "0")
    assert there("no_rounds", count=loose, total="2") is (loose != "0")
    (lacking,) = [line for line in said if line.startswith(i18n.say(lang, "benchmark.tool.lacking", list="")[:5])]
    assert i18n.say(lang, "benchmark.tool.lacks.carried") in lacking
    assert i18n.say(lang, "benchmark.tool.lacks.decode") not in lacking


def test_a_figure_is_left_out_only_where_no_row_has_its_quantity(measurement):
    read = files.parse("x", samples.as_lines([samples.reading()])).current
    assert other_tools.drawable(read, "prefill") and not other_tools.drawable(read, "decode")
    assert other_tools.drawable(read, "decode", "prefill") and not other_tools.drawable(read, "carried", "peak")
    assert other_tools.drawable([*read, measurement(state="failed")], "decode"), "why a cell of ours has none is drawn"


def test_a_number_type_that_the_name_holds_is_not_told_twice():
    tests = [samples.reading(), samples.reading(model_type="llama 8B F16")]
    found = series_of(files.parse("x", samples.as_lines(tests)).current, t=i18n.translator("en"))
    assert [one.name for one in found] == ["qwen2 7B Q4_K - Medium", "llama 8B F16"]


@pytest.mark.parametrize(("kind", "said"), [("llama 8B F16", True), ("llama 8B Q4_K - Medium", False)])
def test_series_that_may_not_be_judged_are_told(monkeypatch, kind, said):
    monkeypatch.setattr(other_tools, "t", i18n.translator("en"))
    run = files.parse("x", samples.as_lines([samples.reading(), samples.reading(model_type=kind)]))
    assert (i18n.say("en", "benchmark.tool.unlike") in other_tools.sentences(run)) is said


def test_nothing_is_said_of_runs_of_ours(measurement):
    assert other_tools.sentences(Run("r", "", 1, (), {}, (measurement(),))) == []


@pytest.mark.parametrize("theme", [LIGHT, DARK])
@pytest.mark.parametrize("lang", i18n.LANGS)
@pytest.mark.parametrize("tool", FILES)
def test_every_figure_draws_it(tool, lang, theme):
    rows = run_of(tool).current
    for draw in (speed.prefill_vs_context, speed.decode_vs_context, memory.memory_vs_context, memory.memory_parts,
                 batches.pareto):  # fmt: skip
        draw(rows, **look(lang, theme))
    assert {row.architecture for row in rows} & set(looks()) == set()


def test_a_figure_draws_the_middle_where_a_file_has_no_single_times():
    rows = run_of("llama-bench table").current
    names, read = drawn(speed.prefill_vs_context(rows, **look(), fit=growth_exponent))
    assert "qwen2 7B Q4_K - Medium" in names and (512.0, 0.07) in read
    fig = speed.decode_vs_context(rows, **look())
    assert (64.0, pytest.approx(0.011)) in drawn(fig)[1]
    assert i18n.say("en", "viz.bench.note_tools", tools="llama-bench") in fig.note


def test_a_fit_takes_rounds_alone():
    rows = run_of("llama-bench").current
    fitted = [name for name in speed.prefill_vs_context(rows, **look(), fit=growth_exponent).data if "exponent" in name]
    assert fitted == ["qwen2 7B Q4_K - Medium_exponent"]
    means = files.parse("x", samples.as_table(SWEPT)).current
    assert [n for n in speed.prefill_vs_context(means, **look(), fit=growth_exponent).data if "exponent" in n] == []


def test_growth_is_told_of_rounds_alone(monkeypatch):
    monkeypatch.setattr(verdicts, "t", i18n.translator("en"))
    other = [test | {"model_type": "other", "samples_ns": [v * 2 for v in test["samples_ns"]]} for test in SWEPT]
    tests = [test | {"avg_ns": None} for test in (*SWEPT, *other)]
    assert verdicts.growth_line(files.parse("x", samples.as_lines(tests)).current)
    several = [samples.benchy_test(prompt_size=n, concurrency=4) for n in (128, 256, 512)]
    two = json.loads(samples.benchy(*several))
    both = "\n".join(json.dumps(two | {"model": name}) for name in "ab").encode()
    assert verdicts.growth_line(files.parse("x", both).current) == ""


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_a_name_that_is_no_architecture_has_a_neutral_look_of_its_own(theme):
    names = [f"model {n}" for n in range(40)]
    assert {theme.color(name) for name in names} == {theme.ink}
    assert all(theme.marker(name) == LIGHT.marker(name) and theme.dash(name) == LIGHT.dash(name) for name in names)
    assert len({(theme.marker(name), theme.dash(name)) for name in names}) > 8
    for key, own in looks().items():
        assert (theme.marker(key), theme.dash(key)) == (own.marker, own.dash)


def test_the_arrays_of_a_series_are_files_inside_their_folder():
    rows = files.parse("x", samples.benchy(model="../../org/evil")).current
    data = speed.prefill_vs_context(rows, **look()).data
    assert list(data) == ["../../org/evil"]
    assert figure_menu._file_names([*data, ".._.._org_evil", "a"]) == [".._.._org_evil", ".._.._org_evil (2)", "a"]
    assert b"../" not in figure_menu.to_npz(data)


@pytest.mark.parametrize("lang", i18n.LANGS)
@pytest.mark.parametrize("tool", FILES)
def test_a_report_of_it_is_written(tool, lang):
    run = run_of(tool)
    words = i18n.translator(lang)
    page, table = html_page.html(run, words), html_page.markdown(run, words)
    assert run.rows[0].architecture in page and "1970" not in page and "1970" not in table
    wild = Run(run.run_id, "", 0, (), {}, tuple(run.rows))
    assert "1970" not in html_page.html(wild, words)


def test_the_command_line_takes_it_over(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CONTEXTSCOPE_DATA", str(tmp_path / "data"))
    paths = [tmp_path / f"{number}.json" for number in range(len(FILES))]
    for path, data in zip(paths, FILES.values(), strict=True):
        path.write_bytes(data)
    bad = tmp_path / "bad.json"
    bad.write_bytes(json.dumps(samples.optimum_report()).encode())
    store = runs_command.Store()
    assert runs_command._import(store, [*paths, bad]) == 1
    told = capsys.readouterr().err
    assert told.count(" is run ") == len(FILES) and "bad.json is of optimum-benchmark: row 1 lacks config" in told
    for summary in store.summaries():
        if summary.imported:
            run = store.run(summary.run_id)
            bench_report.print_rows(run.current, as_json=False)
            bench_report.print_verdicts(run.current)
    assert "qwen2 7B" in capsys.readouterr().out


def test_its_facts_stand_under_the_names_that_its_program_gives_them(monkeypatch):
    monkeypatch.setattr(provenance, "t", i18n.translator("en"))
    monkeypatch.setattr(provenance.session, "language", lambda: "en")
    facts = dict(provenance._about(run_of("llama-bench")))
    assert facts["Measured by"] == "llama-bench" and facts["Its version"] == "8cf427ff 5163"
    assert facts["n_ubatch"] == "512" and facts["Protocol"] == ""
    assert "None" not in facts.values()
