"""The forest of ratios: each row is its verdict, sorted, grey where undecided, with no digits that it cannot carry."""

import dataclasses
import math

import numpy as np
import pytest
from plot_spec import sent

from models.units import ratio
from viz.bench.ratios import Ratio, ratios
from viz.look.theme import DARK, LIGHT

ONE = Ratio("prefill", "rwkv", "jamba", "2,048", 80.48, (10.23, 633.33), (5.0, 1200.0), 0.01, True, "said <b>")
PAIRS = [
    dataclasses.replace(ONE, a="mamba", value=1.02, shown=(0.98, 1.06), deciding=(0.97, 1.07), decided=False),
    ONE,
    dataclasses.replace(ONE, phase="decode", value=3.9, shown=(3.6, 4.2), deciding=(3.5, 4.4), margin=0.05),
    dataclasses.replace(ONE, phase="decode", value=1.5, shown=(0.0, math.inf), deciding=(0.0, math.inf), decided=False),
]


def rows(figure, kind: str) -> list[tuple[str, list[float], str]]:
    """Return axis, places and colour of every trace of a kind."""
    return [(one["xaxis"], one["x"], one["line"]["color"]) for one in sent(figure)["data"] if one["meta"] == kind]


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_a_row_is_its_verdict_and_the_largest_is_on_top(theme, t) -> None:
    figure = ratios(PAIRS, theme=theme, t=t)
    grey = theme.muted
    assert rows(figure, "ratio") == [
        ("x", [10.23, 80.48, 633.33], theme.color("rwkv")), ("x", [0.98, 1.02, 1.06], grey),
        ("x2", [3.6, 3.9, 4.2], theme.color("rwkv")), ("x2", [1.5, 1.5, 1.5], grey),
    ]  # fmt: skip
    assert [x for _, x, _ in rows(figure, "deciding")] == [[5.0, 1200.0], [0.97, 1.07], [3.5, 4.4], []]
    places = [one["y"][0] for one in sent(figure)["data"] if one["meta"] == "ratio"]
    assert places == [-0.2, -1.2, -0.2, -1.2]
    np.testing.assert_array_equal(figure.data["prefill"].values[:, 0], [80.48, 1.02])
    assert figure.finding == t("viz.ratios.finding", decided=2, count=4)


def test_a_number_that_is_not_that_of_the_verdict_is_seen(english) -> None:
    known = rows(ratios(PAIRS, theme=LIGHT, t=english), "ratio")
    for change in ({"value": 80.0}, {"shown": (10.0, 633.33)}, {"decided": False}):
        spoiled = [PAIRS[0], dataclasses.replace(ONE, **change), *PAIRS[2:]]
        assert rows(ratios(spoiled, theme=LIGHT, t=english), "ratio") != known


def test_the_axis_is_a_logarithm_with_the_line_at_one_and_the_band_of_each_margin(english) -> None:
    whole = sent(ratios(PAIRS, theme=LIGHT, t=english))
    assert {whole["layout"][axis]["type"] for axis in ("xaxis", "xaxis2")} == {"log"}
    assert whole["layout"]["xaxis2"]["matches"] == "x"
    equal = [one for one in whole["data"] if one["meta"] == "one"]
    assert {x for one in equal for x in one["x"]} == {1, None}
    bands = [one for one in whole["data"] if one["meta"] == "margin"]
    assert [max(x for x in one["x"] if x) for one in bands] == [1.01, 1.05]
    assert bands[0]["x"][:2] == [pytest.approx(1 / 1.01), 1.01]


def test_words_have_no_digits_that_they_cannot_carry(english) -> None:
    whole = sent(ratios(PAIRS, theme=LIGHT, t=english))
    told = [one["text"] for one in whole["layout"]["annotations"]]
    assert {"80 times (10 to 630)", "3.9 times (3.6 to 4.2)", "anything from 0.97 to 1.07", "one round only"} <= set(
        told
    )
    assert not [text for text in told if "80.48" in text or "633" in text]
    hover = next(one for one in whole["data"] if one["meta"] == "ratio")
    assert hover["customdata"] == ["said &lt;b&gt;<br>2,048"] * 3 and hover["hovertemplate"].startswith("%{customdata}")


def test_the_table_says_what_is_drawn(english) -> None:
    table = ratios(PAIRS, theme=LIGHT, t=english).body.table
    assert table.rows[0] == ("Reading the text", "RWKV / Jamba", "2,048", "80 times (10 to 630)", "said <b>")
    assert len(table.rows) == len(PAIRS) and len(table.head) == 5


def test_without_a_pair_nothing_is_drawn(english) -> None:
    assert ratios([], theme=LIGHT, t=english) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0372, "1.04"), (1.996, "2"), (2.04, "2"), (9.96, "10"), (80.48, "80"), (633.33, "630"), (12345, "12,000"),
     (0.983, "0.98"), (0.0123, "0.012"), (math.inf, "∞"), (math.nan, "–")],
)  # fmt: skip
def test_a_ratio_has_two_digits_and_hundredths_near_one(value: float, text: str) -> None:
    assert ratio(value) == text
