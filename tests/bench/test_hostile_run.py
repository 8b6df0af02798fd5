"""One hostile text as a run's title and in every text that its file may hold: nothing of it is interpreted."""

import json

import hostile
import pytest
from showing import opened

from models import registry
from models.bench.store import files
from models.errors import SourceError
from models.records.run import Run
from pages.shared.words import i18n

pytestmark = pytest.mark.skipif(not registry.bundled(), reason="no bundled checkpoints")

FACTS = (
    "host_cpu", "cores", "device_name", "device_uuid", "throttle_reasons", "os", "python", "torch", "transformers",
    "numba", "numpy", "mamba_ssm", "causal_conv1d", "cuda", "driver", "tf32", "commit",
)  # fmt: skip
STATE = {
    "benchmark.provenance": True,
    "benchmark.settings": True,
    "benchmark.rows": True,
    "benchmark.hood.launches": True,
    "benchmark.hood.achieved": True,
}


@pytest.fixture
def runs(shared, measurement):
    """Two runs whose every text is hostile, and differs, so that setting one beside the other tells it too.

    A file with another view, other operators or another way of computing experts than ours is refused.
    """

    def stored(extra):
        text = hostile.TEXT + extra
        names = {
            "source": text, "config_hash": text, "graph": text, "implementation": {text: text, "scan": text},
            "environment": dict.fromkeys(FACTS, text) | {"memory_bytes": text}, "size": text, "attention": text,
            "kernels": "fast", "experts": "loop", "view": "as_shipped", "mbu": 0.5, "mfu": 0.1, "launch_fraction": 0.5,
            "bandwidth_bytes_per_s": 1e10, "peak_flops_per_s": 1e11, "ttft_ms_med": 2.0, "tpot_ms_med": 1.0,
            "foreign_processes": 1, "tpot_iqr_rel": 0.3,
        }  # fmt: skip
        cells = [{"architecture": name, "source": text, "context": 64} for name in ("mamba", "rwkv", "jamba")]
        run_id = shared.store.create(cells=cells, environment={"host_cpu": text, "os": text})
        for n, cell in enumerate(cells):
            bad = {"state": "failed", "reason": text} if n == 2 else {}
            shared.store.append(measurement(run_id, cell_id=f"c{n}", **cell | names | bad))
        shared.store.rename(run_id, text[:80])
        return run_id

    return stored(" a"), stored(" b")


@pytest.mark.slow
@pytest.mark.parametrize("lang", i18n.LANGS)
def test_a_hostile_run_is_shown_as_text(runs, lang):
    first, second = runs
    state = STATE | {"benchmark.guesses": {first: {"decode": "mamba", "carried": "rwkv"}}}
    at = opened("benchmark", lang=lang, run=first, rows=hostile.TEXT, beside=second, state=state)
    other = i18n.say(lang, "benchmark.beside.dashed", name="|").partition("|")[0]
    told = [caption.value.replace("\\", "") for caption in at.caption]
    assert any(one.startswith(other) and "onerror" in one for one in told), "the name of the other"
    assert any("onerror" in warning.value for warning in at.warning), "why a cell failed"
    html = "".join(element.proto.body for element in at.get("html"))
    for part in ("cs-facts", "cs-provenance", "cs-verdicts"):
        assert part in html, f"{part} is not on the page"
    assert html.count("onerror") > len(FACTS), "machine, versions, models and what changed"
    assert hostile.unescaped(at) == []


@pytest.mark.slow
@pytest.mark.parametrize("lang", i18n.LANGS)
def test_a_hostile_file_is_shown_or_refused_as_text(shared, measurement, lang):
    """The same by a file: whatever the reader of files lets through."""
    run_id = shared.store.create(cells=[{"architecture": "mamba", "source": "mamba", "context": 64}], environment={})
    shared.store.append(measurement(run_id, cell_id="c0", mbu=0.5))
    text = files.export(shared.store.run(run_id), "jsonl", words=i18n.translator("en"))
    lines = [json.loads(line) for line in (text.decode() if isinstance(text, bytes) else text).splitlines()]
    for line in lines:
        for name in (f"env_{fact}" for fact in FACTS):
            if "cell_id" in line:
                line[name] = hostile.TEXT
        if "title" in line:
            line["title"] = hostile.TEXT[:80]
    data = "\n".join(json.dumps(line) for line in lines).encode()
    imported = shared.store.import_file("x.jsonl", data)
    at = opened("benchmark", lang=lang, run=imported, state=STATE)
    assert hostile.holds(at, "onerror")
    assert hostile.unescaped(at) == []


@pytest.mark.parametrize("said", ["said", "refused"])
def test_what_is_said_of_a_refused_file_is_shown_as_text(shared, said):
    error = SourceError("errors.source_not_found", "x", source=hostile.TEXT)
    at = opened("benchmark", state={f"benchmark.{said}": hostile.TEXT if said == "said" else error})
    assert any("onerror" in warning.value for warning in at.warning)
    assert hostile.unescaped(at) == []


def test_the_title_of_a_run_that_was_deleted_is_shown_as_text(shared):
    at = opened("benchmark", state={"benchmark.deleted": [Run("r", hostile.TEXT, 1, (), {}, ())]})
    assert any("onerror" in text.value and "\u202e" not in text.value for text in at.text)
    assert hostile.unescaped(at) == []
