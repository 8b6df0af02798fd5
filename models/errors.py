"""The errors a visitor can cause. Each carries a key of assets/words and the values of its sentence.

ContextscopeError
├── PromptError        empty, too long, nothing left after cleaning
├── SourceError        a checkpoint that cannot be found, reached or read safely
├── SettingError       a value outside what the model or the machine offers
└── CellError          a benchmark cell that ended without a row
"""

import re

_ALLOCATION = re.compile(r"can't allocate memory|not enough memory|out of memory|ALLOC_FAILED", re.IGNORECASE)


class ContextscopeError(Exception):
    """State what happened, the value, and what to do; pages translate it by key, the command line prints it.

    key: a whole key of assets/words, which starts with "errors.".
    """

    def __init__(self, key: str, message: str, **values: object) -> None:
        super().__init__(message)
        self.key = key
        self.values = values


class PromptError(ContextscopeError):
    """The text cannot be traced as it stands."""


class SourceError(ContextscopeError):
    """The checkpoint cannot be loaded."""


class SettingError(ContextscopeError):
    """A setting is outside the range that the model or the machine offers."""


class CellError(ContextscopeError):
    """A benchmark cell ended without a measurement."""


def out_of_memory(error: BaseException) -> bool:
    """Return whether an exception says that memory could not be given, by Python, torch or a library on the GPU."""
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return named or _ALLOCATION.search(str(error)) is not None
