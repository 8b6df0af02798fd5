"""Name the series of a run: our architectures in the visitor's language, those of other programs as they are."""

from models.looks import looks, name_of
from pages.shared.words import language


def series_name(architecture: str) -> str:
    """Return the name of an architecture in the visitor's language, and any other name as it is."""
    return name_of(architecture, language.current())


def series_class(architecture: str) -> str | None:
    """Return the class of the style sheet that gives an architecture its colour; None for any other name."""
    return f"cs-{architecture}" if architecture in looks() else None
