"""Continue a recurrent state when several tokens follow a cache."""

from typing import Any

from torch import Tensor

from models.operators import backends


class Continuing:
    """Mixed in front of a Mamba mixer of transformers 5.23, which continues a cache for one token only.

    Several tokens after a cache find their convolution inputs there, but their scan starts again from zero: here it
    starts from the state that the cache holds.
    """

    layer_idx: int

    def forward(
        self, hidden_states: Tensor, cache_params: Any = None, attention_mask: Any = None, **kwargs: Any
    ) -> Tensor:
        """Run the mixer as it is, with the scan told where to start. hidden_states (b, l, d_model)."""
        state = None
        if cache_params is not None and hidden_states.shape[1] > 1:
            state = cache_params.get_recurrent_state(self.layer_idx)
        with backends.carrying(state):
            out: Tensor = super().forward(hidden_states, cache_params, attention_mask, **kwargs)  # type: ignore[misc]
        return out
