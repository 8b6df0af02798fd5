"""Random tokens written twice: a text in which every token of the second half has come before, once."""

from typing import Any

import numpy as np

from models.counting import accounting
from models.limits import PROMPT_TOKENS
from models.records.trace import Token
from models.tracing.adapter import Readable
from models.tracing.tokens import Encoded, label_of, no_tokenizer

SEED = 20261201
LENGTH = 48  # tokens that are drawn


def repeated(model: Readable, *, length: int = LENGTH, seed: int = SEED) -> Encoded:
    """Return a start token and `length` different tokens twice, drawn with a seed; the prompt names none of them.

    Special tokens are not drawn. A small vocabulary or few positions make it shorter. Raises SourceError for a model
    without a tokenizer.
    """
    tokenizer: Any = model.tokenizer
    if tokenizer is None:
        raise no_tokenizer(model.name)
    shape = accounting.shape_of(model.config)
    special = set(tokenizer.all_special_ids)
    free = np.array([one for one in range(min(len(tokenizer), shape.vocab)) if one not in special])
    most = (min(PROMPT_TOKENS, shape.positions or PROMPT_TOKENS) - 1) // 2
    once = np.random.default_rng(seed).choice(free, size=min(length, len(free), most), replace=False)
    start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    ids = [int(one) for one in (start or 0, *once, *once)]
    named = label_of(tokenizer)
    tokens = tuple(Token(n, one, named(one), n, n + 1) for n, one in enumerate(ids))
    return Encoded("", tokens, ())
