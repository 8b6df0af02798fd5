"""Every number that the figures of recall, of growth and of training draw, say or export, computed again by hand."""

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest

from models.records.recall import Accuracy
from models.units import size
from viz.charts import curves
from viz.figure import Figure
from viz.gallery.figures import every
from viz.look.theme import LIGHT
from viz.recall import maps
from viz.recall.example import recall_example

NAMES = ("transformer", "mamba", "rwkv")
DISTANCES, PAIRS = (16, 64, 128), (2, 8)


def cell(name: str, distance: int, pairs: int) -> Accuracy:
    """Make a cell no number of which another cell has."""
    place = 6 * NAMES.index(name) + 2 * DISTANCES.index(distance) + PAIRS.index(pairs)
    accuracy = 0.95 - 0.047 * place
    return Accuracy(
        {"distance": distance, "pairs": pairs}, accuracy, accuracy - 0.03, accuracy + 0.021, 640 + 1000 * place,
        100 + place, 1024 * (distance + 300 * NAMES.index(name)) + 512 * pairs,
    )  # fmt: skip


def guess(at: dict[str, int]) -> float:
    return 1 / (2 + at["pairs"])


def all_cells() -> dict[str, list[Accuracy]]:
    """Give the cells in an order of their own; one model is not measured whole."""
    found = {name: [cell(name, d, p) for p in reversed(PAIRS) for d in reversed(DISTANCES)] for name in NAMES}
    return found | {"rwkv": found["rwkv"][:-1]}


CELLS = all_cells()
LAYOUT = maps.layout_of(
    [one for own in CELLS.values() for one in own], ("distance", "pairs"), guess=guess, trained_to=64
)
LOST = ("rwkv", 16, 2)


def rows_of(figure: Figure, field: str) -> list[dict[str, Any]]:
    """Return the rows of the datasets of a chart that have a field."""
    return [row for rows in figure.body.rows.values() for row in rows.to_dict("records") if field in row]


def mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found)


def of(name: str, distance: int) -> list[Accuracy]:
    return [one for one in CELLS[name] if one.at["distance"] == distance]


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the lines that the figures hand to their chart, which draws nothing here."""
    found: dict[str, Any] = {}
    for module in (maps, curves):
        monkeypatch.setattr(module, "lines_chart", lambda given, **more: found.update(lines=given, **more))
    return found


def test_every_cell_of_a_map_says_its_own_numbers(t) -> None:
    figure = maps.recall_map(CELLS, LAYOUT, theme=LIGHT, t=t)
    drawn = {(row["column"], row["row"]): row for row in rows_of(figure, "measured")}
    assert len(drawn) == 18
    for name, distance, pairs in itertools.product(NAMES, DISTANCES, PAIRS):
        row, known = drawn[f"{name}|{distance}", str(pairs)], cell(name, distance, pairs)
        assert row["measured"] == ((name, distance, pairs) != LOST)
        if not row["measured"]:
            assert row["short"] == row["share"] == ""
            continue
        where = f"{t('viz.recall.axis.distance')} {distance}, {t('viz.recall.axis.pairs')} {pairs}"
        carried = f"{size(known.bytes_carried)} · {t('viz.tokens', count=known.length)}"
        words = {
            "name": t(f"viz.architecture.{name}"), "short": f"{100 * known.accuracy:.0f}", "cell": where,
            "share": f"{100 * known.accuracy:.1f}%", "guess": f"{100 / (2 + pairs):.1f}%", "carried": carried,
            "interval": f"{100 * known.low:.1f}% – {100 * known.high:.1f}%", "asked": f"{known.count:,}",
            "guessed": known.low <= guess(known.at),
        }  # fmt: skip
        assert {field: row[field] for field in words} == words
    assert {row["guessed"] for row in drawn.values()} == {True, False}


def test_a_map_exports_its_cells_by_architecture_row_and_place_and_writes_their_means(t) -> None:
    figure = maps.recall_map(CELLS, LAYOUT, theme=LIGHT, t=t)
    for name in ("accuracy", "low", "high", "bytes_carried"):
        known = [
            [[np.nan if (a, d, p) == LOST else getattr(cell(a, d, p), name) for d in DISTANCES] for p in PAIRS]
            for a in NAMES
        ]
        np.testing.assert_allclose(figure.data[name].values, known, err_msg=name)
        assert figure.data[name].dims == ("architecture", "pairs", "distance")
    means = {name: f"{100 * mean(one.accuracy for one in CELLS[name]):.0f}%" for name in NAMES}
    titles = {row["name"]: row["mean"] for row in rows_of(figure, "mean")}
    assert titles == {t(f"viz.architecture.{name}"): t("viz.recall.mean", share=means[name]) for name in NAMES}
    bars = {row["column"]: (row["bytes"], row["text"]) for row in rows_of(figure, "bytes")}
    for name, distance in itertools.product(NAMES, DISTANCES):
        carried = mean(one.bytes_carried for one in of(name, distance))
        text = size(carried).replace(" KiB", "K").replace(" MiB", "M")
        assert bars[f"{name}|{distance}"] == (carried, text)
    listed = ", ".join(f"{t(f'viz.architecture.{name}')} {share}" for name, share in means.items())
    assert figure.alt.startswith(t("viz.recall_map.alt", list=listed))
    assert maps.recall_map(CELLS, LAYOUT, theme=LIGHT, t=t, live=True).alt.startswith(
        t("viz.recall_map.alt_live", list=listed)
    )
    assert (LAYOUT.places, LAYOUT.rows, LAYOUT.across, LAYOUT.up) == ([16, 64, 128], [2, 8], "distance", "pairs")
    assert LAYOUT.most_bytes == max(one.bytes_carried for own in CELLS.values() for one in own)


def test_accuracy_stands_over_the_bytes_of_the_same_distance(lines, t) -> None:
    figure = maps.recall_against_bytes(CELLS, LAYOUT, theme=LIGHT, t=t)
    for name, line in zip(NAMES, lines["lines"], strict=True):
        means = {
            field: [mean(getattr(one, field) for one in of(name, d)) for d in DISTANCES]
            for field in ("bytes_carried", "accuracy", "low", "high")
        }
        np.testing.assert_allclose(line.points, np.transpose([means["bytes_carried"], means["accuracy"]]))
        np.testing.assert_allclose(line.ribbon, np.transpose([means[f] for f in ("bytes_carried", "low", "high")]))
        np.testing.assert_allclose(figure.data[f"{name}_bytes"].values, means["bytes_carried"])
        np.testing.assert_allclose(figure.data[f"{name}_accuracy"].values, means["accuracy"])
        assert (line.architecture, line.name) == (name, t(f"viz.architecture.{name}"))


def test_seeds_have_their_own_means_and_the_bundled_one_is_filled(t) -> None:
    runs = {name: [(seed, [cell(name, d, 2) for d in DISTANCES[seed:]]) for seed in (0, 1, 2)] for name in NAMES[:2]}
    figure = maps.recall_seeds(runs, theme=LIGHT, t=t, bundled=1, guess=guess)
    known = {(name, seed): mean(one.accuracy for one in cells) for name, own in runs.items() for seed, cells in own}
    drawn = rows_of(figure, "seed")
    assert {(row["architecture"], row["seed"]): row["accuracy"] for row in drawn} == pytest.approx(known)
    for row in drawn:
        assert row["text"] == f"{100 * known[row['architecture'], row['seed']]:.0f}%"
        assert row["kept"] == (row["seed"] == 1)
    np.testing.assert_allclose(
        figure.data["accuracy"].values, [[known[name, seed] for seed in (0, 1, 2)] for name in NAMES[:2]]
    )
    np.testing.assert_allclose(figure.data["guess"].values, [0.25])
    ends = [
        f"{t(f'viz.architecture.{name}')} {100 * min(own):.0f}%–{100 * max(own):.0f}%"
        for name in NAMES[:2]
        for own in [[known[name, seed] for seed in (0, 1, 2)]]
    ]
    assert figure.alt.startswith(t("viz.recall_seeds.alt", list=", ".join(ends)))


LOGS = {"mamba": [(0, 9.5), (20, 7.25), (40, 5.0)], "rwkv": [(0, 9.0), (30, 6.5)]}
DRAWN: dict[str, Callable[..., Figure]] = {
    "recall_lessons": maps.recall_lessons,
    "training_curves": curves.training_curves,
}


@pytest.mark.parametrize("name", DRAWN)
def test_a_loss_stands_over_its_own_step(lines, t, name: str) -> None:
    figure = DRAWN[name](LOGS, theme=LIGHT, t=t)
    for line, (architecture, points) in zip(lines["lines"], LOGS.items(), strict=True):
        assert (line.architecture, line.name) == (architecture, t(f"viz.architecture.{architecture}"))
        np.testing.assert_allclose(line.points, points)
        np.testing.assert_allclose(figure.data[architecture].values, points)
        if name == "training_curves":
            np.testing.assert_allclose(line.samples, points)
            np.testing.assert_allclose(figure.data[f"{architecture}_logged"].values, points)


def test_a_smoothed_loss_is_the_mean_of_its_neighbours(lines, english) -> None:
    """Of 240 logged losses three before and three after count; at the start as many as there are before."""
    points = [(7.0 * n, 3 + np.sin(n)) for n in range(240)]
    figure = curves.training_curves({"mamba": points}, theme=LIGHT, t=english)
    known = []
    for n in range(240):
        reach = min(3, n)
        known.append((7.0 * n, mean(y for _, y in points[n - reach : n + reach + 1])))
    np.testing.assert_allclose(figure.data["mamba"].values, known)


def test_growth_is_the_bytes_over_the_tokens_and_bars_are_as_long(lines, t) -> None:
    given = {"transformer": [(0, 5), (16, 1024), (32, 3000)], "rwkv": [(16, 512), (32, 700)]}
    figure = curves.growth(given, theme=LIGHT, t=t, at=20)
    for line, (name, points) in zip(lines["lines"], given.items(), strict=True):
        np.testing.assert_allclose(line.points, [one for one in points if one[0]])
        np.testing.assert_allclose(figure.data[name].values, line.points)
    rows = [("transformer", 44032), ("rwkv", 7680)]
    carried = curves.carried_bytes(rows, theme=LIGHT, t=t)
    assert carried.data["bytes"].values.tolist() == [44032, 7680]
    drawn = rows_of(carried, "bytes")
    assert [(row["architecture"], row["name"], row["bytes"], row["text"], row["most"]) for row in drawn] == [
        (name, t(f"viz.architecture.{name}"), count, size(count), 44032) for name, count in rows
    ]
    listed = ", ".join(f"{t(f'viz.architecture.{name}')} {size(count)}" for name, count in rows)
    assert carried.alt.startswith(t("viz.carried_bytes.alt", list=listed))


def test_a_question_shows_what_each_layer_reads_where_it_is_asked(traces, t) -> None:
    some = [traces[name] for name in ("jamba", "rwkv")]
    roles = ["key", "other", "filler", "key", "value", "other", "filler", "filler", "key", "other", "key"]
    figure = recall_example(some, asked_at=7, answer_at=4, theme=LIGHT, t=t, roles=roles)
    shares, names, kinds = [], [], []
    for trace in some:
        for layer in trace:
            part = next(p for p in ("attention", "hidden_attention", "effective_attention") if p in layer.parts)
            values = np.abs(layer.part(part).astype(np.float64))
            row = values.mean(0)[7] if values.ndim == 3 else values[7]
            shares.append(row / row.sum())
            own = t(f"viz.architecture.{trace.architecture}")
            names.append(t("viz.recall_example.row", name=own, layer=layer.index))
            kind = t(f"viz.mixer.{layer.mixer}")
            kinds.append("" if kind == own else kind)
    np.testing.assert_allclose(figure.data["share"].values, shares, rtol=1e-5)
    rows, strip = figure.body.grid.rows, figure.body.strip
    assert (list(rows.names), list(rows.labels), list(rows.notes)) == (names, names, kinds)
    assert [one for one in enumerate(strip.extra) if one[1]] == [
        (4, t("viz.recall_example.answer")), (7, t("viz.recall_example.asked")),
    ]  # fmt: skip
    assert strip.roles == ("key", "value", "filler", "key", "value", "other", "filler", "filler", "key", "value", "key")
    assert strip.pairs == ((0, 1), (3, 4), (8, 9)) and strip.selected == 4


def test_every_figure_of_recall_and_of_costs_is_held_here() -> None:
    held = {"recall_map", "recall_against_bytes", "recall_far", "recall_lessons", "recall_seeds", "carried_bytes",
            "growth", "part_worth", "recall_what_if", "active_parameters", "memory_growth", "training_curves",
            "prediction_error", "generation_time", "ratios", "version_ladder"}  # fmt: skip
    assert held == {entry.id for entry in every().values() if entry.of in ("recall", "other")}
