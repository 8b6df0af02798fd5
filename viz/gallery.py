"""Every figure that a trace allows: for tests, and for looking at all of them on one page."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from models.records.trace import ModelTrace, Named
from viz.figure import Figure
from viz.look.labels import Translate
from viz.look.theme import Theme
from viz.trace import attention, decay, routing, state, tokens
from viz.trace.matrix import channel_matrix

Draw = Callable[..., Figure]

# figure -> the part that a trace must show for it
_NEEDS: Sequence[tuple[Draw, str]] = (
    (attention.head_matrix, "attention"),
    (attention.head_logits, "attention_logits"),
    (attention.head_mosaic, "attention"),
    (attention.value_norm_matrix, "value_norm"),
    (state.state_film, "state"),
    (state.dt_map, "dt"),
    (state.state_slice, "state"),
    (state.hidden_attention, "hidden_attention"),
    (decay.half_life, "half_life"),
    (decay.half_life_spectrum, "half_life"),
    (decay.decay_curves, "decay_rate"),
    (decay.effective_attention, "effective_attention"),
    (decay.receptance_map, "receptance"),
    (decay.wkv_film, "wkv_num"),
    (routing.expert_lanes, "chosen_experts"),
    (routing.router_bars, "router_probs"),
    (routing.expert_load, "chosen_experts"),
)
_WHOLE_MODEL: Sequence[Draw] = (tokens.token_strip, routing.layer_ribbon, routing.hybrid_stack)


def gallery(trace: ModelTrace, *, theme: Theme, t: Translate, mixing: Named | None = None) -> Iterator[Figure]:
    """Draw every figure that the parts of a trace allow, with default options.

    mixing: (channel, query, key) of one channel of the first recurrent layer, for channel_matrix.
    """
    for draw in figures_of(trace):
        yield draw(theme=theme, t=t)
    recurrent = trace.layers_with("half_life")
    if mixing is not None and recurrent:
        yield channel_matrix(mixing, trace, theme=theme, t=t, layer=recurrent[0].index, channel=0)


def figures_of(trace: ModelTrace) -> Sequence[Draw]:
    """List the figure functions that a trace allows, with the trace filled in."""
    return [
        partial(draw, trace) for draw in (*_WHOLE_MODEL, *(draw for draw, part in _NEEDS if trace.layers_with(part)))
    ]
