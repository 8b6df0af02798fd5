"""A line of a plotly figure over context, and a panel of such lines."""

from dataclasses import dataclass

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class PlotLine:
    """One line.

    points (x, y); says: for each point its value, its spread ("" without one) and further facts, in words; ribbon (x,
    low, high); samples: faint dots; missing: (x, why) of cells without a point, which draw nothing at any height.
    key: the series, the same in every panel and in a second run; dashed: of a second run. solid: which markers are
    filled, none without it. floor: the least possible, in fine dashes, with floor_name at its end. note: lines under
    the name.
    """

    architecture: str
    name: str
    points: tuple[Point, ...]
    says: tuple[tuple[str, ...], ...] = ()
    ribbon: tuple[tuple[float, float, float], ...] = ()
    samples: tuple[Point, ...] = ()
    missing: tuple[tuple[float, str], ...] = ()
    key: str = ""
    dashed: bool = False
    solid: tuple[bool, ...] = ()
    floor: tuple[Point, ...] = ()
    floor_name: str = ""
    note: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plot:
    """One of several panels above each other."""

    title: str
    lines: tuple[PlotLine, ...]
