"""Figures of an encoder-decoder run: what is drawn is what the record holds, and a spoiled picture is red."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest
from figure_words import strict

from models.records.encoder_decoder import DIMS, KINDS, EncoderDecoderRun
from models.records.trace import NamedArray
from viz import proof
from viz.canvas import CanvasSpec, Matrix
from viz.canvas import decode as decode_canvas
from viz.encoder_decoder import findings, heads
from viz.encoder_decoder.exchange import BEST, cross_lines
from viz.encoder_decoder.labels import labels, reading_of
from viz.exchange import ExchangeSpec, StacksSpec
from viz.figure import Figure
from viz.gallery.encoder_decoder import attention, sample_run
from viz.gallery.figures import every
from viz.hero import decode
from viz.look.theme import DARK, LIGHT
from viz.proof.curves import curves

OF_A_RUN = sorted(entry.id for entry in every().values() if entry.of == "run")
WHOLE = ("two_stacks", "decoder_cache")
ODD = {
    "one step": (("<copy>", "a", "</s>"), ("</s>",)),
    "two steps": (("<copy>", "a", "</s>"), ("a", "</s>")),
    "longer than the source": (("<copy>", "a", "</s>"), ("a", "b", "c", "a", "b", "c", "a", "</s>")),
}


@pytest.fixture(scope="module")
def run() -> EncoderDecoderRun:
    return sample_run()


def chosen(name: str, layer: int = 1, head: int = 0) -> dict[str, int]:
    return {} if name in WHOLE else {"layer": layer, "head": head}


def drawn(name: str, run: EncoderDecoderRun, lang: str = "en", **place: int) -> Figure:
    made = every()[name].draw(run, theme=LIGHT, t=strict(lang), **chosen(name, **place))
    assert made is not None
    return made


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize("name", OF_A_RUN)
def test_a_healthy_figure_passes_in_both_languages(name: str, lang: str, run: EncoderDecoderRun) -> None:
    for layer in (0, 1):
        for head in (0, 1):
            made = drawn(name, run, lang, layer=layer, head=head)
            check = proof.check(made, run, **chosen(name, layer, head))
            assert check is not None and check.passed and check.error < 1e-5, check
            assert made.alt and made.body.payload()


@pytest.mark.parametrize("size", ODD)
@pytest.mark.parametrize("name", OF_A_RUN)
def test_odd_sizes_are_drawn(name: str, size: str) -> None:
    odd = sample_run(*ODD[size], expected=None)
    check = proof.check(drawn(name, odd), odd, **chosen(name))
    assert check is not None and check.passed, check


def test_every_figure_of_a_run_has_a_check() -> None:
    assert sorted(proof.CHECKS_OF_RUN) == OF_A_RUN


@pytest.mark.parametrize("name", ["encoder_map", "decoder_map", "cross_map", "cross_lines"])
def test_a_picture_of_another_layer_or_head_is_red(name: str, run: EncoderDecoderRun) -> None:
    made = drawn(name, run, layer=1, head=0)
    for layer, head in ((0, 0), (1, 1)):
        check = proof.check(made, run, layer=layer, head=head)
        assert check is not None and not check.error < 1e-2


Spoil = Callable[[np.ndarray], np.ndarray]
SPOILS: dict[str, Spoil] = {
    "transposed": lambda v: np.swapaxes(v, -1, -2) if v.shape[-1] == v.shape[-2] else v[..., ::-1, :],
    "shifted": lambda v: np.roll(v, 1, axis=-1),
    "a step late": lambda v: np.roll(v, 1, axis=-2),
    "a third more": lambda v: 1.3 * v,
    "squared": np.square,
    "nothing": lambda v: 0 * v,
    "nan": lambda v: v * np.nan,
}


def spoiled(run: EncoderDecoderRun, kind: str, name: str, spoil: Spoil) -> EncoderDecoderRun:
    """Return the run with one array of one kind of attention changed; the figure is drawn of it, the check is not."""
    found = run.attention(kind)  # type: ignore[arg-type]
    values = np.array(spoil(np.array(getattr(found, name).values)))
    return dataclasses.replace(run, **{kind: dataclasses.replace(found, **{name: NamedArray(values, DIMS[name])})})


@pytest.mark.parametrize("how", SPOILS)
@pytest.mark.parametrize(
    ("name", "kind"),
    [("encoder_map", "encoder"), ("decoder_map", "decoder"), ("cross_map", "cross"), ("cross_lines", "cross")],
)
def test_spoiled_weights_turn_the_badge_red(name: str, kind: str, how: str, run: EncoderDecoderRun) -> None:
    try:
        made = drawn(name, spoiled(run, kind, "weights", SPOILS[how]))
    except ValueError:
        return  # what cannot be drawn is not shown
    check = proof.check(made, run, **chosen(name))
    assert check is not None and not check.error < 1e-2, check


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_mask_turns_the_badge_red(kind: str, run: EncoderDecoderRun) -> None:
    for spoil in (
        lambda v: 1 - v,
        lambda v: v[::-1],
        lambda v: np.ones_like(v) if kind == "decoder" else np.tri(*v.shape),
    ):
        made = drawn("two_stacks", spoiled(run, kind, "visible", spoil))
        if np.array_equal(made.data[f"{kind}_mask"].values, run.attention(kind).visible.values):
            continue  # a mask of ones is the same upside down
        check = proof.check(made, run)
        assert check is not None and not check.error < 1e-2


def test_wrong_probabilities_turn_the_badge_red(run: EncoderDecoderRun) -> None:
    for spoil in (lambda v: v[::-1], lambda v: v / 3, lambda v: np.roll(v, 1, axis=1)):
        logits = NamedArray(np.array(spoil(run.logits.values)), run.logits.dims)
        check = proof.check(drawn("cross_lines", dataclasses.replace(run, logits=logits)), run, layer=1, head=0)
        assert check is not None and not check.error < 1e-2


def test_wrong_bytes_turn_the_badge_red(run: EncoderDecoderRun) -> None:
    for name, spoil in (
        ("self_bytes", lambda v: v + 8),
        ("self_bytes", lambda v: v[::-1]),
        ("cross_bytes", lambda v: 2 * v),
    ):
        told = getattr(run, name)
        wrong = dataclasses.replace(run, **{name: NamedArray(np.array(spoil(told.values)), told.dims)})
        check = proof.check(drawn("decoder_cache", wrong), run)
        assert check is not None and not check.passed


def test_a_badge_has_curves(run: EncoderDecoderRun) -> None:
    for name in ("encoder_map", "cross_lines"):
        assert curves(drawn(name, run), run, **chosen(name))


# --- what the browser gets
def test_the_lines_hold_the_record(run: EncoderDecoderRun) -> None:
    made = drawn("cross_lines", run)
    assert isinstance(made.body, ExchangeSpec)
    header, planes = decode(made.body.payload())
    steps, sources = len(run.written), len(run.source)
    weights = planes[header["weights"]].reshape(steps, sources)
    assert (weights == run.cross.weights.values[1, 0]).all()
    probs = planes[header["guesses"]["probs"]].reshape(steps, BEST)
    for step in range(steps):
        logits = run.logits.values[step].astype(float)
        odds = [math.exp(value - max(logits)) for value in logits]
        best = sorted(range(len(odds)), key=lambda i: (-odds[i], i))[:BEST]
        assert probs[step] == pytest.approx([odds[i] / sum(odds) for i in best], rel=1e-5)
        assert header["guesses"]["labels"][step] == list(labels(run, [run.vocabulary[i] for i in best], strict("en")))
        assert header["guesses"]["written"][step] == 0, "greedy: the likeliest is written"
    assert header["source"] == ["⟨reverse⟩", "a", "b", "c", "⟨end⟩"] and header["written"] == ["c", "b", "a", "⟨end⟩"]
    assert (header["kind"], header["place"], header["reading"]) == ("lines", [1, 0], reading_of(run))


def test_the_stacks_hold_the_masks_and_the_sizes(run: EncoderDecoderRun) -> None:
    made = drawn("two_stacks", run)
    assert isinstance(made.body, StacksSpec)
    header, planes = decode(made.body.payload())
    blocks = {
        "encoder": header["encoder"]["blocks"][-1],
        "cross": header["decoder"]["blocks"][1],
        "decoder": header["decoder"]["blocks"][-1],
    }
    for kind, block in blocks.items():
        mask = planes[block["mask"]].reshape(block["shape"])
        expected = np.tri(4) if kind == "decoder" else np.ones((5 if kind == "encoder" else 4, 5))
        assert (mask == expected).all(), kind
    assert (header["encoder"]["layers"], header["decoder"]["layers"]) == (2, 2)
    assert header["given"] == ["⟨start⟩", "c", "b", "a"]
    assert made.finding == "Only masked self-attention leaves pairs out: it lets 10 of 16 be read."


@pytest.mark.parametrize(
    ("name", "kind"), [("encoder_map", "encoder"), ("decoder_map", "decoder"), ("cross_map", "cross")]
)
def test_a_map_draws_the_record_in_its_own_orientation(name: str, kind: str, run: EncoderDecoderRun) -> None:
    made = drawn(name, run)
    assert isinstance(made.body, CanvasSpec) and isinstance(made.body.grid, Matrix)
    header, planes = decode_canvas(made.body.payload())
    weights = run.attention(kind).weights.values[1, 0]  # type: ignore[arg-type]
    told = np.asarray(planes[header["grid"]["plane"]]).reshape(weights.shape)
    seen = np.tri(len(weights), dtype=bool) if kind == "decoder" else np.ones_like(weights, dtype=bool)
    assert (told[seen] == weights[seen]).all() and np.isnan(told[~seen]).all()
    grid = header["grid"]
    assert grid["triangle"] == (kind == "decoder") and grid["follows"] == (kind == "cross")
    assert header["reading"] == ("" if kind == "encoder" else reading_of(run))
    if kind == "cross":
        assert grid["row_labels"] == list(labels(run, run.written, strict("en")))
        assert grid["column_labels"] == list(labels(run, run.source, strict("en")))
        assert made.body.strip is None
    else:
        words = run.source if kind == "encoder" else run.given
        assert header["strip"]["labels"] == list(labels(run, words, strict("en"))) and grid["row_tokens"]


def test_an_unknown_layer_or_head_is_refused(run: EncoderDecoderRun) -> None:
    for layer, head in ((2, 0), (0, 2), (-1, 0)):
        with pytest.raises(IndexError, match=f"layer {layer}, head {head}"):
            cross_lines(run, theme=DARK, t=strict("ko"), layer=layer, head=head)


# --- findings and what is shown first
def test_lines_cross_as_their_ends_are_ordered() -> None:
    even = np.eye(4, 6)
    assert findings.crossings(even) == (0, 6)
    assert findings.crossings(even[::-1]) == (6, 6)
    assert findings.crossings(even[[0, 2, 1, 3]]) == (1, 6)
    assert findings.crossings(np.ones((3, 4))) == (0, 0), "no strongest key, no line"
    assert findings.crossing_finding(np.ones((3, 4)), strict("en")) == ""


def test_what_lies_on_later_tokens_is_counted() -> None:
    t = strict("en")
    uniform = np.full((3, 3), 1 / 3)
    assert findings.both_ways_finding(uniform, t) == "On average 50% of a row lies on later tokens."  # (2/3 + 1/3) / 2
    assert "0%" in findings.both_ways_finding(np.eye(3), t)
    assert findings.both_ways_finding(np.ones((1, 1)), t) == ""
    assert findings.masked_finding(np.tri(4), t) == "Of 6 cells above the diagonal 6 have the weight 0."
    assert "5 have" in findings.masked_finding(np.tri(4) + np.eye(4, 4, 3), t)
    assert findings.masked_finding(np.ones((1, 1)), t) == ""
    pointed = np.array([[0.6, 0.4], [0.5, 0.5], [0.1, 0.9]])
    assert findings.pointed_finding(pointed, t) == "2 of 3 words take more than half from one source token."


def test_the_first_head_is_the_most_pointed_and_the_first_step_the_widest_jump() -> None:
    base = sample_run(("<copy>", "a", "b", "c", "</s>"), ("a", "c", "b", "a", "</s>"))
    weights = np.full((2, 2, 5, 5), 0.2)
    weights[1, 1] = np.eye(5)[[1, 3, 2, 0, 4]]  # words 1, 3, 2; then the task, the end
    seen = dataclasses.replace(base.cross, weights=NamedArray(weights, DIMS["weights"]))
    run = dataclasses.replace(base, cross=seen)
    assert heads.most_pointed(run) == (1, 1)
    assert heads.resting_step(run) == 1, "from 1 to 3; lines to the task and to the end do not count"
    assert heads.resting_step(sample_run(("<copy>", "a", "</s>"), ("</s>",))) == 0


@pytest.mark.parametrize(
    ("expected", "words"),
    [(("c", "b", "a"), "which is right"), (("a",), "right is “a”"), (None, "no sentence of its grammar")],
)
def test_the_answer_is_judged_in_the_finding(expected: tuple[str, ...] | None, words: str) -> None:
    assert words in drawn("cross_lines", sample_run(expected=expected)).finding


def test_another_input_is_another_reading() -> None:
    one, other = sample_run(), sample_run(written=("c", "b", "</s>"))
    assert reading_of(one) != reading_of(other) and len(reading_of(one)) == 16


def test_the_place_kept_for_a_picture_grows_with_its_words_and_in_narrow_windows() -> None:
    short, long = (
        drawn("cross_lines", sample_run(*ODD[size], expected=None)).body
        for size in ("one step", "longer than the source")
    )
    assert isinstance(short, ExchangeSpec) and isinstance(long, ExchangeSpec)
    assert long.height(800) == short.height(800) + 30 * 5
    assert short.height(300) > short.height(800)


def test_the_sample_agrees_with_itself() -> None:
    found = attention(np.tri(4), pace=1.7)
    assert (np.triu(found.weights.values, 1) == 0).all()
    assert np.allclose(found.weights.values.sum(-1), 1)
