"""Draw lines over two logarithmic axes as SVG for a self-contained page."""

import math
from collections.abc import Mapping, Sequence
from html import escape

from models.looks import looks

Point = tuple[float, float, float, float]  # x, y, and the low and high end of a bar through y; all above zero
WIDTH, HEIGHT = 460, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 14, 24, 44


def chart(series: Sequence[tuple[str, Sequence[Point]]], *, x: str, y: str) -> str:
    """Draw lines, each in the look of its architecture, with a bar at each point; x and y name the axes."""
    points = [point for _, line in series for point in line]
    xs = _scale([p[0] for p in points], _LEFT, WIDTH - _RIGHT)
    ys = _scale([v for p in points for v in p[1:]], HEIGHT - _BOTTOM, _TOP)
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(y)} / {escape(x)}">']
    for value in _ticks(*ys[:2]):
        at = _place(value, ys)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{_short(value)}</text>')
    last = -math.inf
    for value in sorted({p[0] for p in points}):
        at = _place(value, xs)
        if at - last > 44:  # room for a number
            parts.append(f'<text x="{at:.1f}" y="{HEIGHT - _BOTTOM + 18}" text-anchor="middle">{_length(value)}</text>')
            last = at
    parts.append(f'<text x="{(_LEFT + WIDTH - _RIGHT) / 2}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x)}</text>')
    parts.append(f'<text x="4" y="14">{escape(y)}</text>')
    for name, line in series:
        placed = [(_place(p[0], xs), *(_place(v, ys) for v in p[1:])) for p in line]
        corners = " ".join(f"{px:.1f},{py:.1f}" for px, py, _, _ in placed)
        parts.append(f'<polyline class="line" {_stroke(name)} points="{corners}"/>')
        for px, py, low, high in placed:
            parts.append(f'<path class="bar" {_stroke(name, dashed=False)} d="M{px:.1f} {low:.1f}V{high:.1f}"/>')
            parts.append(f'<circle class="dot" style="fill:{_color(name)}" cx="{px:.1f}" cy="{py:.1f}" r="3"/>')
    return "".join([*parts, "</svg>"])


def legend(names: Mapping[str, str]) -> str:
    """Draw the legend."""
    marks = (
        f'<span><svg viewBox="0 0 28 8" aria-hidden="true"><path class="line" {_stroke(name)} d="M0 4H28"/></svg>'
        f"{escape(shown)}</span>"
        for name, shown in names.items()
    )
    return f'<div class="legend">{"".join(marks)}</div>'


def _color(name: str) -> str:
    return f"var(--{name if name in looks() else 'ink'})"


def _stroke(name: str, *, dashed: bool = True) -> str:
    lengths = looks()[name].dash if dashed and name in looks() else ()
    dash = " ".join(map(str, lengths)) if lengths[1:] != (0,) else ""
    return f'style="stroke:{_color(name)}"' + (f' stroke-dasharray="{dash}"' if dash else "")


Scale = tuple[float, float, float, float]  # logarithms of both ends, and where they are drawn


def _scale(values: Sequence[float], start: float, end: float) -> Scale:
    low, high = math.log10(min(values)), math.log10(max(values))
    room = max((high - low) * 0.06, 0.05)
    return low - room, high + room, start, end


def _place(value: float, scale: Scale) -> float:
    low, high, start, end = scale
    return start + (math.log10(value) - low) / (high - low) * (end - start)


def _ticks(low: float, high: float) -> list[float]:
    """Return round numbers between two logarithms: powers of ten, with 2 and 5 between them over a short span."""
    steps = (1,) if high - low > 2.5 else (1, 2, 5)
    candidates = [step * 10.0**power for power in range(math.floor(low), math.ceil(high) + 1) for step in steps]
    inside = [value for value in candidates if low <= math.log10(value) <= high]
    return inside[:: 1 + len(inside) // 8]


def _short(value: float) -> str:
    """Write a number in few letters: 8192 as 8.2k, 0.05 as 0.05."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def _length(value: float) -> str:
    return f"{value:,.0f}" if value < 1e5 else _short(value)
