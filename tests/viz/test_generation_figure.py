"""The figure of a whole generation: drawn numbers are those given, crossings stand where they were found."""

from collections.abc import Callable

import pytest
from figure_words import strict

from models.records.interval import Interval
from viz.bench.generation import CrossingMark, Spent, generation_time
from viz.figure import Figure
from viz.look.theme import DARK, LIGHT

LENGTHS = (1.0, 256.0, 1792.0)
MARK = CrossingMark("transformer", "rwkv", Interval(700.0, 512.0, 900.0), 4.25)


def spent(pace: float, *, wide: float = 0.1) -> Spent:
    points = tuple((n, Interval(pace * n, pace * n * (1 - wide), pace * n * (1 + wide))) for n in (*LENGTHS, 1000.0))
    return Spent(tuple(sorted(points)), LENGTHS)


def draw(lang: str = "en", **changes: object) -> Figure:
    given = {"transformer": spent(0.02), "rwkv": spent(0.005)}
    known = {"prompt": 256, "crossings": [MARK], "theme": LIGHT, "t": strict(lang)}
    return generation_time(changes.pop("given", given), **{**known, **changes})  # type: ignore[arg-type]


def tables(figure: Figure) -> list[list[dict[str, object]]]:
    return [rows.to_dict("records") for rows in figure.body.rows.values()]  # type: ignore[union-attr]


def values(figure: Figure) -> list[dict[str, object]]:
    return [row for rows in tables(figure) for row in rows]


def test_the_arrays_are_what_was_given_and_so_are_the_points() -> None:
    figure = draw()
    assert figure.data["rwkv"].values.tolist() == [
        [n, found.value, found.low, found.high] for n, found in spent(0.005).points
    ]
    assert figure.data["crossings"].values.tolist() == [[700.0, 512.0, 900.0, 4.25]]
    drawn = {(row["x"], row["y"]) for row in values(figure) if row.get("architecture") == "transformer" and "y" in row}
    assert {(n, 0.02 * n) for n in (*LENGTHS, 1000.0)} <= drawn


def test_dots_stand_only_where_steps_were_measured() -> None:
    dots = [row for row in values(draw()) if "color" in row and "x" in row and "architecture" not in row]
    assert sorted((row["x"], row["y"]) for row in dots if row["color"] == LIGHT.color("rwkv")) == [
        (n, 0.005 * n) for n in LENGTHS
    ]
    assert len(dots) == 2 * len(LENGTHS)


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_a_crossing_has_its_ring_its_bar_and_its_length(theme: object) -> None:
    rows = [row for row in values(draw(theme=theme)) if "low" in row and row.get("text") == "700"]
    assert rows
    assert all((row["x"], row["low"], row["high"], row["y"]) == (700.0, 512.0, 900.0, 4.25) for row in rows)
    assert "crossings" not in draw(crossings=[]).data


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_the_words_name_prompt_and_crossing(lang: str) -> None:
    t: Callable[..., str] = strict(lang)
    figure = draw(lang)
    names = {"first": t("viz.architecture.transformer"), "then": t("viz.architecture.rwkv")}
    assert t("viz.generation_time.crossing", at="700", low="512", high="900", **names) in figure.note
    assert t("viz.generation_time.note", prompt="256") in figure.note
    assert "256" in figure.alt


def test_the_finding_names_the_ends_and_says_nothing_where_intervals_overlap() -> None:
    assert "RWKV has taken least time, 8.96 s" in draw().finding
    assert "1,792 tokens" in draw().finding
    near = {"transformer": spent(0.0052), "rwkv": spent(0.005)}
    assert draw(given=near).finding == ""
    assert draw(given={"rwkv": spent(0.005)}).finding == ""
    apart = {
        "transformer": Spent(((1.0, Interval(1, 1, 1)),), (1.0,)),
        "rwkv": Spent(((2.0, Interval(3, 3, 3)),), (2.0,)),
    }
    assert draw(given=apart).finding == ""


def test_an_interval_without_ends_has_no_ribbon() -> None:
    once = Spent(((1.0, Interval(1.0, 0.0, float("inf"))), (9.0, Interval(2.0, 0.0, float("inf")))), (1.0, 9.0))
    rows = values(draw(given={"rwkv": once}, crossings=[]))
    assert not any(row.get("high") == float("inf") or row.get("y2") == float("inf") for row in rows)
