"""What a card says first is true of the run: compared with a plain recount of the record."""

import re
from dataclasses import replace

import numpy as np
import pytest

from models.machine.paths import ASSETS
from models.records.recall import Accuracy
from models.records.trace import Token
from pages.shared.words import i18n
from viz.bench.findings import context_finding, part_finding, strips_finding, trade_finding
from viz.canvas import CanvasSpec
from viz.charts.curves import growth, training_curves
from viz.charts.plot_line import Plot, PlotLine
from viz.charts.series import Line
from viz.charts.strips import ChartStrip
from viz.gallery.build import build
from viz.gallery.evidence import complete
from viz.gallery.figures import every
from viz.hero import HeroSpec
from viz.look.extremes import extremes
from viz.look.labels import short
from viz.look.theme import LIGHT
from viz.ranking import Ranking
from viz.recall.findings import answer_finding, far_finding, map_finding, seeds_finding
from viz.trace.decay import half_life, half_life_spectrum
from viz.trace.expert_findings import balance_finding, locality_finding, pairs_finding, words_finding
from viz.trace.expert_load import expert_load
from viz.trace.findings import (
    TAKES,
    decay_finding,
    film_finding,
    frames_finding,
    gate_finding,
    guesses_finding,
    lanes_finding,
    lens_finding,
    load_finding,
    mosaic_finding,
    near_finding,
    ribbon_finding,
    router_finding,
    row_finding,
    scores_finding,
    stack_finding,
    step_finding,
    surprisal_finding,
)


@pytest.mark.parametrize(("name", "draw"), [("rwkv", half_life_spectrum), ("mamba", half_life)])
def test_the_longest_memory_is_named_with_its_layer(runs, name, draw) -> None:
    found = [(float(value), layer.index) for layer in runs[name] if "half_life" in layer.parts
             for value in layer.part("half_life")]  # fmt: skip
    longest, layer = max(found)
    told = draw(runs[name], theme=LIGHT, t=i18n.translator("en")).finding
    assert f"{short(longest)} tokens" in told and re.search(rf"layer {layer}\.", told)
    assert ("component" in told) == (name == "mamba")


def test_the_most_used_expert_is_named_with_its_layer(runs) -> None:
    counts: dict[tuple[int, int], float] = {}
    for layer in runs["jamba"].layers_with("chosen_experts"):
        slots = [int(expert) for row in layer.part("chosen_experts") for expert in row]
        counts |= {(layer.index, expert): slots.count(expert) / len(slots) for expert in set(slots)}
    most = max(counts.values())
    told = expert_load(runs["jamba"], theme=LIGHT, t=i18n.translator("en")).finding
    named = re.search(r"number (\d+) of layer (\d+): it gets (\d+)%", told)
    assert named is not None
    assert counts[int(named[2]), int(named[1])] == most
    assert int(named[3]) == round(100 * most)


EN = i18n.translator("en")
# Figures that say nothing over their picture, and why.
WITHOUT = {
    "reading": "its own picture writes the finding above the sentence",
    "head_logits": "in the gallery two places tie; test_the_place_of_the_largest_score has one",
    "expert_pairs": "in the gallery several pairs tie; test_counts_of_experts_in_words has one",
    "next_word": "of several models, as in the gallery; of one it has one",
    "channel_finder": "in the gallery channels tie; the finding is that of all finders, which test_finder has",
    "decay_finder": "in the gallery all layers have the same half-lives; test_decay_finder has one",
}


@pytest.mark.slow
def test_every_figure_says_what_it_shows_and_to_a_screen_reader_too() -> None:
    built = build(every(), complete(), files=ASSETS / "figures", theme=LIGHT, t=EN)
    assert not built.faults and len(built.figures) == len(every())
    for drawn in built.figures:
        assert bool(drawn.finding) == (drawn.id not in WITHOUT), drawn.id
        assert drawn.alt.endswith(drawn.finding) and "{" not in drawn.finding
        assert len(drawn.finding) <= 160, drawn.finding
        if isinstance(drawn.body, CanvasSpec | Ranking | HeroSpec):
            assert drawn.body.alt == drawn.alt, drawn.id


def one_hot(keys: list[int]) -> np.ndarray:
    """Give all of row i to key keys[i]."""
    return np.eye(len(keys))[keys]


@pytest.mark.parametrize(
    ("weights", "told"),
    [
        (one_hot([0, 0, 1, 2, 3, 0]), "75% on average is for the token before"),
        (-7 * one_hot([0, 0, 1, 2, 3, 0]), "75% on average is for the token before"),  # signed, and rows not to 1
        (one_hot([0, 0, 0, 0, 0, 4]), "75% on average is for the first token"),
        (one_hot([0, 0, 2, 3, 4, 0]), "75% on average is for the token itself"),
        (one_hot([0, 0, 0, 1, 2, 1]), "75% on average is for tokens between"),
        (one_hot([0, 0, 1, 0]), ""),  # half and half
        (one_hot([0, 0]), ""),
        (np.zeros((5, 5)), ""),
        (np.where(np.tri(4) > 0, 0, 9.0), ""),  # only above the diagonal, where nothing is drawn
    ],
)
def test_the_place_that_gets_most_of_a_row(weights: np.ndarray, told: str) -> None:
    said = row_finding(weights, TAKES, EN)
    assert told in said and bool(told) == bool(said)


def test_a_row_of_zeros_does_not_count() -> None:
    weights = one_hot([0, 0, 1, 2, 4])
    weights[4] = 0
    assert "100% on average is for the token before" in row_finding(weights, TAKES, EN)


def test_the_place_of_the_largest_score() -> None:
    scores = np.full((5, 5), -1.0)
    scores[2, 1] = scores[3, 2] = scores[4, 0] = 2
    scores[2, 4] = 99  # the future is not drawn
    assert scores_finding(scores, EN) == "In 2 of 3 rows the largest score is at the token before."
    scores[3, 2] = -2  # row 3 has a tie, and so have the places
    assert scores_finding(scores, EN) == "" == scores_finding(scores[:2, :2], EN)


def test_the_head_with_the_highest_score_and_what_even_weights_score() -> None:
    scores, even = np.array([[0.1, 0.2], [0.7, 0.3]]), np.array([0.11, 0.12])
    said = mosaic_finding(scores, even, [4, 9], "induction", EN)
    assert "0.70, of layer 9, head 0" in said and "score 0.12" in said
    assert mosaic_finding(np.array([[0.5, 0.501]]), even[:1], [4], "induction", EN) == ""  # written alike
    assert mosaic_finding(np.zeros((2, 2)), even, [4, 9], "induction", EN) == ""


def tokens_of(*labels: str) -> tuple[Token, ...]:
    """Make tokens with these labels."""
    return tuple(Token(i, i, label, i, i + 1) for i, label in enumerate(labels))


WORDS = tokens_of("one", "\u2423two", "three")


def test_the_token_at_which_a_film_changes_most() -> None:
    film = np.array([[0.0, 2.0, 2.0], [0.0, 1.0, 2.0], [0, 0, 0]])  # steps 1, 0 and 1/2, 1/2 of the largest
    assert "at “two” (token 1): by 50%" in film_finding(film, WORDS, EN)
    assert film_finding(film[1:2], WORDS, EN) == ""  # both steps alike
    assert film_finding(film[:, :1], WORDS[:1], EN) == "" == film_finding(np.zeros((2, 3)), WORDS, EN)


def test_the_tokens_with_the_largest_and_the_smallest_mean() -> None:
    mean = np.array([0.2, 0.5, 0.1])
    for finding in (step_finding, gate_finding):
        said = finding(mean, WORDS, EN)
        assert said.index("“two” (token 1)") < said.index("0.5") < said.index("“three”") < said.index("0.1")
        assert finding(np.array([0.2, 0.5, 0.2]), WORDS, EN) == ""  # two are smallest
        assert finding(mean[:1], WORDS[:1], EN) == ""


def test_the_frame_with_the_largest_state() -> None:
    frames = np.array([0.1, -0.4, 0.2])[:, None, None] * np.ones((3, 2, 2))
    assert "after “two” (token 1): mean |h| is 0.4 there, 0.1" in frames_finding(frames, WORDS, 1, EN)
    every_third = tokens_of(*"abcdefgh")
    assert "“d” (token 3)" in frames_finding(frames, every_third, 3, EN)
    assert frames_finding(frames[:1], WORDS, 1, EN) == "" == frames_finding(np.zeros((3, 2, 2)), WORDS, 1, EN)


def test_the_curves_that_fall_to_half_where_they_are_drawn() -> None:
    rate = np.log(2) / np.array([100.0, 10.0, 0.5])
    assert decay_finding(rate, 11.0, EN).startswith("The drawn channels halve in 0.5 to 100 tokens; 2 of 3")
    assert "1 of 3" in decay_finding(rate, 10.9, EN)
    assert decay_finding(rate[:1], 11.0, EN) == ""


def test_layers_that_look_back_and_layers_that_do_not() -> None:
    reach = np.array([[0.0, 2.0], [0.0, 6.0], [0.0, 2.0]])
    said = ribbon_finding(reach, [3, 5, 8], EN)
    assert "furthest in layer 5, 3 tokens" in said and "layer 3, layer 8, 1." in said
    assert ribbon_finding(reach[:1], [3], EN) == "" == ribbon_finding(reach[:, :1], [3, 5, 8], EN)
    maps = np.stack([one_hot([0, 0, 1]), one_hot([0, 1, 1]), -one_hot([0, 1, 2])])
    said = stack_finding(maps, [0, 1, 2], EN)
    assert "layer 0, 100% on average" in said and "layer 2, 0%" in said
    assert stack_finding(np.zeros((2, 3, 3)), [0, 1], EN) == "" == stack_finding(maps[:1], [0], EN)


def test_counts_of_experts_in_words() -> None:
    counts = np.array([[0, 3, 1], [3, 0, 1], [1, 1, 0]])
    said = pairs_finding(counts, 5, 2, EN)
    assert "Experts 0 and 1" in said and "60% of the tokens" in said and "33.3%" in said
    assert pairs_finding(counts * 0 + 1, 5, 2, EN) == "" == pairs_finding(counts, 0, 2, EN)
    said = balance_finding(np.array([0.5, 0.9]), [1, 7], EN)
    assert "layer 7 (0.90" in said and "layer 1 (0.50)" in said and balance_finding(np.array([0.5]), [1], EN) == ""
    said = locality_finding(np.array([0.5, 0.3]), np.array([0.45, 0.1]), [1, 7], EN)
    assert "layer 7: 30%" in said and "mean is 10%" in said
    assert locality_finding(np.array([np.nan]), np.array([np.nan]), [1], EN) == ""
    assert "“the” leads with a smoothed share of 75%" in words_finding(["the"], np.array([0.75]), 0.25, EN)


def test_experts_in_words() -> None:
    chosen = np.array([[[1, 0], [1, 2], [3, 0]], [[2, 0], [0, 2], [1, 0]]])
    assert "in 25% of the cases; an even draw would give 12.5%" in lanes_finding(chosen, 8, EN)
    assert lanes_finding(chosen[:, :1], 8, EN) == ""
    none = float("nan")
    assert router_finding(0.834, 2, none, EN) == "The 2 chosen experts have 83% of the probability."
    assert router_finding(0.5, 1, none, EN) == "The chosen expert has 50% of the probability."
    assert "p1 at the cut exceeds p2, the first left out, by 0.25" in router_finding(0.5, 1, 0.25, EN)
    load = np.array([[0.5, 0.5], [0.25, 0.75]])
    assert "number 1 of layer 7: it gets 75%" in load_finding(load, [1, 7], EN)
    assert load_finding(load[:1], [1], EN) == ""  # two are the most used


def test_surprisal_and_guesses_in_words() -> None:
    said = surprisal_finding(np.array([np.nan, 3.0, 9.0]), WORDS, EN)
    assert said == "A token costs 6 bits on average; most is “three” (token 2) with 9."
    assert surprisal_finding(np.array([np.nan, 9.0, 9.0]), WORDS, EN) == ""
    assert surprisal_finding(np.array([np.nan, np.nan, 9.0]), WORDS, EN) == ""
    assert "at 2 of 3 places" in guesses_finding(np.array([1.0, 5.0, 1.0, np.nan]), EN)
    assert guesses_finding(np.array([np.nan]), EN) == ""


def test_where_the_final_prediction_comes_first() -> None:
    names = ("embedding", "layer 0", "layer 1")
    assert "layer 0 (50%)" in lens_finding(np.array([[9, 9], [1, 2], [1, 1]]), names, EN)
    assert "embedding (100%)" in lens_finding(np.array([[1, 1], [1, 1], [1, 1]]), names, EN)
    late = lens_finding(np.array([[1, 1], [5, 2], [1, 1]]), names, EN)  # lost again on the way
    assert late == "Before the last layer (layer 0) the final prediction is first at 0% of the tokens."
    assert lens_finding(np.array([[1, 1]]), names[:1], EN) == ""


def test_the_newest_two_tokens_of_every_model() -> None:
    shares = {"A": one_hot([0, 0, 2, 0]), "B": one_hot([0, 0, 1, 3])}
    assert "get 100% (B), 50% (A) of a row" in near_finding(shares, EN)
    assert near_finding(shares | {"C": one_hot([0, 0])}, EN) == ""


def test_extremes_name_all_that_are_written_alike() -> None:
    assert extremes([("a", 1.0), ("b", 1.0)], str) is None
    assert extremes([("a", 1.0)], str) is None
    assert extremes([("a", 1.0), ("b", float("nan"))], str) is None
    found = extremes([("a", 1.0), ("b", 3.0), ("c", 3.0)], str)
    assert found is not None and (found.least, found.most) == ("a", "b, c")


def cell(distance: int, accuracy: float) -> Accuracy:
    """Make a cell of a recall task."""
    return Accuracy({"distance": distance}, accuracy, accuracy, accuracy, 100, distance, 1024 * distance)


def test_recall_in_words() -> None:
    cells = {"transformer": [cell(8, 1.0), cell(16, 0.5)], "mamba": [cell(8, 0.5), cell(16, 0.5)]}
    assert "Transformer answers most questions right, 75%, and Mamba fewest, 50%" in map_finding(cells, EN)
    assert map_finding({**cells, "mamba": cells["mamba"][:1]}, EN) == ""  # still measured
    assert map_finding({"transformer": cells["transformer"]}, EN) == "" == map_finding({}, EN)
    lines = [Line("a", "A", ((1024.0, 1.0), (4096.0, 0.9))), Line("b", "B", ((1024.0, 0.2), (1024.0, 0.3)))]
    assert "A answers most right, 90% with 4 KiB, and B fewest, 30% with 1 KiB" in far_finding(lines, 2, EN)
    assert far_finding(lines, 3, EN) == "" == far_finding(lines[:1], 2, EN)
    means = {"A": np.array([0.5, 0.9]), "B": np.array([0.7, 0.7])}
    assert seeds_finding(means, EN) == "The seeds of A differ most, from 50% to 90%."
    assert seeds_finding({"A": np.array([0.5])}, EN) == "" == seeds_finding({"B": means["B"]}, EN)
    assert answer_finding(np.array([0.1, 0.8]), ["A 0", "A 1"], EN).endswith("from A 1: 80% of what it reads.")
    assert answer_finding(np.array([0.8, 0.8]), ["A 0", "A 1"], EN) == ""


def test_lines_over_context_in_words() -> None:
    low = PlotLine("a", "A", ((64.0, 1.0), (128.0, 2.0), (256.0, 2.5)), ribbon=((128.0, 1.9, 2.1),))
    high = PlotLine("b", "B", ((64.0, 3.0), (128.0, 5.0)), ribbon=((128.0, 4.0, 6.0),))
    key = "viz.decode_vs_context.finding"

    def said(*lines: Line, panels: int = 1) -> str:
        every = [Plot("", lines)] * panels
        return context_finding(every, [1, 8][:panels], key, "{:g} s".format, EN)

    assert said(low, high) == (
        "At 128 tokens of context, a further token takes least time with A, 2 s, and most with B, 5 s."
    )
    assert said(low, high, panels=2).startswith("At 128 tokens of context and batch 1, ")
    assert said(low, replace(high, ribbon=((128.0, 2.0, 6.0),))) == ""  # the middle halves touch
    assert said(low) == "" == said(low, replace(high, points=((32.0, 5.0),)))
    assert context_finding([], [], key, str, EN) == ""


def test_strips_and_bars_in_words() -> None:
    strips = [ChartStrip("A", "a", text="9", bar=9.0), ChartStrip("B", "b", text="4", bar=4.0)]
    found = strips_finding(strips, "")
    assert found is not None and (found.most, found.high, found.least, found.low) == ("A", "9", "B", "4")
    wide = [replace(one, whisker=(3.0, 10.0)) for one in strips]
    assert strips_finding(wide, "") is None is strips_finding(strips[:1], "")
    assert strips_finding(strips, "x") is None
    reaching = [replace(strips[0], bar=10.0, whisker=(3.0, 12.0)), replace(strips[1], bar=9.0)]
    assert strips_finding(reaching, "") is None  # the interval of one holds the number of the other
    bars = [("A", "2k", "10 B", (2.0, 6.0, 1.0, 1.0)), ("B", "2k", "4 B", (4.0, 0.0, 0.0, 0.0))]
    names = ["weights", "cache", "logits", "rest"]
    assert "A at 2k with 10 B, is 60% cache" in part_finding(bars, names, EN)
    assert part_finding([bars[0], ("C", "2k", "10 B", (10.0, 0, 0, 0))], names, EN) == ""
    assert part_finding([("A", "2k", "10 B", (12.0, 0.0, 0.0, -2.0))], names, EN) == "" == part_finding([], names, EN)
    points = [("A", 1, 50.0, 50.0), ("A", 8, 20.0, 160.0), ("B", 1, 40.0, 40.0)]
    assert "with A ×8; one user gets most from A ×1" in trade_finding(points, EN)
    assert trade_finding([*points, ("B", 8, 20.0, 160.0)], EN) == "" == trade_finding([], EN)


def test_curves_in_words() -> None:
    grown = growth({"mamba": [(1, 50), (64, 1024)], "transformer": [(1, 10), (64, 4096)]}, theme=LIGHT, t=EN).finding
    assert grown == "At 64 tokens Transformer carries most, 4 KiB, and Mamba least, 1 KiB."
    apart = growth({"mamba": [(1, 50), (32, 1024)], "transformer": [(1, 10), (64, 4096)]}, theme=LIGHT, t=EN)
    assert apart.finding == "" == growth({"mamba": [(1, 50)]}, theme=LIGHT, t=EN).finding
    logs = {"mamba": [(1.0, 9.0), (2.0, 3.0)], "rwkv": [(1.0, 8.0), (2.0, 4.0)]}
    assert training_curves(logs, theme=LIGHT, t=EN).finding == (
        "At the end the loss is lowest for Mamba, 3, and highest for RWKV, 4."
    )
