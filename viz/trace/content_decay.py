"""One component of a selective scan as content times decay: C B, what is left of a write, and their product."""

from typing import NamedTuple

import numpy as np

from models.records.trace import LayerTrace, ModelTrace, NamedArray
from viz.canvas import Legend, Scale, Tile, Tiles
from viz.canvas.pooling import fit_square
from viz.figure import Figure, figure
from viz.look.extremes import percent
from viz.look.labels import Translate, template
from viz.look.theme import Theme, diverging
from viz.trace.channels import Floats, floats, layer_with
from viz.trace.matrix import pooled_note
from viz.trace.tokens import picture, strip_of

TILE = 280  # pixels of a tile at most
PANELS = ("content", "decay", "product", "alpha")


class Factors(NamedTuple):
    """What alpha of one channel is made of, each (component, query, key), 0 above the diagonal; alpha (query, key)."""

    content: Floats
    decay: Floats
    alpha: Floats

    @property
    def product(self) -> Floats:
        """Return content times decay: the part of each component in alpha."""
        return np.asarray(self.content * self.decay)

    def strongest(self) -> int:
        """Return the component with the largest sum of |product|."""
        return int(np.abs(self.product).sum((1, 2)).argmax())


def factors_of(shown: LayerTrace, channel: int) -> Factors:
    """Split alpha_ij = sum_n (C_i[n] B_j[n]) (exp(A_n sum_(k=j+1..i) dt_k) dt_j) of one channel."""
    dt = floats(shown, "dt")[:, channel].astype(np.float64)
    rates = floats(shown, "decay_rates")[channel].astype(np.float64)
    write, read = floats(shown, "write_proj"), floats(shown, "read_proj")
    passed = np.cumsum(dt)
    since = np.maximum(passed[:, None] - passed, 0.0)  # (query, key)
    past = np.tri(len(dt))
    decay = np.exp(rates[:, None, None] * since) * dt * past
    content = np.einsum("in,jn->nij", read, write) * past
    return Factors(content, decay, np.asarray((content * decay).sum(0)))


@figure("content_decay", needs=("dt", "decay_rates", "write_proj", "read_proj"))
def content_decay(
    trace: ModelTrace,
    *,
    theme: Theme,
    t: Translate,
    layer: int | None = None,
    channel: int = 0,
    component: int | None = None,
    selected: int | None = None,
) -> Figure:
    """Draw C_i B_j of one component of one channel, its decay with dt_j, their product, and alpha of all components.

    component: without it the one with the largest part in |alpha|. Every tile has its own signed scale.
    """
    shown = layer_with(trace, "dt", layer)
    factors = factors_of(shown, channel)
    n = factors.strongest() if component is None else component
    maps = np.stack([factors.content[n], factors.decay[n], factors.product[n], factors.alpha]).astype(np.float32)
    sizes = np.abs(factors.product).sum((1, 2))
    share = float(sizes[n] / sizes.sum()) if sizes.sum() > 0 else 0.0
    past = np.where(np.tri(maps.shape[-1], dtype=bool), maps, np.nan)
    pooled = fit_square(past)
    color = theme.mixer_color(shown.mixer)
    names = [t(f"viz.content_decay.{panel}", component=n) for panel in PANELS]
    tiles = Tiles(
        values=pooled.values,
        scale=Scale(0.0, 0.0, kind="sqrt", signed=True, by="tile", highs=np.nanmax(np.abs(past), axis=(1, 2))),
        ramps=(diverging(theme),),
        readout=("{tile}", template(t, "viz.matrix.pair", "row", "column"), template(t, "viz.value", "value", name="")),
        picks="row",
        pool=(pooled.rows, pooled.columns),
        tile_size=TILE,
        tiles=tuple(
            Tile(t(f"viz.content_decay.{panel}_title"), name, color) for panel, name in zip(PANELS, names, strict=True)
        ),
    )
    alt = t("viz.content_decay.alt", layer=shown.index, channel=channel, component=n)
    ends = Legend(t("viz.content_decay.quantity"), ((0.0, "−"), (0.5, "0"), (1.0, "+")), t("viz.scope.tile_sqrt"))
    spec = picture(
        "content_decay",
        alt,
        trace,
        theme=theme,
        t=t,
        strip=strip_of(trace, t=t, selected=selected, role="rows"),
        grid=tiles,
        legends=(ends,),
        note=pooled_note(tiles, t=t),
    )
    data = {name: NamedArray(values, ("query", "key")) for name, values in zip(PANELS, maps, strict=True)}
    data["component"] = NamedArray(np.array([n]), ("chosen",))
    count = len(sizes)
    finding = t("viz.content_decay.finding", component=n, share=percent(share), even=percent(1 / count), count=count)
    return Figure("content_decay", spec, data, alt, finding=finding if count > 1 else "")
