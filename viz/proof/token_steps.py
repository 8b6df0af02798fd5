"""Check of a text read token by token: its logits are those of the one pass that the trace recorded."""

import numpy as np

from models.reconstruction.check import relative, wide, worst
from models.records.trace import ModelTrace
from viz.figure import Figure
from viz.look.plotly import PlotSpec
from viz.proof.drawn import Choice, exported, same


def token_steps(figure: Figure, trace: ModelTrace, _choice: Choice) -> float:
    """Logits token by token against those of one pass, relative to the largest of the place; the picture as exported.

    The difference that is drawn, the largest of the vocabulary, is an error as well, and no smaller than that of the
    drawn logits.
    """
    logits = wide(trace.logits.values)
    whole, serial, apart = (exported(figure, name) for name in ("one_pass", "token_by_token", "difference"))
    size = np.abs(logits).max(1)
    if not whole.shape == serial.shape == apart.shape == size.shape:
        return 1.0
    known = np.array([logits[t, token.id] for t, token in enumerate(trace.tokens[1:])] + [logits[-1].max()])
    own = np.maximum(np.abs(serial - whole) / size - apart - 1e-6, 0)  # float32 rounds the largest difference
    return worst(relative(whole, known, size), relative(serial, known, size), apart, own, _drawn_error(figure))


def _drawn_error(figure: Figure) -> float:
    if not isinstance(figure.body, PlotSpec):
        raise TypeError(f"{figure.id} is no figure of plotly")
    drawn = {str(trace["meta"]): np.array(trace["y"], np.float64) for trace in figure.body.data}
    spent = 1000 * exported(figure, "seconds")
    once = np.full(spent.shape, 1000 * float(exported(figure, "pass_seconds")[0]))
    falling = float((np.diff(spent) < 0).any())
    return worst(
        *(same(drawn[name], exported(figure, name)) for name in ("one_pass", "token_by_token", "difference")),
        same(drawn["seconds"], spent),
        same(drawn["pass_seconds"], once),
        falling,
    )
