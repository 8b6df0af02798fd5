"""One token of the vocabulary in the logit lens: its probability and its rank after every layer, at every position."""

import numpy as np

from models.records.trace import ModelTrace, NamedArray, TokenLens
from viz.canvas import Axis, Legend, Matrix, Scale
from viz.figure import Figure, figure
from viz.look.labels import Translate
from viz.look.theme import Theme, sequential
from viz.trace.findings import tracked_finding
from viz.trace.lens import HEIGHT, ROW
from viz.trace.tokens import picture, strip_of


@figure("token_lens", of="asked")
def token_lens(
    trace: ModelTrace, *, theme: Theme, t: Translate, lens: TokenLens, selected: int | None = None
) -> Figure:
    """Draw the probability of one token in the stream after the embedding and after every layer, its rank in the cells.

    lens: of a token of the vocabulary, followed through this trace.
    """
    prob = np.asarray(lens.prob.values, np.float32)
    rank = np.asarray(lens.rank.values, np.int64)
    names = row_names(trace, t)
    grid = Matrix(
        values=prob,
        scale=Scale(0.0, 1.0, kind="sqrt"),
        ramps=(sequential(trace.architecture, theme),),
        readout=("{row} · {column}", "{cell}"),
        rows=Axis(names=names, labels=names),
        texts=tuple(tuple(compact(int(one)) for one in row) for row in rank),
        whole_texts=True,
        cell_names=tuple(
            tuple(
                t("viz.token_lens.cell", prob=written(float(p)), rank=f"{int(r):,}") for p, r in zip(*row, strict=True)
            )
            for row in zip(prob, rank, strict=True)
        ),
        row_height=ROW,
        max_height=HEIGHT,
    )
    said = {"token": lens.label, "id": lens.id}
    alt = t("viz.token_lens.alt", layers=len(trace.layers), tokens=len(trace.tokens), **said)
    ends = ((0.0, "0%"), (0.5, "25%"), (1.0, "100%"))
    spec = picture(
        "token_lens",
        alt,
        trace,
        theme=theme,
        t=t,
        strip=strip_of(trace, t=t, selected=selected),
        grid=grid,
        legends=(Legend(t("viz.token_lens.quantity", **said), ends, t("viz.scope.picture_sqrt")),),
        note=t("viz.token_lens.note", **said, vocab=f"{trace.logits.sizes['vocab']:,}"),
    )
    data = {"probability": lens.prob, "rank": lens.rank, "token_id": NamedArray(np.array([lens.id]), ("token",))}
    return Figure("token_lens", spec, data, alt, finding=tracked_finding(rank, names, trace.tokens, lens.label, t))


def row_names(trace: ModelTrace, t: Translate) -> tuple[str, ...]:
    """Name the embedding and the layers of a stream."""
    return tuple(
        t("viz.layer", layer=one.index) if one.index >= 0 else t("viz.logit_lens.embedding") for one in trace.stream
    )


def written(share: float) -> str:
    """Write a probability: two digits in per cent, a small one as a power of ten."""
    if share >= 0.0005:
        return f"{share:.1%}" if share < 0.0995 else f"{share:.0%}"
    return f"{share:.0e}".replace("e-0", "e-")


def compact(rank: int) -> str:
    """Write a rank for a narrow cell: thousands as k.

    >>> compact(7), compact(999), compact(8192)
    ('7', '999', '8k')
    """
    return str(rank) if rank < 1000 else f"{rank / 1000:.0f}k"
