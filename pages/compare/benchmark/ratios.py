"""The verdicts of a run as a picture: how many times as fast one is as another, with intervals."""

from collections.abc import Callable, Iterable

from models.bench.judge import verdicts
from models.bench.judge.verdicts import Judged
from models.records.interval import Interval
from models.records.run import Run
from pages.compare.benchmark.address import PAGE
from pages.shared import figure, style
from pages.shared.memo import Memo
from pages.shared.state import session
from pages.shared.words import units
from pages.shared.words.i18n import t
from viz.bench.ratios import Ratio, ratios
from viz.figure import Figure

Say = Callable[[Judged], str]

_kept: Memo[Figure | None] = Memo()


def picture(run: Run, say: Say) -> None:
    """Draw the pairs of the longest common context; nothing without a pair. say: gives the sentence of a verdict."""
    theme = style.theme()
    key = (run.run_id, session.language(), theme.mode)
    drawn = _kept.get(key, (run,), lambda: ratios(of(verdicts.judged(run.current), say), theme=theme, t=t))
    if drawn is not None:
        figure.show(drawn, key=f"{PAGE}.ratios", source=run.title)


def of(found: Iterable[Judged], say: Say) -> list[Ratio]:
    """Turn verdicts into ratios that are at least 1: the faster first, by the estimate."""
    return [_ratio(one, say(one)) for one in found]


def _ratio(one: Judged, says: str) -> Ratio:
    a, b = one.a.architecture, one.b.architecture
    swapped = one.found.ratio.value >= 1  # the ratio is the time of a over that of b: b is the faster one
    shown, deciding = (ends if swapped else _turned(ends) for ends in (one.found.ratio, one.found.decisive))
    where = f"{t('benchmark.verdict.at', tokens=units.count(one.a.context))} · "
    where += t("benchmark.plan.batch", count=one.a.batch)
    first, second = (b, a) if swapped else (a, b)
    return Ratio(
        one.phase, first, second, where, shown.value, (shown.low, shown.high), (deciding.low, deciding.high),
        one.margin, one.found.kind != "indistinguishable", says,
    )  # fmt: skip


def _turned(one: Interval) -> Interval:
    """Return the interval of the inverse; what has no end has none."""
    low = 1 / one.high if one.high > 0 else float("inf")
    return Interval(1 / one.value, low, 1 / one.low if one.low > 0 else float("inf"))
