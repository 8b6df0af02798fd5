"""The logit lens: the final norm and the output head applied to the residual stream after every layer."""

import numpy as np

from models.records.trace import Array, LayerTrace, ModelTrace, NamedArray
from viz.canvas import Axis, Legend, Matrix, Scale
from viz.figure import Figure, figure
from viz.look.labels import Translate, short
from viz.look.theme import Theme, sequential
from viz.trace.channels import Floats, floats
from viz.trace.findings import lens_finding
from viz.trace.tokens import picture, strip_of

PARTS = ("lens_tokens", "lens_probs", "lens_entropy", "lens_rank_final", "lens_rank_next")
ROW, NOTED, HEIGHT = 34, 26, 1200  # pixels: of a row, of a row that has room for two lines, of all rows at most
CELLS = ((6_000, 5), (12_000, 2))  # up to so many cells, so many tokens are read out in each; above, the first alone


@figure("logit_lens", needs=PARTS, also=("lens_prob_final", "lens_prob_next"))
def logit_lens(trace: ModelTrace, *, theme: Theme, t: Translate, selected: int | None = None) -> Figure:
    """Draw the most likely next token after the embedding and after every layer, at every token of the text.

    Rows are the embedding, where the trace has it, and the layers, first to last; colour is the probability of the
    token in the cell. Under the name of a row stand two ranks at the shown token (the last without selection): of the
    model's final prediction there and of the token that really comes next.
    """
    stream, count = trace.stream, len(trace.tokens)
    at = selected if selected is not None and 0 <= selected < count else count - 1
    data = {part: _stacked(stream, part) for part in PARTS}
    best, probs = data["lens_tokens"].values[..., 0], np.asarray(data["lens_probs"].values[..., 0], np.float32)
    names = tuple(
        t("viz.layer", layer=one.index) if one.index >= 0 else t("viz.logit_lens.embedding") for one in stream
    )
    ranks = tuple(tuple(_ranks(shown, place, t) for shown in stream) for place in range(count))  # (token, layer)
    noted = len(stream) * NOTED <= HEIGHT
    notes = tuple(_note(trace, place, t) for place in range(count)) if noted else ()
    grid = Matrix(
        values=probs,
        scale=Scale(0.0, 1.0, kind="sqrt"),
        ramps=(sequential(trace.architecture, theme),),
        readout=("{row} · {column}", "{cell}"),
        rows=Axis(
            names=names,
            labels=names,
            notes=ranks[at],
            colors=tuple(theme.mixer_color(one.mixer) if one.index >= 0 else theme.muted for one in stream),
        ),
        texts=tuple(tuple(trace.label_of(int(token)) for token in row) for row in best),
        cell_names=_said(trace, stream, t),
        token_notes=ranks,
        row_height=ROW,
        max_height=HEIGHT,
        reports=True,
    )
    alt = t("viz.logit_lens.alt", layers=len(trace.layers), tokens=count)
    spec = picture(
        "logit_lens",
        alt,
        trace,
        theme=theme,
        t=t,
        strip=strip_of(trace, t=t, selected=at),
        grid=grid,
        legends=(
            Legend(
                t("viz.logit_lens.quantity"), ((0.0, "0%"), (0.5, "25%"), (1.0, "100%")), t("viz.scope.picture_sqrt")
            ),
        ),
        note=notes[at] if notes else "",
        token_notes=notes,
    )
    layers = NamedArray(np.array([shown.index for shown in stream]), ("layer",))
    finding = lens_finding(np.asarray(data["lens_rank_final"].values, np.float64), names, t)
    return Figure("logit_lens", spec, {"layer": layers} | data, alt, finding=finding)


def final_token(trace: ModelTrace, at: int) -> int:
    """Return the id that the model itself finds most likely after a token."""
    return int(trace.logits.values[at].argmax())


def _stacked(stream: tuple[LayerTrace, ...], part: str) -> NamedArray:
    values: Array = np.stack([np.asarray(shown.part(part)) for shown in stream])
    return NamedArray(values, ("layer", *stream[0].parts[part].dims))


def _note(trace: ModelTrace, at: int, t: Translate) -> str:
    """Say whose ranks stand under the names of the rows; the last token has none that comes next."""
    said = {"token": trace.tokens[at].label, "final": trace.label_of(final_token(trace, at))}
    if at + 1 == len(trace.tokens):
        return t("viz.logit_lens.note_last", **said)
    return t("viz.logit_lens.note", **said, next=trace.tokens[at + 1].label)


def _ranks(shown: LayerTrace, at: int, t: Translate) -> str:
    """Write the rank of the final prediction and of the next token at one token; the last has no next one."""
    final, following = floats(shown, "lens_rank_final")[at], floats(shown, "lens_rank_next")[at]
    if np.isnan(following):
        return t("viz.logit_lens.rank", final=int(final))
    return t("viz.logit_lens.ranks", final=int(final), next=int(following))


def _said(trace: ModelTrace, stream: tuple[LayerTrace, ...], t: Translate) -> tuple[tuple[str, ...], ...]:
    """Write what is read out in every cell (layer, token): a line of likely tokens, one of entropy, one of ranks."""
    cells = len(stream) * len(trace.tokens)
    most = next((count for limit, count in CELLS if cells <= limit), 1)
    return tuple(tuple(_cell(trace, shown, at, most, t) for at in range(len(trace.tokens))) for shown in stream)


def _cell(trace: ModelTrace, shown: LayerTrace, at: int, most: int, t: Translate) -> str:
    pairs = zip(shown.part("lens_tokens")[at][:most], shown.part("lens_probs")[at][:most], strict=True)
    likely = " · ".join(f"{trace.label_of(int(token))} {_percent(float(prob))}" for token, prob in pairs)
    bits: Floats = floats(shown, "lens_entropy")
    return "\n".join([likely, t("viz.logit_lens.entropy", bits=short(float(bits[at]))), _ranks(shown, at, t)])


def _percent(share: float) -> str:
    """Write a share with one decimal below ten percent, none above."""
    return "<0.1%" if share < 0.0005 else f"{share:.1%}" if share < 0.0995 else f"{share:.0%}"
