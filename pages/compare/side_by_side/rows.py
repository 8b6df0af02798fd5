"""The rows of the chosen word by weights and by gradient, and how far they reach."""

from pages.compare.side_by_side.lanes import PAGE, SideLanes
from pages.shared import controls, gradients, parts
from pages.shared.panel import panel, selected_or_last
from pages.shared.ticker import ticker
from pages.shared.words.i18n import t
from viz.trace.side_reach import side_reach
from viz.trace.sides import axis_of, counterparts, side_rows, side_surprisal

POLL_S = 0.7  # while gradient rows are computed
WEIGHTS, GRADIENT = 0, 1


def rows(lanes: SideLanes) -> None:
    """Draw the rows; the part runs again by itself until the gradient rows of all tokens are there."""
    parts.figure(f"{PAGE}.part.rows", lambda: _rows(lanes), on=("token",))


def _rows(lanes: SideLanes) -> None:
    found = gradients.at(lanes.traces, places(lanes), lanes.off)
    done = gradients.complete(lanes.traces, lanes.off)
    panel(
        side_rows,
        list(lanes.traces),
        key=f"{PAGE}.rows",
        alignment=lanes.alignment,
        names=lanes.names,
        gradients=found,
    )
    ticker(None if done and all(one.whole for one in found) else POLL_S, key=f"{PAGE}.rows.ticker")


def places(lanes: SideLanes) -> tuple[int, ...]:
    """Return the chosen token of the first trace and its counterparts in the others, the last where none is chosen."""
    chosen = selected_or_last(lanes.first)
    axis = axis_of(lanes.traces, lanes.alignment)
    return tuple(max(counterparts(axis, n)[chosen], 0) for n in range(len(lanes.traces)))


def surprisal(lanes: SideLanes) -> None:
    """Draw what every token costs."""
    panel(side_surprisal, list(lanes.traces), key=f"{PAGE}.surprisal", alignment=lanes.alignment, names=lanes.names)


def reach(lanes: SideLanes) -> None:
    """Draw how far the rows reach, by weights or by gradient."""
    parts.figure(f"{PAGE}.part.reach", lambda: _reach(lanes), on=("measure",))


def _reach(lanes: SideLanes) -> None:
    by = controls.choice(PAGE, "measure", t("sides.measure"), {n: t(f"sides.measure.{n}") for n in (WEIGHTS, GRADIENT)})
    if by == WEIGHTS:
        panel(side_reach, list(lanes.traces), key=f"{PAGE}.reach", names=lanes.names)
        return
    found = gradients.every(lanes.traces, lanes.off)
    panel(side_reach, list(lanes.traces), key=f"{PAGE}.reach", names=lanes.names, gradients=found)
