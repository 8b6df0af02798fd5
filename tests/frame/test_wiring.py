"""What every explanatory page shows where: the figure, its key, its layer, head and channel, against the address.

The tables say what each section of a page has to show. A section's figure is drawn here once more, from the record of
the same text, with the choices of the address written out; what the page handed to its card must be the same picture.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from showing import Shown, noting, opened

from models import registry
from models.counting import accounting
from models.records.trace import ModelTrace
from models.simulation.ladder import ladder
from models.switches import context
from models.switches.value import Switch, Switches
from models.tracing.mixing import channel_mixing
from pages.shared import cache, html, sample, site, style
from pages.shared import token_steps as steps_section
from pages.shared.words import i18n
from viz.canvas import CanvasSpec
from viz.charts import curves
from viz.diagram import Diagram
from viz.figure import Figure
from viz.finder import Finder
from viz.hero import HeroSpec
from viz.look.theme import LIGHT
from viz.mechanism import MechanismSpec
from viz.ranking import Ranking
from viz.simulation.versions import version_ladder
from viz.trace import (
    attention,
    channels,
    decay,
    gates,
    ink,
    layer_flow,
    matrix,
    overview,
    router,
    routing,
    state,
    state_update,
)
from viz.trace.anatomy import anatomy
from viz.trace.attention_steps import attention_steps
from viz.trace.attribution import head_attribution, logit_attribution
from viz.trace.decay_finder import decay_finder
from viz.trace.heads import head_finder
from viz.trace.kv_cache import kv_cache
from viz.trace.lens import logit_lens
from viz.trace.next_word import next_word
from viz.trace.reach import reach
from viz.trace.reading import reading
from viz.trace.residual import residual_norms
from viz.trace.rollout import attention_rollout
from viz.trace.spectrum import half_life_histogram
from viz.trace.token_lens import token_lens
from viz.trace.token_steps import token_steps
from viz.trace.tokens import token_strip

pytestmark = pytest.mark.skipif(not registry.bundled(), reason="no bundled checkpoints")

TEXT = "The old sailor tied the boat, and the old dog slept."
TOKEN = 2
LOOK: dict[str, Any] = {"theme": LIGHT, "t": i18n.translator("en")}

Draw = Callable[..., Figure]
Row = tuple[str, str, str, Callable[[ModelTrace], Figure], str | None]  # section, key, figure, picture, subtitle


def layer_words(layer: int) -> str:
    return f"layer {layer}"


def head_words(layer: int, head: int) -> str:
    return f"layer {layer}, head {head}"


def of_layer(draw: Draw, layer: int, **options: Any) -> Callable[[ModelTrace], Figure]:
    return lambda trace: draw(trace, layer=layer, **options, **LOOK)


def of_head(draw: Draw, layer: int, head: int) -> Callable[[ModelTrace], Figure]:
    return lambda trace: draw(trace, layer=layer, head=head, **LOOK)


def of_text(draw: Draw, **options: Any) -> Callable[[ModelTrace], Figure]:
    return lambda trace: draw(trace, **options, **LOOK)


def of_channel(layer: int, channel: int, *, among: int | None = None) -> Callable[[ModelTrace], Figure]:
    """Draw one channel; among: of so many, as the signed colour range is shared by all that are offered."""

    def draw(trace: ModelTrace) -> Figure:
        offered = offered_channels(trace, layer) if among else [channel]
        made = channel_mixing(trace.layer(layer), offered)
        return matrix.channel_matrix(made, trace, layer=layer, channel=channel, index=offered.index(channel), **LOOK)

    return draw


def offered_channels(trace: ModelTrace, layer: int) -> list[int]:
    return [int(c) for c in channels.quantile_channels(trace.layer(layer).part("half_life"), count=8)]


def blocks_around(trace: ModelTrace) -> Figure:
    return anatomy(trace, plan=registry.anatomy_of(model_of(trace)), worth=branches(trace), **LOOK)


def branches(trace: ModelTrace) -> tuple[tuple[int, str, float], ...]:
    """Return what mixers, then feed-forwards are worth: the surprisal of the text without one, less its own."""
    model = model_of(trace)
    encoded, offers = registry.encode(model, trace.prompt), {one.kind: one for one in registry.switches_of(model)}

    def mean(*switches: Switch) -> float:
        with context.use(Switches.of(*switches)):
            return float(np.nanmean(registry.trace_encoded(model, encoded).surprisal.values))

    whole = mean()
    return tuple(
        (layer, side, mean(Switch(kind, layer, how="zero")) - whole)
        for kind, side in (("mixer", "mixer"), ("feed_forward", "ffn"))
        if kind in offers
        for layer in offers[kind].layers
    )


def shared(page: str, marked: tuple[int, int] | None = None) -> list[Row]:
    """List what every architecture's page offers under its hood."""
    heads = page in ("transformer", "jamba")
    rows = [
        ("anatomy", "anatomy", blocks_around),
        ("logit_lens", "logit_lens", of_text(logit_lens)),
        ("logit_lens", "token_lens", lambda trace: token_lens(trace, lens=expected_lens(trace), **LOOK)),
        ("residual_norms", "residual_norms", of_text(residual_norms)),
        ("logit_attribution", "logit_attribution", of_logits(logit_attribution)),
        *([("logit_attribution", "head_attribution", of_logits(head_attribution))] if heads else []),
        *([("head_finder", "head_finder", lambda trace: found_heads(trace, marked))] if heads else []),
        *([("attention_rollout", "attention_rollout", of_text(attention_rollout))] if page == "transformer" else []),
        ("token_strip", "token_strip", of_text(token_strip)),
        ("reach", "reach", of_text(reach)),
        ("token_steps", "token_steps", steps_measured),
    ]
    words = {"attention_rollout": "layers 0 to 5"}
    return [(f"hood.{section}", f"{page}.{name}", name, draw, words.get(name)) for section, name, draw in rows]


def steps_measured(trace: ModelTrace) -> Figure:
    """Draw what the page has measured: times differ from run to run."""
    run = steps_section._RUNS.held((trace.checkpoint, trace.prompt, 0))
    assert run is not None
    return token_steps(run, trace, **LOOK)


def model_of(trace: ModelTrace) -> Any:
    return cache.checkpoint(trace.checkpoint)


def expected_lens(trace: ModelTrace) -> Any:
    """Follow what the model expects after the text: nobody has chosen another token."""
    return registry.lens_of(model_of(trace), trace, int(trace.logits.values[-1].argmax()))


def of_logits(draw: Draw) -> Callable[[ModelTrace], Figure]:
    def made(trace: ModelTrace) -> Figure:
        ids = trace.logits.values.argmax(-1).tolist()
        return draw(trace, found=registry.attribution_of(model_of(trace), trace, ids), **LOOK)

    return made


def found_heads(trace: ModelTrace, marked: tuple[int, int] | None) -> Figure:
    """List the heads on this text, on the sample and on tokens written twice, with the chosen one marked."""
    text = cache.fitted(trace.checkpoint, sample.record()["text"]).text
    traces = [trace, cache.trace_for(trace.checkpoint, text), cache.repeated_for(trace.checkpoint)]
    return head_finder(traces, marked=marked, **LOOK)


def following(page: str) -> Row:
    """The next token at the chosen one, over the whole vocabulary: under no words of the page's own."""
    return ("", f"{page}.next_word", "next_word", lambda trace: next_word([trace], at=(TOKEN,), **LOOK), None)


def transformer(layer: int, head: int, marked: tuple[int, int] | None = None) -> list[Row]:
    words = head_words(layer, head)
    return [
        ("hero", "transformer.hero", "attention_steps", of_head(attention_steps, layer, head), words),
        following("transformer"),
        ("chapter1", "transformer.logits", "head_logits", of_head(attention.head_logits, layer, head), words),
        ("chapter2", "transformer.mosaic", "head_mosaic", of_text(attention.head_mosaic), None),
        ("chapter3", "transformer.matrix", "head_matrix", of_head(attention.head_matrix, layer, head), words),
        ("chapter3", "transformer.moved", "value_norm_matrix", of_head(attention.value_norm_matrix, layer, head),
         words),
        ("cache", "transformer.kv_cache", "kv_cache", of_text(kv_cache), None),
        *shared("transformer", marked),
    ]  # fmt: skip


def mamba(layer: int, channel: int, chosen: int | None = None) -> list[Row]:
    words = layer_words(layer)
    return [
        ("hero", "mamba.hero", "state_update", of_text(state_update.state_update, layer=layer, channel=chosen),
         words),
        following("mamba"),
        ("chapter1", "mamba.dt", "dt_map", of_layer(state.dt_map, layer), words),
        ("chapter2", "mamba.slice", "state_slice", of_layer(state.state_slice, layer), words),
        ("chapter3", "mamba.hidden", "hidden_attention", of_layer(state.hidden_attention, layer), words),
        ("hood.state_film", "mamba.film", "state_film", of_layer(state.state_film, layer), words),
        ("hood.channel_matrix", "mamba.channel", "channel_matrix", of_channel(layer, channel, among=8),
         f"layer {layer}, channel {channel}"),
        ("hood.half_life", "mamba.half_life", "half_life", of_text(decay.half_life), None),
        *shared("mamba"),
    ]  # fmt: skip


def found_channels(trace: ModelTrace, marked: tuple[int, int] | None) -> Figure:
    text = cache.fitted(trace.checkpoint, sample.record()["text"]).text
    return decay_finder([trace, cache.trace_for(trace.checkpoint, text)], marked=marked, **LOOK)


def simulated(_: ModelTrace) -> Figure:
    """Draw the ladder as its sliders stand at first."""
    return version_ladder(ladder(strength=1, decay=-3, stop=2, rate=1), **LOOK)


SIMULATED = "simulator, toy input, no trained model"


def rwkv(layer: int, channel: int, marked: tuple[int, int] | None = None) -> list[Row]:
    words = layer_words(layer)
    return [
        ("hero", "rwkv.ink", "wkv_ink", of_layer(ink.wkv_ink, layer), words),
        following("rwkv"),
        ("fading", "rwkv.decay", "decay_curves", of_layer(decay.decay_curves, layer, scaling="linear"), words),
        ("chapter1", "rwkv.spectrum", "half_life_spectrum", of_text(decay.half_life_spectrum), None),
        ("chapter2", "rwkv.effective", "effective_attention", of_layer(decay.effective_attention, layer), words),
        ("chapter3", "rwkv.receptance", "receptance_map", of_layer(decay.receptance_map, layer), words),
        ("hood.half_life_histogram", "rwkv.histogram", "half_life_histogram", of_text(half_life_histogram), None),
        ("hood.decay_finder", "rwkv.decay_finder", "decay_finder", lambda trace: found_channels(trace, marked), None),
        ("hood.channel_matrix", "rwkv.channel", "channel_matrix", of_channel(layer, channel), None),
        ("hood.wkv_film", "rwkv.film", "wkv_film", of_layer(decay.wkv_film, layer), words),
        ("hood.token_shift", "rwkv.shift", "token_shift", of_layer(gates.token_shift, layer), words),
        ("hood.channel_mix_zeros", "rwkv.zeros", "channel_mix_zeros", of_text(gates.channel_mix_zeros), None),
        ("hood.version_ladder", "rwkv.version_ladder", "version_ladder", simulated, SIMULATED),
        *shared("rwkv"),
    ]


def jamba(router_layer: int, state_layer: int, head: int, label: str) -> list[Row]:
    router_figure = of_text(router.router_bars, layer=router_layer, temperature=1.0)
    return [
        ("hero", "jamba.flow", "layer_flow", of_text(layer_flow.layer_flow), None),
        following("jamba"),
        ("ribbon", "jamba.ribbon", "layer_ribbon", of_text(routing.layer_ribbon), None),
        ("chapter1", "jamba.lanes", "expert_lanes", of_text(routing.expert_lanes), None),
        ("chapter2", "jamba.router", "router_bars", router_figure,
         html.text(layer_words(router_layer), " · ", html.element("span", label, class_="cs-shown-token"))),
        ("chapter3", "jamba.stack", "hybrid_stack", of_text(routing.hybrid_stack), None),
        ("hood.head_matrix", "jamba.head", "head_matrix", of_head(attention.head_matrix, 4, head),
         head_words(4, head)),
        ("hood.state_film", "jamba.film", "state_film", of_layer(state.state_film, state_layer),
         layer_words(state_layer)),
        *shared("jamba"),
    ]  # fmt: skip


def trace_of(page: str) -> ModelTrace:
    return cache.trace_for(page, TEXT)


def assert_same_picture(found: Figure, expected: Figure) -> None:
    """Compare all that is drawn: the arrays, the sentences, and the picture as it goes to the browser."""
    assert found.id == expected.id
    assert found.alt == expected.alt
    assert found.note == expected.note
    assert list(found.data) == list(expected.data)
    for name, array in expected.data.items():
        assert found.data[name].dims == array.dims
        np.testing.assert_array_equal(found.data[name].values, array.values, err_msg=f"{found.id}: {name}")
    if isinstance(expected.body, CanvasSpec | Diagram | Finder | HeroSpec | MechanismSpec | Ranking):
        assert type(found.body) is type(expected.body)
        assert found.body.payload() == expected.body.payload()
    else:
        assert found.body.to_dict() == expected.body.to_dict()


def compare(seen: list[Shown], rows: list[Row], trace: ModelTrace) -> None:
    found = [(one.section, one.key, one.fig.id) for one in seen]
    assert found == [row[:3] for row in rows]
    for one, (_, key, figure_id, draw, subtitle) in zip(seen, rows, strict=True):
        expected = draw(trace)
        assert expected.id == figure_id
        assert_same_picture(one.fig, expected)
        assert (one.subtitle or None) == subtitle, key


# page -> (address, what it shows): no choice is the default of its page.
CHOSEN: Mapping[str, tuple[dict[str, str], Callable[[ModelTrace], list[Row]]]] = {
    "transformer": ({"layer": "3", "head": "6"}, lambda _: transformer(3, 6, (3, 6))),
    "mamba": ({"layer": "2"}, lambda trace: mamba(2, *2 * [offered_channels(trace, 2)[5]])),
    "rwkv": ({"layer": "4"}, lambda trace: rwkv(4, offered_channels(trace, 4)[5], (4, offered_channels(trace, 4)[5]))),
    "jamba": (
        {"router_layer": "3", "state_layer": "2", "head": "3"},
        lambda trace: jamba(3, 2, 3, trace.tokens[TOKEN].label),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("page", CHOSEN)
def test_a_page_shows_the_figures_of_its_sections_as_the_address_chooses(monkeypatch, page: str) -> None:
    trace = trace_of(page)
    query, rows = CHOSEN[page]
    if "layer" in query and page in ("mamba", "rwkv"):
        query = query | {"channel": str(offered_channels(trace, int(query["layer"]))[5])}
    with noting(monkeypatch) as seen:
        at = opened(page, text=TEXT, token=str(TOKEN), **query)
    compare(seen, rows(trace), trace)
    assert_links_lead_back(monkeypatch, at, seen, query)


def assert_links_lead_back(
    monkeypatch: pytest.MonkeyPatch, at: Any, shown: Sequence[Shown], query: Mapping[str, str]
) -> None:
    """Every card links to its own figure, at the address that the document is told: this text, token and choices.

    The browser puts the two together: tests/browser/test_figure_menu.py.
    """
    figures = [one.fig.id for one in shown]  # the next run is noted, too
    told: list[Mapping[str, Any]] = []
    monkeypatch.setattr(style, "document", lambda **said: told.append(said))
    at.run()
    assert told[-1]["lang"] == "en"
    assert told[-1]["query"] == {"text": TEXT, "token": str(TOKEN), **query}
    menus = [found for one in at.get("html") for found in re.findall(r'data-figure="([a-z_]+)"', one.proto.body)]
    assert sorted(menus) == sorted(figures)
    assert len(menus) == len(set(menus)) > 3, "no two figures of a page share a link"


def telling(trace: ModelTrace) -> tuple[int, int]:
    """Return the head that a page begins with: the largest weight from the last token on one before its neighbour."""
    found = {
        (layer.index, head): float(weights[-1, 1:-2].max())
        for layer in trace.layers_with("attention")
        for head, weights in enumerate(layer.part("attention"))
    }
    return max(found, key=found.__getitem__)


def widest(trace: ModelTrace) -> int:
    spread = {layer.index: np.log(layer.part("half_life")).std() for layer in trace.layers_with("half_life")}
    return max(spread, key=spread.__getitem__)


def most_selective_layer(trace: ModelTrace) -> int:
    card = json.loads(registry.card(trace.checkpoint).read_text(encoding="utf-8"))["structure"]
    return max(card["routing"], key=lambda found: found["lift"])["layer"]


def reaching(trace: ModelTrace, layer: int) -> int:
    offered = offered_channels(trace, layer)
    return offered[channels.farthest_reaching(channel_mixing(trace.layer(layer), offered))]


DEFAULT: Mapping[str, Callable[[ModelTrace], list[Row]]] = {
    "transformer": lambda trace: transformer(*telling(trace)),
    "mamba": lambda trace: mamba(widest(trace), reaching(trace, widest(trace))),
    "rwkv": lambda trace: rwkv(widest(trace), offered_channels(trace, widest(trace))[0]),
    "jamba": lambda trace: jamba(
        most_selective_layer(trace),
        widest(trace),
        telling(trace)[1],
        trace.tokens[TOKEN].label,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("page", DEFAULT)
def test_a_page_without_a_choice_names_the_layer_it_draws(monkeypatch, page: str) -> None:
    trace = trace_of(page)
    with noting(monkeypatch) as seen:
        opened(page, text=TEXT, token=str(TOKEN))
    compare(seen, DEFAULT[page](trace), trace)


def test_the_choices_of_these_tests_are_not_the_defaults() -> None:
    """Otherwise a page that ignores the address would pass."""
    for page, (_, rows) in CHOSEN.items():
        trace = trace_of(page)
        of_all = {"attention_rollout", "version_ladder"}  # of all layers or none, whatever is chosen
        chosen, usual = (
            [row[4] for row in made(trace) if row[4] and row[2] not in of_all] for made in (rows, DEFAULT[page])
        )
        assert all(a != b for a, b in zip(chosen, usual, strict=True)), page


@pytest.mark.slow
def test_the_overview_shows_every_architecture_and_its_growth(monkeypatch) -> None:
    names = [adapter.bundled for adapter in registry.ADAPTERS]
    traces = [cache.trace_for(name, TEXT) for name in names]
    with noting(monkeypatch) as seen:
        opened("overview", text=TEXT, token=str(TOKEN))
    assert [(one.section, one.key, one.fig.id) for one in seen] == [
        ("", "overview.reading", "reading"),
        ("hero", "overview.machines", "four_machines"),
        ("", "overview.next_word", "next_word"),
        ("growth", "overview.growth", "growth"),
        ("hood.training_curves", "overview.training", "training_curves"),
    ]
    here = len(traces[0].tokens)
    lengths = sorted({1, 16, 64, 256, 1024, 4096, 16384, here})
    shapes = {trace.architecture: accounting.shape_of(registry.read_config(trace.checkpoint)) for trace in traces}
    rows = {
        name: [(n, accounting.cache_bytes(shape, context=n, dtype="bfloat16")) for n in lengths]
        for name, shape in shapes.items()
    }
    logs = {name: registry.training_log(name) for name in names}
    carried = [
        [accounting.cache_bytes(shape, context=n, dtype="bfloat16") for n in range(1, here + 1)]
        for shape in shapes.values()
    ]
    assert_same_picture(seen[0].fig, reading(traces, carried=carried, **LOOK))
    assert_same_picture(seen[1].fig, overview.architecture_maps(traces, **LOOK))
    assert_same_picture(seen[2].fig, next_word(traces, at=(TOKEN,) * len(traces), **LOOK))
    assert_same_picture(seen[3].fig, curves.growth(rows, at=here, **LOOK))
    assert_same_picture(seen[4].fig, curves.training_curves(logs, **LOOK))


@pytest.mark.slow
@pytest.mark.parametrize("page", site.KEYS[1:])
def test_the_card_under_a_key_carries_the_page_it_stands_on(monkeypatch, page: str) -> None:
    with noting(monkeypatch) as seen:
        opened(page)
    keys = [one.key for one in seen]
    assert len(keys) == len(set(keys))
    assert [key for key in keys if not re.fullmatch(rf"{page}\.[a-z_]+", key)] == []


def test_every_page_that_reads_a_text_is_in_the_tables() -> None:
    assert set(CHOSEN) == set(DEFAULT) == {adapter.name for adapter in registry.ADAPTERS}
    others = {"overview", "side-by-side", "encoder-decoder", "recall", "benchmark"}
    assert set(CHOSEN) | others == set(site.KEYS)
