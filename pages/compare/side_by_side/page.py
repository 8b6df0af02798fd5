"""Side by side: one text by four models, or two texts by one, on one axis of characters."""

from collections.abc import Mapping

from models.records.trace import ModelTrace
from pages.compare.side_by_side import edits, lanes, prepared, rows
from pages.compare.side_by_side.lanes import PAGE, SideLanes
from pages.shared import agreement, cache, controls, layout, next_word, notices, reading_bar

LENGTHS = (1024, 32768, 262144)  # tokens, beside the length of the text


def four(before: Mapping[str, ModelTrace]) -> None:
    """Set all models side by side on one text."""
    shown = lanes.of_models(before)
    top(shown, before, {})
    next_word.section(PAGE, list(shown.traces))
    below(shown)


def two_texts(before: Mapping[str, ModelTrace]) -> None:
    """Set a text and its changed copy side by side: one model in detail, all of them in what changed."""
    reader = before.get(lanes.reader()) or next(iter(before.values()))
    edits.box(reader)
    with notices.guarded():
        after = lanes.read_all(lanes.fitted(edits.copy_of(reader.prompt)))
        if reader.architecture not in after:
            return
        shown = lanes.of_texts(reader, after[reader.architecture])
        top(shown, before, after)
        layout.section_of(PAGE, "edit", lambda: edits.difference(before, after))
        layout.section_of(PAGE, "words", lambda: edits.words_after(shown))
        below(shown)


def top(shown: SideLanes, before: Mapping[str, ModelTrace], after: Mapping[str, ModelTrace]) -> None:
    """Draw what comes first in every mode: the sentence, the rows of its chosen word, and what was expected."""
    reading_bar.show(PAGE, shown.first, asks=True)
    layout.first_figure(PAGE, lambda: rows.rows(shown))
    with notices.guarded():
        prepared.judged(before, after)
    layout.section_of(PAGE, "surprisal", lambda: rows.surprisal(shown))


def below(shown: SideLanes) -> None:
    """Draw what comes last in every mode."""
    layout.section_of(PAGE, "reach", lambda: rows.reach(shown))
    layout.what_it_costs(PAGE, len(shown.first.tokens), compared=LENGTHS)
    layout.under_the_hood(PAGE, [("agreement", lambda: agreement.table(PAGE, list(shown.traces), shown.names))])
    layout.check_yourself(PAGE)


layout.header(PAGE)
prepared.buttons()
first = controls.traced_prompt(PAGE, next(iter(cache.architectures())))
if first is not None:
    lanes.mode_picker()
    every = {first.architecture: first} | {
        name: trace for name, trace in lanes.read_all(first.prompt).items() if name != first.architecture
    }
    if lanes.mode() == lanes.TEXTS:
        two_texts(every)
    else:
        four(every)
