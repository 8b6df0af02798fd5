"""The answers are where the tasks say, nothing is ambiguous, and who reads the sequence is always right."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import SettingError
from models.recall import evaluation
from models.recall.curriculum import TASKS, task
from models.recall.tasks import NOTHING, Induction, Mqar, RecallCell, SelectiveCopying, Sequences, commonest, values_of

CELLS: Sequence[RecallCell] = (
    Mqar(1, 0),
    Mqar(2, 2, queries=2),
    Mqar(7, 13, queries=5),
    Mqar(8, 14, queries=8),
    Mqar(8, 63, queries=3),
    Mqar(3, 9, queries=10, scattered=True),
    Induction(0, lead=0),
    Induction(1, queries=2, lead=3),
    Induction(63, queries=7),
    SelectiveCopying(1, 1),
    SelectiveCopying(5, 5),
    SelectiveCopying(7, 63),
    *(cell for t in TASKS.values() for cell in t.cells[::3]),
)


def oracle(cell: RecallCell, ids: list[int]) -> dict[int, int]:
    """Answer by reading the tokens alone: {place: answer}."""
    if isinstance(cell, Mqar):
        known: dict[int, int] = {}
        found = {}
        for at, token in enumerate(ids):
            if token < cell.keys and token in known:
                found[at] = known[token]
            elif token < cell.keys:
                known[token] = ids[at + 1]
        return found
    if isinstance(cell, Induction):
        first = ids.index(cell.symbols)
        return {at: ids[first + 1] for at, token in enumerate(ids) if token == cell.symbols and at > first}
    assert isinstance(cell, SelectiveCopying)
    seen = [token for token in ids if token < cell.colours]
    markers = [at for at, token in enumerate(ids) if token == cell.colours + 1]
    return dict(zip(markers, seen, strict=True))


def asked(drawn: Sequences, row: int) -> dict[int, int]:
    targets = drawn.targets[row]
    return {int(at): int(targets[at]) for at in (targets != NOTHING).nonzero()[:, 0]}


@pytest.mark.parametrize("cell", CELLS, ids=repr)
def test_an_oracle_that_reads_the_sequence_is_always_right(cell: RecallCell) -> None:
    drawn = cell.draw(9, seed=3)
    assert drawn.ids.shape == drawn.targets.shape == drawn.sources.shape == (9, cell.length)
    for row in range(9):
        expected = asked(drawn, row)
        assert len(expected) == cell.answers
        assert oracle(cell, drawn.ids[row].tolist()) == expected
        for at, answer in expected.items():
            assert drawn.sources[row, at] < at
            assert drawn.ids[row, drawn.sources[row, at]] == answer


@pytest.mark.parametrize("cell", [c for c in CELLS if isinstance(c, Mqar)], ids=repr)
def test_mqar_keeps_its_distance_and_repeats_no_key(cell: Mqar) -> None:
    drawn = cell.draw(9, seed=4)
    for ids, targets, sources in zip(drawn.ids, drawn.targets, drawn.sources, strict=True):
        at = (targets != NOTHING).nonzero()[:, 0]
        keys = ids[: 2 * cell.pairs : 2]
        assert len(set(keys.tolist())) == cell.pairs
        assert (ids[: 2 * cell.pairs].reshape(-1, 2)[:, 1] // cell.keys == 1).all()
        if not cell.scattered:
            assert (at - sources[at] - 1 == cell.distance).all()
            assert len(set(ids[at].tolist())) == cell.queries
        gap = [int(i) for p, i in enumerate(ids) if p >= 2 * cell.pairs and p not in at.tolist()]
        assert all(i >= cell.keys + cell.values for i in gap)
        assert (ids[sources[at] - 1] == ids[at]).all()


@pytest.mark.parametrize("cell", [c for c in CELLS if isinstance(c, Induction)], ids=repr)
def test_induction_remembers_over_its_distance(cell: Induction) -> None:
    drawn = cell.draw(9, seed=4)
    assert (drawn.ids[:, -1] == cell.symbols).all()
    assert (drawn.ids[:, cell.lead] == cell.symbols).all()
    assert (drawn.sources[:, -1] == cell.length - 2 - cell.distance).all()


def test_copying_scatters_the_colours_over_the_whole_span() -> None:
    cell = SelectiveCopying(3, 10)
    places = cell.draw(400, seed=1).sources[:, cell.span :]
    assert (places.diff(dim=1) > 0).all()
    assert set(places.flatten().tolist()) == set(range(10))


@pytest.mark.parametrize("name", TASKS)
def test_a_constant_guess_scores_chance(name: str) -> None:
    chosen = task(name)
    cell = chosen.cells[-1]
    drawn = cell.draw(2000 // cell.answers, seed=5)
    answers = drawn.targets[drawn.targets != NOTHING]
    for guess in answers.unique():
        right = int((answers == guess).sum())
        share, spread = right / len(answers), np.sqrt(chosen.chance * (1 - chosen.chance) / len(answers))
        assert abs(share - chosen.chance) < 4.5 * spread, int(guess)


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("place", [0, -1])
def test_who_says_the_commonest_candidate_scores_the_guess(name: str, place: int) -> None:
    """Played out on drawn sequences: candidates are the values, the letters or the tokens that were read."""
    cell = task(name).cells[place]
    drawn = cell.draw(4000, seed=7)
    read = {
        "mqar": lambda c, ids: ids[:, 1 : 2 * c.pairs : 2],
        "induction": lambda c, ids: torch.cat([ids[:, : c.lead], ids[:, c.lead + 1 : -1]], dim=1),
        "selective_copying": lambda c, ids: ids[:, : c.span].masked_fill(ids[:, : c.span] == c.colours, -1),
    }[name](cell, drawn.ids)
    counts = torch.stack([(read == symbol).sum(1) for symbol in range(int(read.max()) + 1)], dim=1)
    said = counts.argmax(1, keepdim=True).expand_as(drawn.targets)
    asked = drawn.targets != NOTHING
    right = (said == drawn.targets)[asked].float().mean().item()
    spread = np.sqrt(cell.guess * (1 - cell.guess) / 4000)  # answers of one sequence are not independent
    assert abs(right - cell.guess) < 4 * spread


def test_the_guess_of_small_cells_is_known() -> None:
    assert commonest(1, 8) == pytest.approx(1)
    assert commonest(2, 8) == pytest.approx((1 / 8 * 2 + 7 / 8) / 2)
    assert commonest(3, 2) == pytest.approx((2 / 8 * 3 + 6 / 8 * 2) / 3)


@pytest.mark.parametrize("cell", CELLS, ids=repr)
def test_a_seed_decides_everything(cell: RecallCell) -> None:
    first, again, other = (cell.draw(33, seed=seed) for seed in (7, 7, [7, 1]))
    assert torch.equal(first.ids, again.ids) and torch.equal(first.targets, again.targets)
    assert not torch.equal(first.ids, other.ids)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Mqar(0, 4), "pairs must be 1 to 8, got 0"),
        (lambda: Mqar(9, 99), "pairs must be 1 to 8, got 9"),
        (lambda: Mqar(4, 5), "distance must be at least 6, got 5"),
        (lambda: Mqar(4, 9, queries=5), "queries must be 1 to 4, got 5"),
        (lambda: Mqar(4, 9, queries=11, scattered=True), "queries must be 1 to 10, got 11"),
        (lambda: Induction(-1), "distance must be at least 0, got -1"),
        (lambda: Induction(2, queries=4), "queries must be 1 to 3, got 4"),
        (lambda: Induction(2, lead=-1), "lead must be at least 0, got -1"),
        (lambda: SelectiveCopying(0, 4), "count must be at least 1, got 0"),
        (lambda: SelectiveCopying(4, 3), "span must be at least 4, got 3"),
        (lambda: Mqar(1, 1).draw(0, seed=1), "batch must be at least 1, got 0"),
        (lambda: task("chess"), "choose among mqar, induction, selective_copying"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(make, said: str) -> None:
    with pytest.raises(SettingError, match=said):
        make()


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(sorted(TASKS)), progress=st.floats(0, 1), seed=st.integers(0, 999))
def test_every_lesson_can_be_drawn(name: str, progress: float, seed: int) -> None:
    chosen = task(name)
    cell = chosen.lesson(progress, np.random.default_rng(seed))
    drawn = cell.draw(2, seed=seed)
    assert int(drawn.ids.max()) < chosen.vocab
    assert int((drawn.targets != NOTHING).sum()) == 2 * cell.answers
    assert all(values_of(cell)[axis] <= bound for axis, bound in chosen.trained_to.items())


@pytest.mark.parametrize("name", TASKS)
def test_cells_of_a_task_differ_and_are_asked_enough(name: str) -> None:
    chosen = task(name)
    assert len({tuple(values_of(cell).values()) for cell in chosen.cells}) == len(chosen.cells)
    assert 0.5 / np.sqrt(evaluation.QUERIES) <= 0.02


@pytest.mark.parametrize("name", TASKS)
def test_far_cells_differ_in_their_distance_alone_and_reach_beyond_a_thousand(name: str) -> None:
    chosen = task(name)
    axis = chosen.axes[0]
    places = [values_of(cell) for cell in chosen.far]
    assert [place[axis] for place in places] == sorted({place[axis] for place in places})
    assert len({tuple(value for other, value in place.items() if other != axis) for place in places}) == 1
    assert places[0][axis] < chosen.trained_to[axis] and places[-1][axis] > 1000 and len(places) >= 6
    for cell in chosen.far[-2:]:
        drawn = cell.draw(2, seed=1)
        assert drawn.ids.shape == (2, cell.length) and (drawn.ids < chosen.vocab).all()
        assert int((drawn.targets != NOTHING).sum()) == 2 * cell.answers
        assert 1 / 17 < chosen.guess(values_of(cell)) < 0.6


def test_the_share_of_the_commonest_is_that_of_many_draws() -> None:
    rng = np.random.default_rng(4)
    for draws, symbols in ((1, 4), (4, 8), (300, 16), (2057, 16)):
        seen = [np.bincount(rng.integers(0, symbols, draws)).max() / draws for _ in range(4000)]
        assert commonest(draws, symbols) == pytest.approx(np.mean(seen), abs=4 * np.std(seen) / 4000**0.5 + 1e-12)
