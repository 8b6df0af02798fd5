"""The fixed texts on which finders measure beside the visitor's own: the sample of assets, and tokens written twice."""

from functools import cache as remembered
from typing import Any

from models.machine.paths import ASSETS
from models.machine.yaml_file import read_yaml
from models.records.trace import ModelTrace
from pages.shared import cache


@remembered
def record() -> dict[str, Any]:
    """Return the record of the sample: text, source by language, url."""
    found: dict[str, Any] = read_yaml(ASSETS / "sample.yaml")
    return found


def trace(own: ModelTrace) -> ModelTrace:
    """Let the model of a trace read the sample, once for all visitors; cut as its tokenizer must. SourceError."""
    return cache.trace_for(own.checkpoint, cache.fitted(own.checkpoint, str(record()["text"])).text)


def repeated(own: ModelTrace) -> ModelTrace:
    """Let the model of a trace read random tokens written twice, once for all visitors; SourceError."""
    return cache.repeated_for(own.checkpoint)
