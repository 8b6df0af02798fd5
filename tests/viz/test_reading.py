"""Four models read a text: the payload holds the run's own numbers, and whatever is spoiled turns the badge red."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from figure_words import figure_words, strict

from models import registry
from models.alignment import align_all
from models.counting import accounting
from models.records.trace import PARTS, LayerTrace, ModelTrace, NamedArray, Token
from models.units import size
from viz import proof
from viz.figure import Figure
from viz.hero import HeroSpec, decode
from viz.hero.payload import VERSION, TypedPlanes, encode
from viz.look.theme import DARK, LIGHT
from viz.proof.reading import carried as carried_by_live_tensors
from viz.trace import carried as carrying
from viz.trace.reading import reading

TEXT = "Once upon a time a wolf met a wolf, and the wolf said to the King: 늑대 🐺"
NAMES = ("transformer", "mamba", "rwkv", "jamba")
WORDS = figure_words("en")


def english(key: str, **values: object) -> str:
    return WORDS[key].format_map(values)


def counted(trace: ModelTrace) -> tuple[int, ...]:
    shape = accounting.shape_of(registry.read_config(trace.checkpoint))
    lengths = range(1, len(trace.tokens) + 1)
    return tuple(accounting.cache_bytes(shape, context=n, dtype="bfloat16") for n in lengths)


@pytest.fixture(scope="module")
def runs() -> list[ModelTrace]:
    """Trace the bundled models over one text, which ends in a sign of several tokens."""
    return [registry.trace(registry.load(name), TEXT) for name in NAMES]


@pytest.fixture(scope="module")
def figure(runs: list[ModelTrace]) -> Figure:
    return reading(runs, theme=LIGHT, t=english, carried=tuple(map(counted, runs)))


@pytest.fixture(scope="module")
def sent(figure: Figure) -> tuple[dict, list[np.ndarray]]:
    return decode(figure.body.payload())


def lane_of(sent: tuple[dict, list[np.ndarray]], name: str) -> dict:
    return next(lane for lane in sent[0]["lanes"] if lane["key"] == name)


def of(runs: list[ModelTrace], name: str) -> ModelTrace:
    return next(trace for trace in runs if trace.architecture == name)


# --- what is drawn equals the run -------------------------------------------------------------------------------
@pytest.mark.parametrize("name", NAMES)
def test_guesses_are_the_first_in_the_order_of_the_logits_before(name: str, runs, sent) -> None:
    trace, (_, planes) = of(runs, name), sent
    told = lane_of(sent, name)["guesses"]
    best = [[told["labels"][i] for i in row] for row in told["best"]]
    probs, rank, prob = planes[told["probs"]].reshape(-1, 3), planes[told["rank"]], planes[told["prob"]]
    assert best[0] == ["", "", ""] and rank[0] == 0
    right = 0
    for i, token in list(enumerate(trace.tokens))[1:]:
        row = trace.logits.values[i - 1].astype(np.float64)
        order = np.argsort(-row, kind="stable")
        odds = np.exp(row - row.max()) / np.exp(row - row.max()).sum()
        assert best[i] == [trace.label_of(int(id_)) for id_ in order[:3]]
        np.testing.assert_allclose(probs[i], odds[order[:3]], rtol=1e-6)
        assert order[rank[i] - 1] == token.id, "the rank of the token that came"
        assert prob[i] == pytest.approx(odds[token.id], rel=1e-6)
        assert prob[i] == pytest.approx(2.0 ** -float(trace.surprisal.values[i]), rel=1e-4)
        right += order[0] == token.id
    assert (rank == 1).sum() == right, "dots: one for each token that was guessed first"


@pytest.mark.parametrize("name", ["transformer", "jamba"])
def test_cells_are_attention_averaged_over_layers_and_heads(name: str, runs, sent) -> None:
    trace, cells = of(runs, name), lane_of(sent, name)["cells"]
    maps = [head for layer in trace.layers_with("attention") for head in layer.part("attention")]
    drawn = iter(sent[1][cells["plane"]])
    assert cells["pool"] == 1 and len(maps) == 8 * len(trace.layers_with("attention"))
    for t in range(len(trace.tokens)):
        for j in range(t + 1):
            assert next(drawn) == pytest.approx(np.mean([head[t, j] for head in maps]), rel=1e-3, abs=1e-7)
    assert next(drawn, None) is None


@pytest.mark.parametrize(("name", "shape"), [("mamba", (24, 16)), ("jamba", (12, 8))])
def test_a_tile_is_the_state_after_each_token(name: str, shape: tuple[int, int], runs, sent) -> None:
    trace, tile = of(runs, name), lane_of(sent, name)["tile"]
    index = int(tile["about"].split("layer ")[1].split(",")[0])
    layer = trace.layer(index)
    assert index == max(trace.layers_with("state"), key=lambda one: np.log(one.part("half_life")).std()).index
    drawn = sent[1][tile["plane"]].reshape(len(trace.tokens), *shape)
    order = np.argsort(-layer.part("half_life"), kind="stable")
    for t, row, column in [(0, 0, 0), (3, shape[0] - 1, 1), (11, 2, shape[1] - 1), (len(drawn) - 1, 5, 3)]:
        channels = np.array_split(order, shape[0])[row]
        dims = np.array_split(np.arange(16), shape[1])[column]
        known = np.mean([abs(layer.part("state")[t, c, d]) for c in channels for d in dims])
        assert drawn[t, row, column] == pytest.approx(known, rel=1e-3)
    np.testing.assert_array_equal(
        sent[1][tile["highs"]].reshape(shape).astype(np.float16), drawn.max(axis=0), "each cell to its own maximum"
    )


@pytest.mark.parametrize("name", ["mamba", "jamba"])
def test_kept_and_written_are_the_two_terms_of_the_recurrence(name: str, runs, sent) -> None:
    trace, tile = of(runs, name), lane_of(sent, name)["tile"]
    layer = trace.layer(int(tile["about"].split("layer ")[1].split(",")[0]))
    parts = {key: layer.part(key).astype(np.float64) for key in ("dt", "decay_rates", "scan_input", "write_proj")}
    h = np.zeros(parts["decay_rates"].shape)
    for t, share in enumerate(sent[1][tile["written"]]):
        kept = np.exp(parts["dt"][t][:, None] * parts["decay_rates"]) * h
        new = (parts["dt"][t] * parts["scan_input"][t])[:, None] * parts["write_proj"][t]
        h = kept + new
        assert share == pytest.approx(np.abs(new).sum() / (np.abs(new).sum() + np.abs(kept).sum()), rel=1e-4)
    assert sent[1][tile["written"]][0] == 1, "before the first token there is nothing to keep"


def test_ink_is_what_is_left_of_each_word_in_the_state(runs, sent) -> None:
    trace, ink = of(runs, "rwkv"), lane_of(sent, "rwkv")["ink"]
    layer = trace.layer(int(ink["about"][0].split("layer ")[1].split(",")[0]))
    w, k = layer.part("decay_rate").astype(np.float64), layer.part("key").astype(np.float64)
    bands = np.array_split(np.argsort(layer.part("half_life"), kind="stable"), 3)
    drawn = iter(sent[1][ink["plane"]])
    for t in range(len(trace.tokens)):
        e = np.exp(np.array([k[j] - (t - j) * w for j in range(t + 1)]))
        shares = e / e.sum(0)
        for band in bands:
            for back in range(t + 1):
                assert next(drawn) == pytest.approx(shares[t - back][band].mean(), rel=2e-3, abs=1e-6)
    assert next(drawn, None) is None and ink["window"] == len(trace.tokens)


def test_doors_are_the_experts_that_each_token_was_sent_to(runs, sent) -> None:
    trace, doors = of(runs, "jamba"), lane_of(sent, "jamba")["doors"]
    shown = [trace.layer(index) for index in doors["layers"]]
    assert doors["layers"] == [1, 3, 5, 7] and doors["count"] == 8
    shape = (4, len(trace.tokens), doors["choices"])
    chosen, weights = sent[1][doors["chosen"]].reshape(shape), sent[1][doors["weights"]].reshape(shape)
    for row, layer in enumerate(shown):
        np.testing.assert_array_equal(chosen[row], layer.part("chosen_experts"))
        np.testing.assert_array_equal(weights[row], layer.part("chosen_weights").astype(np.float16))


@pytest.mark.parametrize("name", NAMES)
def test_bytes_follow_the_formula_and_the_live_tensors_at_every_length(name: str, runs, sent, figure) -> None:
    trace = of(runs, name)
    formula = counted(trace)
    assert lane_of(sent, name)["carried"] == [size(count) for count in formula]
    assert figure.data[f"{name}_bytes"].values.tolist() == list(formula) == carried_by_live_tensors(trace)
    assert (formula[0] == formula[-1]) == (name in ("mamba", "rwkv"))


def test_every_lane_is_made_of_what_the_layers_show(sent) -> None:
    parts = ("cells", "tile", "ink", "doors")
    assert [[part for part in parts if part in lane] for lane in sent[0]["lanes"]] == [
        ["cells"],
        ["tile"],
        ["ink"],
        ["cells", "tile", "doors"],
    ]
    assert [lane["color"] for lane in sent[0]["lanes"]] == [LIGHT.color(name) for name in NAMES]


def test_the_words_tell_who_guessed_most(runs, sent, figure) -> None:
    hits = {}
    for trace in runs:
        before = trace.logits.values[:-1].argmax(1)
        hits[trace.architecture] = int((before == [token.id for token in trace.tokens[1:]]).sum())
    most, count = max(hits.values()), len(runs[0].tokens) - 1
    leaders = [english(f"viz.architecture.{name}") for name in NAMES if hits[name] == most]
    assert set(leaders) == {
        name for name in map(str.strip, sent[0]["finding"].split(":")[1].split(",")) if name[0] > "9"
    }
    for name, right in hits.items():
        told = english("viz.reading.right", name=english(f"viz.architecture.{name}"), right=right, count=count)
        assert told in figure.alt


# --- checks -----------------------------------------------------------------------------------------------------
def verdict(figure: Figure, runs: list[ModelTrace], **choice: object):
    choice = {"carried": tuple(map(counted, runs)), "alignment": None} | choice
    found = proof.check(figure, runs, **choice)
    assert found is not None
    return found


def test_a_healthy_picture_passes(runs, figure) -> None:
    check = verdict(figure, runs)
    assert check.passed and check.error < 1e-5 and check.kind == "recomputed"


def repacked(figure: Figure, payload: bytes) -> Figure:
    """Return the figure with another payload than the one it would send."""
    spec = dataclasses.replace(figure.body)
    spec._encoded[:] = [payload]
    return dataclasses.replace(figure, body=spec)


def packed(header: dict, planes: list[np.ndarray]) -> bytes:
    written = TypedPlanes()
    for plane, (kind, _) in zip(planes, header["planes"], strict=True):
        written.add(plane, kind)
    return encode({key: value for key, value in header.items() if key not in ("version", "planes")}, written)


def test_packing_again_changes_nothing(figure, sent) -> None:
    assert packed(*sent) == figure.body.payload()


@pytest.mark.slow
def test_any_spoiled_plane_is_red(runs, figure, sent) -> None:
    header, planes = sent
    assert len(planes) == 4 * 3 + 2 * 1 + 2 * 3 + 1 + 2
    for place, plane in enumerate(planes):
        other = np.array(plane)
        at = len(other) // 2
        other[at] = other[at] * 1.01 + 0.01 if other.dtype.kind == "f" else other[at] + 1
        spoiled = [*planes[:place], other, *planes[place + 1 :]]
        assert not verdict(repacked(figure, packed(header, spoiled)), runs).passed, (place, header["planes"][place])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda header: header["lanes"][1]["carried"].reverse() or header["lanes"][0]["carried"].reverse(),
        lambda header: header["lanes"][2]["guesses"]["labels"].reverse(),
        lambda header: header["lanes"].reverse(),
        lambda header: header["labels"].reverse(),
        lambda header: header.update(prompt="another text"),
        lambda header: header["lanes"][3].pop("doors"),
        lambda header: header["lanes"][0].update(steps=[0] * len(header["labels"])),
    ],
    ids=["bytes", "labels", "lanes", "tokens", "text", "part", "steps"],
)
def test_a_spoiled_header_is_red(spoil: Callable[[dict], object], runs, figure) -> None:
    header, planes = decode(figure.body.payload())
    spoil(header)
    assert not verdict(repacked(figure, packed(header, planes)), runs).passed


def with_part(trace: ModelTrace, part: str, values: Callable[[np.ndarray], np.ndarray]) -> ModelTrace:
    layers = []
    for layer in trace:
        parts = dict(layer.parts)
        if part in parts:
            parts[part] = NamedArray(np.array(values(np.array(parts[part].values))), PARTS[part])
        layers.append(dataclasses.replace(layer, parts=parts))
    return dataclasses.replace(trace, layers=tuple(layers))


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("transformer", "attention"),
        ("mamba", "state"),
        ("mamba", "half_life"),
        ("rwkv", "wkv_den"),
        ("rwkv", "half_life"),
        ("jamba", "attention"),
        ("jamba", "state"),
        ("jamba", "chosen_experts"),
        ("jamba", "chosen_weights"),
    ],
)
def test_a_spoiled_record_is_red(name: str, part: str, runs) -> None:
    others = [with_part(t, part, lambda v: np.roll(v, 1, axis=-1)) if t.architecture == name else t for t in runs]
    drawn = reading(others, theme=LIGHT, t=english, carried=tuple(map(counted, runs)))
    assert not verdict(drawn, others).passed


def test_bytes_of_another_model_are_red(runs) -> None:
    turned = tuple(counted(trace) for trace in runs[::-1])
    assert not verdict(reading(runs, theme=LIGHT, t=english, carried=turned), runs).passed


def test_the_picture_of_another_run_is_red(runs, figure) -> None:
    other = registry.trace(registry.load("mamba"), TEXT.replace("wolf", "bear"))
    assert not verdict(figure, [runs[0], other, *runs[2:]]).passed


@pytest.mark.slow
# --- other texts and other tokens -------------------------------------------------------------------------------
def test_a_text_of_36_tokens_takes_less_than_60_kib_and_a_long_one_is_pooled_and_says_so() -> None:
    for words, limit in ((TEXT, 60), (" ".join([TEXT] * 8), 260)):
        traces = [registry.trace(registry.load(name), words) for name in NAMES]
        drawn = reading(traces, theme=LIGHT, t=english, carried=tuple(map(counted, traces)))
        count = len(traces[0].tokens)
        assert len(drawn.body.payload()) <= limit * 1024, count
        pool = -(-count // 64)
        assert ("long text" in drawn.body.note) == (pool > 1) == (count > 64)
        assert verdict(drawn, traces).passed
    header, planes = decode(drawn.body.payload())
    cells = header["lanes"][0]["cells"]
    assert cells["pool"] == pool == 4 and header["lanes"][2]["ink"]["window"] == 48
    blocks = -(-count // pool)
    last = planes[cells["plane"]][-blocks:]
    assert last.sum() == pytest.approx(1, abs=2e-3), "the weights of a token add up to 1, also in blocks"


PROMPT = "ab cd"
CUTS = {
    "transformer": ((0, 2, "ab"), (2, 5, "␣cd")),
    "mamba": ((0, 0, "<s>"), (0, 1, "a"), (1, 2, "b"), (2, 3, "␣"), (3, 5, "cd")),
    "rwkv": ((0, 2, "ab"), (2, 4, "␣c"), (4, 5, "d"), (4, 5, "d")),  # the last character in two pieces
}


def cut(architecture: str) -> ModelTrace:
    tokens = tuple(Token(i, i, label, start, stop) for i, (start, stop, label) in enumerate(CUTS[architecture]))
    logits = NamedArray(np.eye(len(tokens), 6, 1, dtype=np.float32), ("token", "vocab"))  # each expects the next id
    bits = NamedArray(np.full(len(tokens), np.nan, np.float32), ("token",))
    weights = np.tril(np.ones((1, len(tokens), len(tokens)), np.float32))
    layer = LayerTrace(0, "attention", "none", {"attention": NamedArray(weights, ("head", "query", "key"))})
    return ModelTrace("x", architecture, PROMPT, tokens, logits, bits, (layer,), 1, 1, {}, "cpu", "float32", 0.1)


def test_models_that_cut_a_text_differently_move_on_by_characters() -> None:
    traces = [cut(name) for name in ("mamba", "transformer", "rwkv")]
    with pytest.raises(ValueError, match="do not share"):
        reading(traces, theme=LIGHT, t=english)
    axis = align_all(PROMPT, [trace.tokens for trace in traces])
    drawn = reading(traces, theme=LIGHT, t=english, alignment=axis)
    header, _ = decode(drawn.body.payload())
    assert [lane["steps"] for lane in header["lanes"]] == [
        [0, 1, 2, 3, 4],
        [-1, -1, 0, 0, 1],  # "ab" has been read when b has, " cd" with the end
        [-1, -1, 0, 0, 3],
    ]
    assert [lane["labels"] for lane in header["lanes"]] == [[token.label for token in t.tokens] for t in traces]
    assert english("viz.reading.note_aligned") in drawn.body.note
    assert "4 of 4" in drawn.alt and "1 of 1" in drawn.alt and "3 of 3" in drawn.alt


def test_steps_of_the_text_itself_are_its_own_tokens() -> None:
    traces = [cut("mamba"), cut("mamba")]
    owners = align_all(PROMPT, [trace.tokens for trace in traces]).owners
    assert carrying.steps_of(owners, 1, 5) == (0, 1, 2, 3, 4)


def test_the_check_finds_a_lane_that_moves_too_early(runs) -> None:
    traces = [runs[0], runs[1]]
    axis = align_all(TEXT, [trace.tokens for trace in traces])
    bytes_ = tuple(map(counted, traces))
    drawn = reading(traces, theme=LIGHT, t=english, alignment=axis, carried=bytes_)
    assert proof.check(drawn, traces, alignment=axis, carried=bytes_).passed
    header, planes = decode(drawn.body.payload())
    header["lanes"][1]["steps"][3] += 1
    early = repacked(drawn, packed(header, planes))
    assert not proof.check(early, traces, alignment=axis, carried=bytes_).passed


@pytest.mark.parametrize("missing", NAMES)
def test_a_missing_model_leaves_the_others(missing: str, runs) -> None:
    rest = [trace for trace in runs if trace.architecture != missing]
    drawn = reading(rest, theme=DARK, t=english, carried=tuple(map(counted, rest)))
    assert [lane.key for lane in drawn.body.lanes] == [name for name in NAMES if name != missing]
    assert verdict(drawn, rest).passed


def test_models_that_still_read_have_their_place_and_nobody_is_best_yet(runs) -> None:
    drawn = reading(runs[:2], theme=DARK, t=english, carried=tuple(map(counted, runs[:2])), waiting=NAMES[2:])
    header, _ = decode(drawn.body.payload())
    assert [lane["key"] for lane in header["lanes"]] == list(NAMES[:2])
    assert [(lane["name"], lane["color"], lane["says"]) for lane in header["waiting"]] == [
        ("RWKV", DARK.color("rwkv"), "RWKV is reading"),
        ("Jamba", DARK.color("jamba"), "Jamba reads next"),
    ]
    assert header["finding"] == "RWKV is reading"
    assert not [key for key in drawn.data if key.startswith(NAMES[2:])]
    whole = reading(runs, theme=DARK, t=english)
    assert decode(whole.body.payload())[0]["waiting"] == [] and whole.body.finding.startswith("Most first guesses")


def test_a_text_of_one_token_guesses_nothing(runs) -> None:
    one = cut("transformer")
    one = dataclasses.replace(one, tokens=one.tokens[:1], prompt="ab")
    drawn = reading([one], theme=LIGHT, t=english)
    assert isinstance(drawn.body, HeroSpec) and drawn.body.finding == ""


def test_equal_logits_are_ordered_by_id() -> None:
    trace = cut("transformer")
    even = NamedArray(np.zeros((2, 6), np.float32), ("token", "vocab"))
    found = carrying.guessed(dataclasses.replace(trace, logits=even))
    assert found.ids[1].tolist() == [0, 1, 2] and found.rank[1] == 2
    np.testing.assert_allclose(found.probs[1], 1 / 6)


def test_the_words_are_there_in_both_languages(traces) -> None:
    for lang in ("en", "ko"):
        drawn = reading(list(traces.values()), theme=LIGHT, t=strict(lang))
        assert drawn.body.words and all(drawn.body.words.values())


def test_another_version_or_length_is_refused(figure) -> None:
    payload = figure.body.payload()
    with pytest.raises(ValueError, match="header describes"):
        decode(payload + b"\0\0\0\0")
    with pytest.raises(ValueError, match=f"reads version {VERSION}"):
        decode(payload.replace(f'"version":{VERSION}'.encode(), b'"version":9', 1))
