"""What a badge opens: in a sentence what was checked, and the curves that were compared, with their difference."""

import math
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import quote

import numpy as np

from models.reconstruction import Check
from models.reconstruction.check import Wide
from pages.shared import html
from pages.shared.words.i18n import t
from viz.look.theme import Theme, ramp_between
from viz.proof.curves import Curves

Compare = Callable[[], Sequence[Curves]]

WIDTH, TALL, LOW = 340, 92, 34  # pixels: of both pictures, of the curves, of their difference
ROOM = 4  # pixels around a line

Stroke = tuple[Wide, str, float]  # numbers, colour, width


def label(check: Check) -> str:
    """Write in a few words how a figure was checked."""
    key = f"figure.{check.kind}" if check.passed else f"figure.{check.kind}_not"
    return f"{'✓' if check.passed else '✕'} {t(key, value=_error(check.error))}"


def meaning(check: Check) -> str:
    """Say in a sentence what was checked, with the error and the limit."""
    key = f"figure.{check.kind}" if check.passed else f"figure.{check.kind}_not"
    return t(f"{key}_means", error=_error(check.error), limit=scientific(check.limit))


def scientific(value: float) -> str:
    """Write a small number with two digits: 2.1e-6."""
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    return f"{mantissa}e{int(exponent)}" if exponent else mantissa


def opened(check: Check, found: Sequence[Curves], theme: Theme) -> html.Html:
    """Write the sentence and draw every pair of curves, over their difference on a scale of its own."""
    said = html.element("p", meaning(check))
    told = (part for place, pair in enumerate(found) for part in _pair(pair, theme, later=place > 0))
    none = None if found else html.element("p", t("figure.curves_none"), class_="cs-quiet")
    return html.element("div", said, told, none, class_="cs-proof", tabindex=0)  # it scrolls: keys have to reach it


def _pair(pair: Curves, theme: Theme, *, later: bool) -> Iterator[html.Html]:
    """Draw two curves with their difference; later: of the comparison that gave the badge its error."""
    if later:
        yield html.element("p", t("figure.curves_worst"), class_="cs-worst")
    own = t("figure.curves_own" if pair.output else "figure.curves_expected")
    rebuilt = t("figure.curves_rebuilt" if pair.output else "figure.curves_drawn")
    error = t("figure.curves_error", error=_error(float(pair.error.max())))
    keys = (html.element("li", words, class_=f"cs-key-{kind}") for kind, words in (("own", own), ("rebuilt", rebuilt)))
    yield html.element("ul", keys, class_="cs-keys")
    lines = ((pair.own, _pale(theme), 6.0), (pair.rebuilt, theme.ink, 1.6))
    yield _picture(lines, TALL, f"{own}; {rebuilt}")
    yield html.element("p", error, class_="cs-keys")
    yield _picture(((pair.error, theme.muted, 1.4),), LOW, error, zero=True)
    yield html.element("p", " ".join(_axis(pair)), class_="cs-quiet")


def _axis(found: Curves) -> list[str]:
    """Say what stands from left to right, and of how many numbers a part is drawn."""
    words = [t("figure.curves_text" if found.along_text else "figure.curves_row", count=found.count)]
    if len(found.own) < found.count:
        words.append(t("figure.curves_some", shown=len(found.own)))
    return words


def _picture(lines: Sequence[Stroke], height: int, said: str, *, zero: bool = False) -> html.Html:
    """Draw lines on one scale, from zero where asked: an image, since Streamlit removes SVG from HTML."""
    values = np.concatenate([line for line, _, _ in lines])
    values = values[np.isfinite(values)]
    low = 0.0 if zero else float(values.min(initial=np.inf))
    high = float(values.max(initial=-np.inf))
    paths = "".join(
        f'<path d="{_path(line, low, high, height)}" stroke="{color}" stroke-width="{width}"/>'
        for line, color, width in lines
    )
    drawn = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" fill="none" '
        f'stroke-linejoin="round" stroke-linecap="round">{paths}</svg>'
    )
    return html.element("img", src=f"data:image/svg+xml,{quote(drawn)}", alt=said, class_="cs-curves")


def _path(line: Wide, low: float, high: float, height: int) -> str:
    """Write a line as an SVG path; a number that is none is a gap. A single number is a line across."""
    span = high - low
    if not math.isfinite(span):
        return ""
    steps, begin = [], True
    points = line if len(line) > 1 else np.repeat(line, 2)
    for place, value in enumerate(points):
        if not math.isfinite(value):
            begin = True
            continue
        x = ROOM + (WIDTH - 2 * ROOM) * place / (len(points) - 1)
        part = (value - low) / span if span else 0.5 if low else 0.0
        y = height - ROOM - (height - 2 * ROOM) * part
        steps.append(f"{'M' if begin else 'L'}{x:.1f} {y:.1f}")
        begin = False
    return "".join(steps)


def _error(error: float) -> str:
    return scientific(error) if math.isfinite(error) else t("figure.no_number")


def _pale(theme: Theme) -> str:
    """Return a colour between the card and what is muted."""
    return ramp_between(theme.card, theme.muted)[128]
