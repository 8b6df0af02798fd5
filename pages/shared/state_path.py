"""The path of a state through its space, of the visitor's text and of an example beside it."""

from models.errors import ContextscopeError
from models.records.trace import ModelTrace
from pages.shared import cache
from pages.shared.panel import panel
from pages.shared.words import content, language
from pages.shared.words.i18n import t
from viz.trace.state_path import state_path


def draw(page: str, trace: ModelTrace, layer: int) -> None:
    """Draw the path of one layer; the second text is the first example of the page that is not the visitor's own."""
    traces = [trace, *beside(page, trace)]
    panel(state_path, traces, key=f"{page}.state_path", layer=layer, subtitle=t("viz.layer", layer=layer))


def beside(page: str, trace: ModelTrace) -> list[ModelTrace]:
    """Let the model that read the visitor's text read an example as well; nothing where it cannot."""
    lang = language.current()
    others = (one.text[lang] for one in content.examples(page) if trace.prompt not in one.text.values())
    text = next(others, "")
    try:
        return [cache.trace_for(trace.checkpoint, cache.fitted(trace.checkpoint, text).text)] if text else []
    except ContextscopeError:  # the model was taken from memory meanwhile and cannot be loaded anew
        return []
