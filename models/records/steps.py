"""The record of a text read token by token with the cache, beside the pass that reads it at once."""

from dataclasses import dataclass

from models.records.trace import NamedArray


@dataclass(frozen=True, slots=True, eq=False)
class StepRun:
    """What one model gave token by token, each step continuing the cache of the one before.

    next_logit (token,): the logit of the token that came next, of the last token that of the likeliest; difference
    (token,): the largest |logit - logit of one pass| over the vocabulary; scale (token,): the largest |logit| of one
    pass. step_seconds (token,): wall time of each step; pass_seconds: of one pass over the whole text with a cache,
    nothing recorded, both measured in one go, after a pass that is not counted.
    """

    next_logit: NamedArray
    difference: NamedArray
    scale: NamedArray
    step_seconds: NamedArray
    pass_seconds: float
