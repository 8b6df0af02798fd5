"""Which experts every token was sent to: as lanes of a picture, as names, as words under it."""

from collections.abc import Iterator, Sequence

import numpy as np

from models.records.trace import LayerTrace, ModelTrace, NamedArray
from viz.canvas import Lanes, Legend
from viz.look.labels import Translate, short
from viz.look.theme import Theme
from viz.trace.channels import Floats, Indices, floats

SAME = 1e-2  # weights that differ by less are the same: 16 bits keep three digits


def expert_color(expert: int, theme: Theme) -> str:
    """Return the colour of an expert; beyond the palette it repeats, which is why numbers are drawn too."""
    return theme.experts[expert % len(theme.experts)]


def lanes_of(layers: Sequence[LayerTrace], tokens: int, theme: Theme, *, alone: bool) -> Lanes:
    """Gather the choices of every token in every layer, nan in a layer without experts."""
    most = max([0, *(shown.part("chosen_experts").shape[1] for shown in layers if "chosen_experts" in shown.parts)])
    chosen = np.full((most, 2, len(layers), tokens), np.nan, dtype=np.float32)
    for row, shown in enumerate(layers):
        if "chosen_experts" in shown.parts:
            count = shown.part("chosen_experts").shape[1]
            chosen[:count, 0, row] = shown.part("chosen_experts").T
            chosen[:count, 1, row] = shown.part("chosen_weights").T
    return Lanes(tuple((category, weight) for category, weight in chosen), theme.experts, alone)


def weights_note(layer: LayerTrace, t: Translate) -> str:
    """Say what the model at hand does with the chosen probabilities: uses them as they are, or rescales them.

    It is read from the weights that multiplied the outputs in this run; in neither case, what they add up to is stated.
    """
    probs, chosen = layer.part("router_probs"), np.asarray(layer.part("chosen_experts")).astype(np.intp)
    weights = np.asarray(layer.part("chosen_weights"), np.float64)
    kept, total = np.take_along_axis(probs, chosen, 1).astype(np.float64), weights.sum(1)
    ends = {"low": f"{total.min():.2f}", "high": f"{total.max():.2f}"}
    if np.allclose(weights, kept, rtol=SAME, atol=SAME):
        return t("viz.experts.as_they_are", **ends)
    if np.allclose(weights, kept / kept.sum(1, keepdims=True), rtol=SAME, atol=SAME):
        return t("viz.experts.rescaled")
    return t("viz.experts.add_up", **ends)


def chosen_names(layers: Sequence[LayerTrace], tokens: int, t: Translate) -> tuple[tuple[str, ...], ...]:
    """Name the experts of every token with their weights, (layer, token); "" in a layer without experts."""
    return tuple(
        tuple(_chosen_name(shown, at, t) for at in range(tokens)) if "chosen_experts" in shown.parts else ("",) * tokens
        for shown in layers
    )


def _chosen_name(shown: LayerTrace, at: int, t: Translate) -> str:
    pairs = zip(shown.part("chosen_experts")[at], shown.part("chosen_weights")[at], strict=True)
    listed = [t("viz.experts.weighted", expert=int(e), weight=short(float(w))) for e, w in pairs]
    return t("viz.experts.chosen" if len(listed) > 1 else "viz.experts.only", experts=", ".join(listed))


def routed_names(layers: Sequence[LayerTrace], tokens: int, t: Translate) -> tuple[tuple[str, ...], ...]:
    """Name the experts of every token with weights, scores and the lead over the first left out, (layer, token)."""
    named = chosen_names(layers, tokens, t)
    return tuple(
        tuple(f"{name}\n{_scored(shown, at, t)}" for at, name in enumerate(row))
        for shown, row in zip(layers, named, strict=True)
    )


def _scored(shown: LayerTrace, at: int, t: Translate) -> str:
    """Write the scores of the chosen experts and, where some are left out, by how much probability they lead."""
    chosen = np.asarray(shown.part("chosen_experts"))[at].astype(np.intp)
    scores = ", ".join(f"{float(shown.part('router_logits')[at, e]):+.2f}" for e in chosen)
    words = t("viz.experts.scores", scores=scores)
    lead = float(margins(shown)[at])
    if np.isnan(lead):
        return words
    return f"{words} · {t('viz.experts.margin', k=len(chosen), next=len(chosen) + 1, margin=f'{lead:.3f}')}"


def margins(shown: LayerTrace) -> Floats:
    """Return by how much the last chosen expert leads the first that is left out, (token,); nan where none is."""
    return leads(floats(shown, "router_probs"), np.asarray(shown.part("chosen_experts")).astype(np.intp))


def leads(probs: Floats, chosen: Indices) -> Floats:
    """Return the same of probabilities (token, expert) and chosen experts (token, choice)."""
    if chosen.shape[1] == probs.shape[1]:
        return np.full(len(probs), np.nan)
    rest = probs.astype(np.float64)
    kept = np.take_along_axis(rest, chosen, 1).min(1)
    np.put_along_axis(rest, chosen, -np.inf, 1)
    return np.asarray(kept - rest.max(1))


def _choices(layers: Sequence[LayerTrace]) -> int:
    """Return how many experts a token is sent to."""
    return max(shown.parts["chosen_experts"].sizes["choice"] for shown in layers)


def lanes_note(layers: Sequence[LayerTrace], t: Translate) -> Iterator[str]:
    """Say what colour and marks are, for as many experts as this model sends a token to."""
    count = _choices(layers)
    yield t("viz.expert_lanes.note_one" if count == 1 else "viz.expert_lanes.note")
    if count > 1:
        yield t("viz.expert_lanes.second" if count == 2 else "viz.expert_lanes.others", count=count - 1)


def ribbon_note(trace: ModelTrace, t: Translate) -> Iterator[str]:
    """Say what colour and band are, and where this model has attention and experts."""
    routed = trace.layers_with("chosen_experts")
    yield t("viz.layer_ribbon.note")
    if routed:
        count = _choices(routed)
        yield t("viz.layer_ribbon.band_one" if count == 1 else "viz.layer_ribbon.band", count=count)
    attention = [str(shown.index) for shown in trace if shown.mixer == "attention"]
    if attention and len(attention) < len(trace.layers):
        yield t("viz.layer_ribbon.plan_attention", layers=", ".join(attention))
    if routed and len(routed) < len(trace.layers):
        yield t("viz.layer_ribbon.plan_experts", layers=", ".join(str(shown.index) for shown in routed))


def routes(trace: ModelTrace) -> dict[str, NamedArray]:
    """Gather the chosen experts and their weights, (layer, token, choice) each; nothing for a model without experts."""
    layers = trace.layers_with("chosen_experts")
    if not layers:
        return {}
    return {
        name: NamedArray(np.stack([np.asarray(shown.part(name)) for shown in layers]), ("layer", "token", "choice"))
        for name in ("chosen_experts", "chosen_weights")
    }


def expert_legend(trace: ModelTrace, theme: Theme, t: Translate) -> Legend:
    """Name the colour of every expert."""
    layers = trace.layers_with("router_probs")
    count = layers[0].parts["router_probs"].sizes["expert"] if layers else 0
    return Legend(
        t("viz.experts.name"), ramp=None, swatches=tuple((expert_color(e, theme), str(e)) for e in range(count))
    )
