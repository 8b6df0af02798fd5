"""What the pages of the architectures put where, and what they choose: layers, heads, channels and answers."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from page_scripts import Run, Say, found_in, run_of, stage_of, traces
from stage import Stage, bare

import models.tracing.mixing
import viz.trace.attention
from pages.shared import hood, html, layout, model_picker, site
from pages.shared.canvas import Selection
from pages.shared.state import session
from viz.trace.attention import mosaic_head
from viz.trace.channels import farthest_reaching


@pytest.fixture
def run(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Run:
    return run_of(stage, monkeypatch)


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return stage_of(monkeypatch)


def choices(stage: Stage, page: str, **chosen: int) -> dict[str, int]:
    places: dict[str, int] = stage.session_state.setdefault("contextscope.places", {}).setdefault(page, {})
    places.update(chosen)
    return places


# What every page has under its hood, as far as the record allows it: it has no residual stream.
SHARED = ["token_strip"]
OF_HEADS = ["head_finder", *SHARED]
OF_ATTENTION = ["head_finder", "attention_rollout", *SHARED]
COUNTED = [
    ("expert_finder", "expert_finder", "expert_finder"), ("expert_load", "load", "expert_load"),
    ("expert_load", "balance", "expert_balance"), ("expert_pairs", "pairs", "expert_pairs"),
    ("expert_locality", "locality", "expert_locality"), ("expert_words", "words", "expert_words"),
]  # fmt: skip


READING = [page.key for page in site.PAGES if page.section == "learn" and page.key != "encoder-decoder"]


@pytest.mark.parametrize("name", READING)
def test_a_page_without_a_text_has_its_header_and_nothing_else(run: Run, name: str) -> None:
    page = run(name)
    asked = (name, "transformer") if name == "overview" else (name,)
    assert page.around == {"header": ((name,), {}), "asked": asked} and page.figures == []


def test_every_page_has_the_shared_figures_that_its_record_allows(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = {"residual_norms": True, "token_strip": False}
    kinds = {name: SimpleNamespace(id=name, allowed=lambda _, name=name: allowed[name]) for name in allowed}
    monkeypatch.setattr(hood, "registered_as", lambda draw: kinds[draw.__name__])
    page = run("mamba")
    trace = traces()["mamba"]
    ((name, draw),) = hood.shared("mamba", trace)
    draw()
    assert name == "residual_norms" and found_in(page) == [("", "mamba.residual_norms", "residual_norms")]
    allowed["token_strip"] = True
    assert [name for name, _ in hood.shared("mamba", trace)] == ["residual_norms", "token_strip"]


# --- transformer --------------------------------------------------------------------------------------------------
def test_the_transformer_page_follows_its_layer_and_head(run: Run, stage: Stage, say: Say) -> None:
    trace = traces()["transformer"]
    layers = [layer.index for layer in trace.layers_with("attention")]
    choices(stage, "transformer", layer=layers[-1], head=1)
    page = run("transformer", trace)
    assert found_in(page) == [
        ("hero", "transformer.hero", "attention_steps"), ("chapter1", "transformer.logits", "head_logits"),
        ("chapter2", "transformer.mosaic", "head_mosaic"), ("chapter3", "transformer.matrix", "head_matrix"),
        ("chapter3", "transformer.moved", "value_norm_matrix"), ("cache", "transformer.kv_cache", "kv_cache"),
        *((f"hood.{key}", f"transformer.{key}", key) for key in OF_ATTENTION),
    ]  # fmt: skip
    for key in ("hero", "logits", "matrix", "moved"):
        options = page.shown(f"transformer.{key}").options
        assert (options["layer"], options["head"]) == (layers[-1], 1)
        assert options["subtitle"] == say("viz.layer_head", layer=layers[-1], head=1)
        assert page.follows[f"transformer.part.{'moved' if key == 'matrix' else key}"] == ("layer", "head")
    assert [page.shown(f"transformer.{key}").options["hide_first"] for key in ("matrix", "moved")] == [False, False]
    stage.session_state["transformer.hide_first"] = True
    hidden = run("transformer", trace)
    assert [hidden.shown(f"transformer.{key}").options["hide_first"] for key in ("matrix", "moved")] == [True, True]
    bar = page.around["bar"][1]
    assert bar["layers"].options == layers and bar["layers"].shown == layers[-1] and bar["place"]() == (layers[-1], 1)
    assert page.around["cost"][0] == ("transformer", len(trace.tokens)) and page.around["first"] == {
        "traces": [trace],
        "wide": True,
    }
    assert page.around["next_word"][0] == ("transformer", [trace])
    bar["pickers"]()
    pickers = {call.options["key"]: call.args[1] for call in stage.found("segmented_control")}
    heads = trace.layer(layers[-1]).parts["attention"].sizes["head"]
    assert pickers["transformer.layer"] == tuple(layers) and pickers["transformer.head"] == tuple(range(heads))


def test_without_a_choice_the_most_telling_head_is_shown(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = traces()["transformer"]
    layers = [layer.index for layer in trace.layers_with("attention")]
    for layer, head in ((layers[0], 1), (layers[-1], 0)):
        monkeypatch.setattr(
            viz.trace.attention, "most_telling_head", lambda _, at=(layer, head): viz.trace.attention.Head(*at)
        )
        options = run("transformer", trace).shown("transformer.hero").options
        assert (options["layer"], options["head"]) == (layer, head)


def test_a_click_on_a_tile_chooses_its_layer_and_its_head(run: Run, stage: Stage, say: Say) -> None:
    """Every tile, in the order in which the mosaic shows them; a click beside the tiles chooses nothing."""
    trace = traces()["transformer"]
    places = choices(stage, "transformer")
    page = run("transformer", trace)
    picked = page.shown("transformer.mosaic").options["picked"]
    count = sum(layer.parts["attention"].sizes["head"] for layer in trace.layers_with("attention"))
    chosen = []
    for tile in range(count):
        picked(Selection(0, 0, tile, 0))
        assert (places["layer"], places["head"]) == tuple(mosaic_head(trace, tile))
        assert page.around["redraw"][0] == ("head",), "all that follows the head follows the layer too"
        chosen.append((places["layer"], places["head"]))
    assert len(set(chosen)) == count
    picked(Selection(0, 0, None, 0))
    assert (places["layer"], places["head"]) == chosen[-1]
    scores = next(call for call in stage.found("segmented_control") if "score" in str(call.options["key"]))
    assert (
        scores.args == (say("controls.score"), page.script.SCORES)
        and scores.options["default"] == page.script.SCORES[0]
    )
    assert [scores.options["format_func"](one) for one in page.script.SCORES] == [
        say(f"viz.score.{one}") for one in page.script.SCORES
    ]
    assert page.shown("transformer.mosaic").options["score"] == page.script.SCORES[0]
    stage.session_state[scores.options["key"]] = page.script.SCORES[-1]
    assert run("transformer", trace).shown("transformer.mosaic").options["score"] == page.script.SCORES[-1]


def test_a_transformer_with_experts_has_their_figures_too(run: Run) -> None:
    jamba = traces()["jamba"]
    page = run("transformer", jamba)
    more = [
        ("layer_flow", "flow", "layer_flow"),
        ("expert_lanes", "lanes", "expert_lanes"),
        ("router_bars", "router", "router_bars"),
        *COUNTED,
    ]
    sections = list(dict.fromkeys(section for section, _, _ in more))
    assert page.around["hood"] == [*SHARED, *sections, "memory_growth"]
    assert found_in(page)[-len(more) :] == [
        (f"hood.{section}", f"transformer.{key}", draw) for section, key, draw in more
    ]
    assert page.around["hood"] == [*OF_HEADS, *sections, "memory_growth"]


# --- mamba, rwkv --------------------------------------------------------------------------------------------------
LAYERED = {
    "mamba": [("hero", "film", "state_film"), ("chapter1", "dt", "dt_map"), ("chapter2", "slice", "state_slice"),
              ("chapter3", "hidden", "hidden_attention"), ("hood.state_path", "state_path", "state_path"),
              ("hood.half_life", "half_life", "half_life"), ("hood.channel_matrix", "channel", "<lambda>")],
    "rwkv": [("hero", "ink", "wkv_ink"), ("fading", "decay", "decay_curves"),
             ("chapter1", "spectrum", "half_life_spectrum"), ("chapter2", "effective", "effective_attention"),
             ("chapter3", "receptance", "receptance_map"),
             ("hood.half_life_histogram", "histogram", "half_life_histogram"),
             ("hood.decay_finder", "decay_finder", "decay_finder"),
             ("hood.channel_matrix", "channel", "<lambda>"), ("hood.wkv_film", "film", "wkv_film"),
             ("hood.state_path", "state_path", "state_path"), ("hood.token_shift", "shift", "token_shift"),
             ("hood.channel_mix_zeros", "zeros", "channel_mix_zeros"),
             ("hood.version_ladder", "version_ladder", "version_ladder")],
}  # fmt: skip
WHOLE = {"half_life", "spectrum", "histogram", "zeros", "version_ladder", "decay_finder"}  # of all layers, or of none
# What figures of RWKV follow beside the layer.
MORE = {"decay": ("keys", "axis"), "effective": ("gate",), "channel": ("channel", "moved")}


@pytest.mark.parametrize("name", LAYERED)
def test_a_recurrent_page_follows_its_layer(run: Run, stage: Stage, say: Say, name: str) -> None:
    trace = traces()[name]
    layers = [layer.index for layer in trace.layers_with("half_life")]
    for chosen in (None, layers[0], layers[-1]):
        if chosen is not None:
            choices(stage, name, layer=chosen)
        page = run(name, trace)
        widest = max(layers, key=lambda at: float(np.log(trace.layer(at).part("half_life")).std()))
        layer = widest if chosen is None else chosen
        assert found_in(page)[: len(LAYERED[name])] == [(at, f"{name}.{key}", draw) for at, key, draw in LAYERED[name]]
        assert found_in(page)[len(LAYERED[name]) :] == [(f"hood.{key}", f"{name}.{key}", key) for key in SHARED]
        for _, key, _ in LAYERED[name]:
            options = page.shown(f"{name}.{key}").options
            assert options.get("layer") == (None if key in WHOLE else layer), key
            if key not in {*WHOLE, "channel"}:
                assert options["subtitle"] == say("viz.layer", layer=layer)
                more = MORE.get(key, ()) if name == "rwkv" else ()
                assert page.follows[f"{name}.part.{key}"] == ("layer", *more)
                assert "selected" not in options, "the chosen token is the browser's affair"
        assert page.shown(f"{name}.state_path").options["of"] == [trace, f"beside {name}"]
        bar = page.around["bar"][1]
        assert bar["layers"].options == layers and bar["layers"].default == widest and bar["layers"].shown == layer
    assert page.around["cost"][0] == (name, len(trace.tokens))
    bar["pickers"]()
    assert stage.keyed(f"{name}.layer").args == (say("controls.layer"), tuple(layers))


@pytest.mark.parametrize("name", LAYERED)
def test_the_channel_that_is_shown_first_and_those_that_are_offered(
    run: Run, stage: Stage, monkeypatch, name: str
) -> None:
    """Eight through the order of half-lives, slowest first: RWKV begins with it, Mamba with what reaches farthest."""
    asked: list[tuple[Any, list[int]]] = []

    def mixing(layer: Any, channels: Sequence[int]) -> Any:
        asked.append((layer, list(channels)))
        reach = np.eye(4) + np.array([0.1, 0.2, 0.9, 0.3, 0.1, 0.2, 0.3, 0.4])[: len(channels), None, None] * np.tri(
            4, k=-1
        )
        return SimpleNamespace(values=reach)

    monkeypatch.setattr(models.tracing.mixing, "channel_mixing", mixing)
    trace = traces()[name]
    page = run(name, trace)
    options = page.shown(f"{name}.channel").options
    layer = options["layer"]
    half_life = trace.layer(layer).part("half_life")
    slowest_first = list(np.argsort(-half_life, kind="stable"))
    offered = list(stage.keyed(f"{name}.channel.channel").args[1])
    assert len(offered) == 8 and (offered[0], offered[-1]) == (slowest_first[0], slowest_first[-1])
    assert [float(half_life[one]) for one in offered] == sorted(
        (float(half_life[one]) for one in offered), reverse=True
    )
    assert options["channel"] == (offered[2] if name == "mamba" else offered[0])
    assert asked[-1][0] is trace.layer(layer)
    assert asked[-1][1] == (offered if name == "mamba" else [offered[0]])
    assert page.follows[f"{name}.part.channel"] == ("layer", *(MORE["channel"] if name == "rwkv" else ("channel",)))
    if name == "mamba":
        assert options["index"] == 2 == farthest_reaching(mixing(None, offered))
    choices(stage, name, channel=offered[5])
    options = run(name, trace).shown(f"{name}.channel").options
    assert options["channel"] == offered[5] and options.get("index") == (5 if name == "mamba" else None)


def test_the_answer_on_rwkv_names_the_bytes_of_the_chosen_model_at_this_length(run: Run, monkeypatch) -> None:
    monkeypatch.setattr(layout, "carried_by", lambda name, tokens: 2**10 * tokens if name == "rwkv" else 0)
    trace = traces()["rwkv"]
    page = run("rwkv", trace)
    assert page.around["check"][0] == ("rwkv", {"carried": f"{len(trace.tokens)} KiB"})


# --- jamba --------------------------------------------------------------------------------------------------------
def test_the_jamba_page_has_its_experts_its_attention_and_its_state(run: Run, stage: Stage, say: Say) -> None:
    trace = traces()["jamba"]
    attention = [layer.index for layer in trace.layers_with("attention")]
    states = [layer.index for layer in trace.layers_with("state")]
    routers = [layer.index for layer in trace.layers_with("router_probs")]
    choices(stage, "jamba", attention_layer=attention[0], head=1, state_layer=states[-1], router_layer=routers[0])
    page = run("jamba", trace)
    assert found_in(page) == [
        ("hero", "jamba.flow", "layer_flow"), ("ribbon", "jamba.ribbon", "layer_ribbon"),
        ("chapter1", "jamba.lanes", "expert_lanes"),
        ("chapter2", "jamba.router", "router_bars"), ("chapter3", "jamba.stack", "hybrid_stack"),
        ("hood.expert_routes", "jamba.routes", "expert_routes"),
        *((f"hood.{section}", f"jamba.{key}", draw) for section, key, draw in COUNTED),
        ("hood.head_matrix", "jamba.head", "head_matrix"),
        ("hood.state_film", "jamba.film", "state_film"), *((f"hood.{key}", f"jamba.{key}", key) for key in OF_HEADS),
    ]  # fmt: skip
    head, film, router = (page.shown(f"jamba.{key}").options for key in ("head", "film", "router"))
    assert (head["layer"], head["head"]) == (attention[0], 1)
    assert head["subtitle"] == say("viz.layer_head", layer=attention[0], head=1)
    assert film["layer"] == states[-1] and film["subtitle"] == say("viz.layer", layer=states[-1])
    last = len(trace.tokens) - 1
    assert router["layer"] == routers[0] and not router.keys() & {"selected", "token"}
    assert router["subtitle"] == routed(say("viz.layer", layer=routers[0]), trace.tokens[last].label)
    assert page.follows == {
        "jamba.part.head_finder": ("attention_layer", "head"),
        "jamba.part.router": ("router_layer", "router_temperature"), "jamba.part.load": ("sample",),
        "jamba.part.expert_finder": ("expert_layer", "expert"), "jamba.part.locality": ("sample",),
        "jamba.part.pairs": ("expert_layer", "sample", "pairs_choice"),
        "jamba.part.words": ("expert_layer", "expert", "sample"), "jamba.part.head": ("attention_layer", "head"),
        "jamba.part.film": ("state_layer",),
    }  # fmt: skip
    assert page.around["bar"][1] == {}
    session.current().pick(2)
    router = run("jamba", trace).shown("jamba.router").options
    assert router["subtitle"] == routed(say("viz.layer", layer=routers[0]), trace.tokens[2].label)


def routed(layer: str, token: str) -> html.Html:
    """Write what stands beside the title of a router; the browser finds the token in it and writes another."""
    return html.text(layer, " · ", html.element("span", token, class_="cs-shown-token"))


@pytest.mark.parametrize(
    ("attention", "state", "share"), [([4], 7, "12.5%"), ([1, 5], 6, "25.0%"), ([], 3, "0.0%"), ([0, 3, 7], 8, "27.3%")]
)
def test_the_answers_on_jamba_count_its_layers_of_each_kind(
    run: Run, attention: list[int], state: int, share: str
) -> None:
    """The share is of all layers: one of eight is 12.5 %, and one for seven would be 14.3 %."""
    kinds = {"attention": [SimpleNamespace(index=at) for at in attention], "state": [SimpleNamespace()] * state}
    trace = SimpleNamespace(layers=[0] * (len(attention) + state), layers_with=kinds.__getitem__)
    assert run("jamba").script.mixture(trace) == {
        "attention": str(len(attention)), "state": str(state), "at": ", ".join(map(str, attention)), "share": share,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("part", "word"), [("router_probs", "experts"), ("state", "state"), ("attention", "attention")]
)
def test_another_jamba_may_lack_a_part_and_says_which(
    run: Run, stage: Stage, say: Say, monkeypatch, part, word
) -> None:
    monkeypatch.setattr(model_picker, "name_of", lambda name: f"own {name}")
    page = run("jamba")
    drawn: list[Any] = []
    trace = SimpleNamespace(layers_with=lambda one: [] if one == part else [1])
    for one in ("router_probs", "state", "attention"):
        page.script.where(one, trace, drawn.append)
    assert drawn == [trace] * 2
    assert [bare(said) for said in stage.said("caption")] == [say(f"models.lacks_{word}", name="own jamba")]
