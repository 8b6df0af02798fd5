"""Files of other programs open as runs: known values in our columns, nothing of what they lack, a sentence else."""

import json
import math

import foreign_samples as samples
import pytest

from models.bench.judge import verdicts
from models.bench.judge.comparison import compare
from models.bench.store import files
from models.bench.store.store import Store
from models.errors import SourceError
from models.looks import looks
from models.records.measurement import TOOLS, Measurement
from models.records.run import fingerprint
from pages.shared.words import i18n

FILES = {
    "llama-bench": samples.as_lines([samples.reading(), samples.generating()]),
    "llama-benchy": samples.benchy(),
    "GuideLLM": samples.guidellm(),
    "optimum-benchmark": samples.optimum(),
}
# What none of these programs measures.
NEVER = (
    "cache_bytes", "cache_bytes_formula", "bytes_logits", "bytes_workspace", "baseline_bytes", "peak_bytes",
    "pred_bytes", "pred_ms", "parity_max_rel", "ops_per_token", "launch_fraction", "harness_ms", "mbu", "mfu",
    "energy_j_per_token", "sentinel_before_ms", "sentinel_best_ms", "cpu_waited", "cpu_others", "load_avg",
    "tpot_iqr_rel", "ttft_iqr_rel", "rounds_unsteady", "warmup_steps", "foreign_processes",
)  # fmt: skip


def opened(data: bytes, name: str = "mine.json"):
    return files.parse(name, data)


def only(data: bytes) -> Measurement:
    (row,) = opened(data).rows
    return row


def refused(data: bytes, name: str = "mine.json") -> SourceError:
    with pytest.raises(SourceError) as found:
        files.parse(name, data)
    for lang in i18n.LANGS:
        said = i18n.say(lang, found.value.key, **found.value.values)
        assert name in said
        assert str(found.value.values.get("field", "")) in said
    return found.value


@pytest.mark.parametrize("tool", FILES)
def test_what_a_file_lacks_is_empty(tool):
    run = opened(FILES[tool])
    assert run.imported and run.rows and run.title == "mine" and run.ended == "done"
    for row in run.rows:
        assert row.tool == tool == row.environment["tool"]
        assert {name: getattr(row, name) for name in NEVER} == dict.fromkeys(NEVER)
        assert (row.attention, row.kernels, row.experts, row.size, row.config_hash) == ("",) * 5
        assert row.protocol_version == 0 and row.implementation == {} and row.architecture not in looks()
    assert len(run.cells) == len(run.rows) == len({row.cell_id for row in run.rows})
    assert {row.seed for row in run.rows} == ({42} if tool == "optimum-benchmark" else {None})


@pytest.mark.parametrize("tool", FILES)
@pytest.mark.parametrize("fmt", ["jsonl", "csv", "parquet"])
def test_an_export_of_it_opens_as_the_same_run(tool, fmt):
    run = opened(FILES[tool])
    assert files.parse("x", files.export(run, fmt)) == run


@pytest.mark.parametrize("tool", FILES)
def test_a_file_is_taken_over_once(tool, tmp_path):
    store = Store(tmp_path, recorded=None)
    first = store.import_file("a.json", FILES[tool])
    assert store.import_file("a.json", FILES[tool]) == first
    assert [(one.measured, one.cells) for one in store.summaries()] == [(len(store.run(first).rows),) * 2]
    assert store.latest() is None and store.recent_rows() == ()


def test_llama_bench_counts_nanoseconds():
    read, wrote = opened(FILES["llama-bench"]).rows
    assert read.prefill_ms_samples == (74.0, 70.0, 66.0) and read.decode_ms_samples == ()
    assert (read.context, read.decode_tokens, read.rounds, read.ttft_ms_med) == (512, 0, 3, 70.0)
    assert wrote.decode_ms_samples == (10.0, 12.0) and wrote.prefill_ms_samples == ()
    assert (wrote.context, wrote.decode_tokens, wrote.rounds, wrote.tpot_ms_med) == (1, 100, 2, 11.0)
    assert wrote.decode_tokens_per_s == pytest.approx(1e3 / 11)
    for row in (read, wrote):
        assert row.architecture == "qwen2 7B Q4_K - Medium" and row.dtype == "Q4_K - Medium"
        assert (row.device, row.threads, row.batch, row.source) == ("cuda", 8, 1, "Qwen2.5-7B-Q4_K_M.gguf")
        assert (row.params_total, row.bytes_weights) == (7615616512, 4677120000)
        assert row.environment["tool_version"] == "8cf427ff 5163" and row.environment["device_name"] == "RTX 4080"
        assert row.environment["n_batch"] == 2048 and row.environment["host_cpu"] == "AMD Ryzen 7"
    assert read.started_ns == 1745495930 * 10**9 == opened(FILES["llama-bench"]).created_ns


def test_llama_bench_at_a_depth_and_in_both_phases():
    tests = [
        samples.generating(n_depth=4096), samples.reading(n_depth=4096),
        samples.reading(n_gen=100, avg_ns=1_000_000_000, avg_ts=612.0, samples_ns=[1_000_000_000]),
    ]  # fmt: skip
    run = opened(samples.as_lines(tests))
    deep, both = run.rows
    assert (deep.context, deep.decode_ms_samples, deep.cell_id) == (4096, (10.0, 12.0), "1-tg100-d4096")
    assert run.environment["left_out"] == ["2-pp512-d4096"]
    assert (both.context, both.decode_tokens, both.e2e_ms_samples) == (512, 100, (1000.0,))
    assert both.e2e_tokens_per_s == 100.0 and both.prefill_ms_samples == both.decode_ms_samples == ()
    assert refused(samples.as_lines([samples.reading(n_depth=4096)])).key == "errors.import_nothing"


@pytest.mark.parametrize("write", [samples.as_lines, samples.as_table, lambda tests: json.dumps(tests).encode()])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_llama_bench_in_every_form(write, encoding):
    """PowerShell writes what is redirected as UTF-16."""
    data = write([samples.reading(), samples.generating()]).decode().encode(encoding)
    read, wrote = opened(data).rows
    assert (read.context, read.threads, read.params_total) == (512, 8, 7615616512)
    assert (read.ttft_ms_med, wrote.tpot_ms_med) == (70.0, 11.0)


def test_a_table_of_llama_bench_has_means_and_no_rounds():
    rows = opened(samples.as_table([samples.reading(), samples.generating()])).rows
    for row in rows:
        assert row.prefill_ms_samples == row.decode_ms_samples == () and row.rounds is None
        assert row.timed and not row.in_rounds


def test_several_models_and_settings_are_series_of_their_own():
    tests = [
        samples.reading(), samples.reading(n_threads=4), samples.reading(n_threads=4, n_gpu_layers=0),
        samples.reading(model_type="mamba"), samples.reading(model_type="llama 8B F16"),
    ]  # fmt: skip
    rows = opened(samples.as_lines(tests)).rows
    names = [row.architecture for row in rows]
    assert len(set(names)) == 5
    assert names[0] == "qwen2 7B Q4_K - Medium · n_gpu_layers -1 · device_name RTX 4080 · threads 8"
    assert "n_gpu_layers -1" in names[1] and "n_gpu_layers 0" in names[2] and "threads 4" in names[2]
    assert names[3] == "mamba (llama-bench)", "it is not taken for our architecture"
    assert names[4] == "llama 8B F16"
    assert [row.device for row in rows] == ["cuda", "cuda", "cpu", "cuda", "cuda"]


def test_long_names_stay_apart():
    tests = [samples.reading(model_type="x" * 110, n_batch=n) for n in (1, 2, 3)]
    names = [row.architecture for row in opened(samples.as_lines(tests)).rows]
    assert len(set(names)) == 3 and max(map(len, names)) <= 90


def test_llama_benchy_has_milliseconds_and_rates():
    row = only(samples.benchy())
    assert row.prefill_ms_samples == (1000.0, 1100.0) and row.first_token_ms_samples == (1020.0, 1120.0)
    assert row.decode_ms_samples == (20.0, 25.0) and row.tpot_ms_med == 22.5 and row.ttft_ms_med == 1070.0
    assert (row.context, row.batch, row.decode_tokens, row.rounds) == (2048, 1, 32, 2)
    assert (row.architecture, row.device, row.dtype) == ("unsloth/Qwen3-4B-GGUF", "", "")
    assert row.environment["tool_version"] == "0.4.0" and row.environment["latency_ms"] == 12.5
    assert row.started_ns is None and opened(samples.benchy()).created_ns == 1787911200 * 10**9


def test_llama_benchy_behind_a_cache_and_by_several_requests():
    loaded = samples.benchy_test(context_size=4096, is_context_prefill_phase=True)
    behind = samples.benchy_test(context_size=4096)
    several = samples.benchy_test(concurrency=2, tg_throughput=samples.metric(60.0, 62.0),
                                  tg_req_throughput=samples.metric(30.0, 31.0, 29.0, 32.0))  # fmt: skip
    load, cached, two = opened(samples.benchy(loaded, behind, several, prefix_caching_enabled=True)).rows
    assert (load.context, load.prefill_ms_samples) == (4096, (1000.0, 1100.0))
    assert (cached.context, cached.prefill_ms_samples, cached.ttft_ms_med) == (6144, (), None)
    assert cached.decode_ms_samples == (20.0, 25.0)
    assert (two.batch, two.rounds, two.decode_tokens_per_s) == (2, None, 61.0)
    assert two.decode_ms_samples == pytest.approx([1e3 / 30, 1e3 / 31, 1e3 / 29, 1e3 / 32])
    whole = only(samples.benchy(behind))
    assert (whole.context, whole.prefill_ms_samples) == (6144, (1000.0, 1100.0)), "all of it was read"


def test_llama_benchy_without_values():
    nothing = dict.fromkeys(("tg_throughput", "ttfr", "est_ppt", "e2e_ttft"))
    row = only(samples.benchy(samples.benchy_test(**nothing)))
    assert (row.state, row.reason_key) == ("failed", "benchmark.tool.nothing")
    some = only(samples.benchy(samples.benchy_test(est_ppt=samples.metric(0.0, 1000.0), tg_throughput=None)))
    assert some.prefill_ms_samples == (1000.0,) and some.tpot_ms_med is None and some.rounds is None


def test_guidellm_has_milliseconds_and_whole_requests_in_seconds():
    row = only(samples.guidellm())
    assert row.first_token_ms_samples == (48.0, 50.0, 52.0) and row.decode_ms_samples == (9.5, 10.0, 11.0)
    assert row.e2e_ms_samples == (1300.0, 1330.0, 1500.0) and row.prefill_ms_samples == ()
    assert (row.ttft_ms_med, row.tpot_ms_med, row.decode_tokens_per_s) == (50.0, 10.0, 97.0)
    assert (row.context, row.batch, row.decode_tokens, row.rounds) == (512, 1, 128, 3)
    assert (row.architecture, row.started_ns) == ("org/Model-7B", 1777451316500000000)
    assert row.environment["requests_errored"] == 1 and row.environment["tool_version"] == "0.6.0"


def test_guidellm_keeps_no_secret():
    run = opened(samples.guidellm(guidellm_test := samples.guidellm_test()))
    assert guidellm_test["config"]["backend"]["api_key"] == "secret key"
    for fmt in ("jsonl", "csv"):
        assert b"secret" not in files.export(run, fmt)


def test_guidellm_under_load_has_no_rounds():
    pattern = {"strategy": {"type_": "constant", "rate": 2.5}}
    metrics = samples.guidellm_test()["metrics"] | {"request_concurrency": samples.spread(3.4)}
    tests = (samples.guidellm_test("concurrent"), samples.guidellm_test(config=pattern, metrics=metrics))
    first, second = opened(samples.guidellm(*tests, args={"model": "named/in-args"})).rows
    assert (first.batch, first.in_rounds, first.architecture) == (4, False, "org/Model-7B")
    assert (second.batch, second.in_rounds) == (3, False)
    assert second.architecture == "named/in-args"


def test_guidellm_in_its_other_versions():
    old = samples.guidellm_test()
    old |= {"config": None, "args": {"strategy": {"type_": "concurrent", "streams": 8}},
            "worker": {"backend_model": "old/model"}, "requests": None}  # fmt: skip
    row = only(samples.guidellm(old, metadata=None))
    assert (row.architecture, row.batch, row.ttft_ms_med, row.decode_ms_samples) == ("old/model", 8, 50.0, ())
    new = samples.guidellm_test() | {"config": {"strategy": {"kind": "concurrent", "streams": 2}}}
    spec = {"spec": {"backend": {"model": "new/model", "api_key": "secret"}}}
    row = only(samples.guidellm(new, metadata={"version": 2, "guidellm_version": "0.7.3"}, config=spec, args=None))
    assert (row.architecture, row.batch, row.environment["strategy"]) == ("new/model", 2, "concurrent")
    unnamed = only(samples.guidellm(new, args=None))
    assert unnamed.architecture == "GuideLLM"


def test_a_zero_of_guidellm_is_nothing():
    metrics = samples.guidellm_test()["metrics"]
    none = {name: samples.spread(0.0, 0) for name in ("time_to_first_token_ms", "inter_token_latency_ms")}
    row = only(samples.guidellm(samples.guidellm_test(metrics=metrics | none, requests={"successful": []})))
    assert (row.state, row.ttft_ms_med, row.tpot_ms_med) == ("failed", None, None)
    assert row.reason_key == "benchmark.tool.nothing"


def test_optimum_benchmark_has_seconds_of_a_repetition():
    row = only(samples.optimum())
    assert row.prefill_ms_samples == (40.0, 60.0) and row.ttft_ms_med == 50.0
    assert row.decode_ms_samples == (250.0, 500.0), "four tokens after the first in 1 and 2 s"
    assert (row.context, row.batch, row.decode_tokens, row.rounds) == (256, 2, 4, 2)
    assert row.decode_tokens_per_s == pytest.approx(2 / 0.375)
    assert (row.device, row.dtype, row.seed, row.threads) == ("cuda", "float16", 42, None)
    assert (row.peak_reserved_bytes, row.peak_process_bytes, row.peak_bytes) == (1_400_000_000, 1_500_000_000, None)
    assert row.environment["device_name"] == "Tesla T4" and row.environment["host_cpu"] == "Intel Xeon"
    assert row.environment["transformers"] == "4.45.2" and opened(samples.optimum()).created_ns == 0


def test_optimum_benchmark_has_single_tokens_where_all_are_there():
    steps = samples.latency(0.2, 0.3, 0.2, 0.3, 0.5, 0.5, 0.4, 0.6)
    row = only(samples.optimum(samples.optimum_report(per_token=samples.target(steps))))
    assert row.decode_ms_samples == pytest.approx([200, 300, 200, 300, 500, 500, 400, 600]) and row.rounds == 2


def test_a_quantized_model_of_optimum_benchmark_is_named_by_it():
    assert only(samples.optimum(quantization_scheme="gptq")).dtype == "gptq"


WRONG = {
    "llama-bench lacks": (samples.as_lines([samples.reading(avg_ns=None, samples_ns=None)]), "avg_ns"),
    "llama-bench unit": (samples.as_lines([samples.reading(avg_ns=70, samples_ns=[70])]), "avg_ns"),
    "llama-bench negative": (samples.as_lines([samples.reading(samples_ns=[-1])]), "samples_ns"),
    "llama-bench huge": (samples.as_lines([samples.reading(samples_ns=[1e308])]), "samples_ns"),
    "llama-bench text": (samples.as_lines([samples.reading(samples_ns=["7e7", "x"])]), "samples_ns"),
    "llama-bench nothing": (samples.as_lines([samples.reading(n_prompt=0)]), "n_prompt"),
    "llama-bench tokens": (samples.as_lines([samples.reading(n_prompt=-5)]), "n_prompt"),
    "llama-bench half": (samples.as_lines([samples.reading(n_prompt=0.5)]), "n_prompt"),
    "llama-bench true": (samples.as_lines([samples.reading(n_prompt=True)]), "n_prompt"),
    "llama-bench date": (samples.as_lines([samples.reading(test_time="yesterday")]), "test_time"),
    "llama-bench list": (samples.as_lines([samples.reading(samples_ns=5)]), "samples_ns"),
    "llama-bench name": (samples.as_lines([samples.reading(model_type=["x"])]), "model_type"),
    "benchy lacks": (samples.benchy(samples.benchy_test(prompt_size=None)), "benchmarks.prompt_size"),
    "benchy negative": (samples.benchy(samples.benchy_test(est_ppt=samples.metric(-1.0))), "benchmarks.est_ppt.values"),
    "benchy none": (samples.benchy(samples.benchy_test(concurrency=0)), "benchmarks.concurrency"),
    "benchy list": (samples.benchy(benchmarks={"a": 1}), "benchmarks"),
    "benchy metric": (samples.benchy(samples.benchy_test(est_ppt=5)), "benchmarks.est_ppt"),
    "guidellm newer": (samples.guidellm(metadata={"version": 3, "guidellm_version": "9"}), "metadata.version"),
    "guidellm lacks": (samples.guidellm(samples.guidellm_test(metrics={}, requests={})),
                       "benchmarks.metrics.prompt_token_count"),
    "guidellm date": (samples.guidellm(samples.guidellm_test(start_time=1e300)), "benchmarks.start_time"),
    "optimum report": (json.dumps(samples.optimum_report()).encode(), "config"),
    "optimum unit": (samples.optimum(samples.optimum_report(prefill=samples.target({"unit": "ms", "values": [1.0]}))),
                     "report.prefill.latency.unit"),
    "optimum forward": (samples.optimum({"forward": samples.target(samples.latency(1.0))}), "report.prefill"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_field_that_cannot_be_read_is_named(name):
    data, field = WRONG[name]
    error = refused(data)
    assert error.key in ("errors.import_field", "errors.import_field_missing")
    assert (error.values["field"], error.values["row"]) == (field, 1)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("tool", FILES)
def test_no_number_of_a_file_is_refused_wherever_it_stands(tool, value):
    text = FILES[tool].decode()
    old = {"llama-bench": '"stddev_ts": 140.3', "llama-benchy": '"std": 0.5', "GuideLLM": '"variance": 0.0',
           "optimum-benchmark": '"stdev": 0.0'}[tool]  # fmt: skip
    assert old in text
    error = refused(text.replace(old, f"{old.split(':')[0]}: {value}", 1).encode())
    assert error.key == "errors.import_field" and error.values["field"].endswith(old.split('"')[1])


@pytest.mark.parametrize("value", ["1_000", "１２", "+5", ".5x"])
@pytest.mark.parametrize("tool", FILES)
def test_what_is_no_number_of_json_is_told_with_line_and_field(tool, value):
    text = FILES[tool].decode()
    field, number = {"llama-bench": ("n_batch", "2048"), "llama-benchy": ("prompt_size", "2048"),
                     "GuideLLM": ("duration", "380.5"), "optimum-benchmark": ("seed", "42")}[tool]  # fmt: skip
    assert f'"{field}": {number}' in text
    error = refused(text.replace(f'"{field}": {number}', f'"{field}": {value}', 1).encode())
    assert error.key == "errors.import_value" and error.values["column"] == field and error.values["row"] >= 1


@pytest.mark.parametrize("text", ["nan", "inf", "1_000", "１２", "-Infinity"])
@pytest.mark.parametrize("field", ["n_prompt", "n_batch", "avg_ns", "stddev_ns", "n_threads", "model_size"])
def test_an_odd_number_of_a_table_is_told_with_row_and_field(field, text):
    error = refused(samples.as_table([samples.reading(), samples.reading() | {field: text}]))
    assert (error.key, error.values["field"], error.values["row"]) == ("errors.import_field", field, 2)


def test_a_commit_that_reads_like_a_number_is_a_name():
    row = opened(samples.as_table([samples.reading(build_commit="12e45678"), samples.generating()])).rows[0]
    assert row.environment["tool_version"].startswith("12e45678")


@pytest.mark.parametrize(
    "data",
    [b"[]", b"[1, 2]", b'{"benchmarks": []}', b'{\n "a": 1,\n "b": [2]\n}', b'[{"a": 1}]', b"a,b\n1,2\n", b"hello",
     b'{"n_prompt": 5}'],
)  # fmt: skip
def test_a_file_of_nobody_known_says_what_is_read(data):
    error = refused(data)
    assert error.key == "errors.import_kind"
    for lang in i18n.LANGS:
        said = i18n.say(lang, error.key, **error.values)
        assert all(word in said for word in (*TOOLS, "JSONL", "CSV", "Parquet"))


@pytest.mark.parametrize("tool", FILES)
def test_a_file_that_is_cut_is_refused(tool):
    data = FILES[tool]
    for share in (0.2, 0.5, 0.8, 0.99):
        cut = data[: int(len(data) * share)]
        assert refused(cut).key in ("errors.import_torn", "errors.import_value"), share


@pytest.mark.parametrize("data", [samples.benchy(benchmarks=[]), samples.guidellm(benchmarks=[])])
def test_a_report_without_tests_is_refused(data):
    assert refused(data).key == "errors.import_nothing"


def test_too_many_tests_are_refused():
    assert refused(samples.as_lines([samples.reading()] * 2001)).key == "errors.import_rows"


@pytest.mark.parametrize("name", ["<b onmouseover=x>\u202egpj.exe", "\x1b[31mred", "a\nb", "\u200fשלום", "=1+1", " "])
def test_a_hostile_name_is_text_on_one_line(name):
    tests = [samples.reading(model_type=name, model_filename=name, cpu_info=name), samples.generating(model_type="y")]
    run = opened(samples.as_lines(tests)) if name.strip() else opened(samples.as_lines(tests[1:]))
    for row in run.rows:
        for text in (row.architecture, row.source, *map(str, row.environment.values())):
            assert text.isprintable() and "\u202e" not in text
    for fmt in ("jsonl", "csv", "parquet"):
        assert files.parse("x", files.export(run, fmt)).rows == run.rows


def test_a_model_without_a_name_is_refused():
    assert (
        refused(samples.as_lines([samples.reading(model_type=" ", model_filename="")])).values["field"] == "model_type"
    )


def test_rounds_of_one_tool_are_judged_and_those_that_overlap_are_not():
    slow = samples.reading(
        model_type="slow Q4_K - Medium", samples_ns=[150000000, 140000000, 145000000], avg_ns=145000000, avg_ts=3531
    )
    rows = opened(samples.as_lines([samples.reading(), slow])).rows
    (found,) = verdicts.judged(rows)
    assert (found.phase, found.found.kind, found.margin) == ("prefill", "faster", 0.05)
    assert found.found.ratio.value == pytest.approx(
        math.prod((74, 70, 66)) ** (1 / 3) / math.prod((150, 140, 145)) ** (1 / 3)
    )
    assert list(verdicts.judged(opened(samples.as_table([samples.reading(), slow])).rows)) == []
    one = samples.guidellm_test("concurrent")
    other = one | {"config": one["config"] | {"backend": {"model": "other"}}}
    assert list(verdicts.judged(opened(samples.guidellm(one, other)).rows)) == []


def test_rows_of_two_programs_are_never_judged_or_joined():
    both = (*opened(FILES["llama-bench"]).rows, *opened(FILES["optimum-benchmark"]).rows)
    assert {one.a.tool for one in verdicts.judged(both)} <= {""}
    found = compare(opened(FILES["llama-bench"]), opened(FILES["optimum-benchmark"]))
    assert found.pairs == () and {one.reason for one in found.refused} == {"architecture"}


def test_two_files_of_one_program_are_set_beside_each_other():
    again = samples.as_lines([samples.reading(samples_ns=[7100000, 7000000, 7050000], avg_ns=7050000, avg_ts=72624)])
    (pair,) = compare(opened(FILES["llama-bench"]), opened(again)).pairs
    assert pair.verdicts["prefill"].kind == "slower"
    means = compare(opened(samples.as_table([samples.reading()])), opened(samples.as_table([samples.reading()])))
    assert means.pairs == () and {(one.reason, one.values["tool"]) for one in means.refused} == {
        ("rounds", "llama-bench")
    }


def test_a_row_that_claims_to_be_of_a_tool_is_checked():
    run = opened(FILES["llama-bench"])
    lines = [json.loads(line) for line in files.export(run, "jsonl").splitlines()]
    for changes in ({"architecture": "mamba"}, {"architecture": ""}, {"architecture": "a\u202eb"}, {"device": "a\nb"},
                    {"prefill_ms_samples": [1e12]}, {"prefill_ms_samples": [], "ttft_ms_med": None}):  # fmt: skip
        bad = [line | changes if number == 1 else line for number, line in enumerate(lines)]
        with pytest.raises(SourceError) as found:
            files.parse("x", "\n".join(map(json.dumps, bad)).encode())
        assert found.value.key == "errors.import_value", changes


def test_fingerprints_of_rows_of_ours_are_as_they_were(measurement):
    run = opened(FILES["optimum-benchmark"])
    assert fingerprint(run) == fingerprint(files.parse("x", files.export(run, "csv")))
    assert "tool" not in measurement().to_row()


@pytest.mark.parametrize(
    "text",
    [
        '{"kind": "run", "created_ns": ' + "1" * 5000 + "}",
        "[" + "1" * 5000 + "]",
        '{"n_prompt": 1, "n_gen": 0} {"x": 1_000}',
    ],
)
def test_a_file_that_python_cannot_read_as_numbers_is_refused(text):
    assert refused(text.encode()).key.startswith("errors.import_")


def test_a_table_that_ends_within_a_number_is_refused():
    """The digits that are left would be a time, and a wrong one."""
    whole = samples.as_table([samples.reading(), samples.reading(n_prompt=1024)])
    last = whole.rstrip().rsplit(b"\n", 1)[1]
    cut = whole.rstrip()[: -len(last) // 2]
    assert refused(cut, "mine.csv").key == "errors.import_torn"


@pytest.mark.parametrize("text", ["Infinity", "nan", "1_000", "１２"])
def test_a_text_that_a_model_wrote_is_no_number(text):
    test = samples.guidellm_test()
    for one in test["requests"]["successful"]:
        one["output"] = text
    assert opened(samples.guidellm(test)).rows
