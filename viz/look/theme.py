"""The look of every figure: colours, markers, dashes, type and colour ramps, in light and in dark."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Literal
from zlib import crc32

import numpy as np
import numpy.typing as npt

from models.looks import looks

RAMP_LENGTH = 256
PADDING = {
    "left": 0,
    "top": 4,
    "right": 4,
    "bottom": 6,
}  # of descenders; Streamlit adds 20 px below a chart that names none
FONT = (
    "'Pretendard Variable', Pretendard, 'Noto Sans KR', 'Apple SD Gothic Neo', 'Malgun Gothic', system-ui, sans-serif"
)
MONO = "'JetBrains Mono Variable', 'JetBrains Mono', 'Pretendard Variable', Pretendard, 'Noto Sans KR', monospace"


# Of names that are no architecture of ours: they are drawn in ink.
_NEUTRAL_MARKERS = ("circle", "square", "diamond", "triangle-up", "triangle-down")
_NEUTRAL_DASHES = ((1, 0), (7, 3), (2, 2), (12, 3, 3, 3))


@dataclass(frozen=True, slots=True)
class Theme:
    """One mode of the look. Colours are #rrggbb; colors, markers and dashes are keyed by architecture.

    experts: categorical colours for numbered experts, apart from each other, also for red-green colour blindness, and
    from the colours of architectures. negative: the end of the signed ramp below zero; the end above zero is ink.
    """

    mode: Literal["light", "dark"]
    ground: str
    card: str
    hairline: str
    ink: str
    muted: str
    chip: str
    colors: Mapping[str, str]
    experts: tuple[str, ...]
    negative: str
    markers: Mapping[str, str] = field(default_factory=lambda: {key: look.marker for key, look in looks().items()})
    dashes: Mapping[str, tuple[int, ...]] = field(
        default_factory=lambda: {key: look.dash for key, look in looks().items()}
    )
    font: str = FONT
    mono: str = MONO

    def color(self, architecture: str) -> str:
        """Return the colour of an architecture, ink for one the look does not know."""
        return self.colors.get(architecture, self.ink)

    def marker(self, architecture: str) -> str:
        """Return the marker of an architecture; any other name has one of its own, the same in every figure."""
        return self.markers.get(architecture) or _NEUTRAL_MARKERS[_hash(architecture) % len(_NEUTRAL_MARKERS)]

    def dash(self, architecture: str) -> tuple[int, ...]:
        """Return the dash of an architecture, and of any other name likewise."""
        of_name = _NEUTRAL_DASHES[_hash(architecture) // len(_NEUTRAL_MARKERS) % len(_NEUTRAL_DASHES)]
        return self.dashes.get(architecture) or of_name

    def mixer_color(self, mixer: str) -> str:
        """Return the colour of a mixer: that of the architecture made of it."""
        return self.color(next((key for key, look in looks().items() if look.mixer == mixer), mixer))

    def text_on(self, color: str) -> str:
        """Return card or ink, whichever is easier to read on a colour (WCAG 2.2, contrast ratio)."""
        ground = _luminance(color)
        return max((self.card, self.ink), key=lambda text: abs(np.log((_luminance(text) + 0.05) / (ground + 0.05))))


LIGHT = Theme(
    mode="light",
    ground="#FBFBF9",
    card="#FFFFFF",
    hairline="#E4E4DF",
    ink="#1B1F24",
    muted="#5C6570",
    chip="#F1F1EC",
    colors={key: look.colors["light"] for key, look in looks().items()},
    experts=("#896FB6", "#989139", "#422667", "#C8C16A", "#554F61", "#B0A9BE", "#755E18", "#44360D"),
    negative="#B3261E",
)
DARK = Theme(
    mode="dark",
    ground="#101418",
    card="#171C22",
    hairline="#29313A",
    ink="#E9ECEF",
    muted="#9AA5B1",
    chip="#1F262E",
    colors={key: look.colors["dark"] for key, look in looks().items()},
    experts=("#987EC7", "#989139", "#5C569D", "#E9E28A", "#5C7575", "#D9D9FF", "#6B6400", "#ADADAD"),
    negative="#FF8A7A",
)


def theme_for(mode: str) -> Theme:
    """Return the theme of a mode; anything but "dark" is light."""
    return DARK if mode == "dark" else LIGHT


@cache
def ramp_between(*stops: str) -> tuple[str, ...]:
    """Blend 256 colours evenly through the stops, in OKLab so that equal steps look equal.

    >>> ramp = ramp_between("#FFFFFF", "#0B62B0")
    >>> len(ramp), ramp[0], ramp[-1]
    (256, '#FFFFFF', '#0B62B0')
    """
    lab = np.stack([_oklab(stop) for stop in stops])  # (stop, 3)
    at = np.linspace(0, len(stops) - 1, RAMP_LENGTH)
    blended = np.stack([np.interp(at, np.arange(len(stops)), lab[:, i]) for i in range(3)], axis=1)
    return tuple(_hex(row) for row in blended)


def sequential(architecture: str, theme: Theme) -> tuple[str, ...]:
    """Return 256 colours from card to the architecture's colour, for values >= 0."""
    return ramp_between(theme.card, theme.color(architecture))


def mixer_ramp(mixer: str, theme: Theme) -> tuple[str, ...]:
    """Return 256 colours from card to the mixer's colour, for values >= 0."""
    return ramp_between(theme.card, theme.mixer_color(mixer))


def diverging(theme: Theme) -> tuple[str, ...]:
    """Return 256 colours from red (negative) through card to ink (positive); no architecture has either colour."""
    return ramp_between(theme.negative, theme.card, theme.ink)


def _linear(color: str) -> npt.NDArray[np.float64]:
    """Convert #rrggbb to linear light."""
    srgb = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear: npt.NDArray[np.float64] = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    return linear


def _hash(name: str) -> int:
    """Return a number of a name that is the same in every process."""
    return crc32(name.encode())


@cache
def _luminance(color: str) -> float:
    return float(_linear(color) @ (0.2126, 0.7152, 0.0722))


def _oklab(color: str) -> npt.NDArray[np.float64]:
    """Convert #rrggbb to OKLab (Ottosson 2020)."""
    lab: npt.NDArray[np.float64] = _TO_LAB @ np.cbrt(_TO_LMS @ _linear(color))
    return lab


def _hex(lab: npt.NDArray[np.float64]) -> str:
    """Convert OKLab to #rrggbb, clipped to the sRGB range."""
    linear = np.clip(np.linalg.inv(_TO_LMS) @ (np.linalg.inv(_TO_LAB) @ lab) ** 3, 0, 1)
    srgb = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return "#" + "".join(f"{round(float(v) * 255):02X}" for v in srgb)


_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
