"""Distinguish a panic of compiled Rust code from an exception of Python. Imports no torch."""

from collections.abc import Iterator
from contextlib import contextmanager

from models.errors import SourceError


def is_panic(error: BaseException) -> bool:
    """Return whether an exception is a Rust panic: a BaseException, so that no `except Exception` catches it."""
    return any((kind.__module__, kind.__name__) == ("pyo3_runtime", "PanicException") for kind in type(error).__mro__)


@contextmanager
def as_source_error(source: str) -> Iterator[None]:
    """Turn whatever a tokenizer raises into SourceError; what ends a program or a script passes unchanged."""
    try:
        yield
    except BaseException as error:
        if not isinstance(error, Exception) and not is_panic(error):
            raise
        detail = " ".join(str(error).split())[:160] or type(error).__name__
        message = f"the tokenizer of {source!r} failed on this text ({detail}): use another text or another tokenizer"
        raise SourceError("errors.tokenizer_failed", message, source=source, detail=detail) from error
