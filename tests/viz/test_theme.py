"""The look keeps its promises: legible colours, exact ramps, architectures told apart without colour."""

from itertools import combinations

import numpy as np
import pytest

from viz.look.theme import DARK, LIGHT, diverging, sequential, theme_for

ARCHITECTURES = ("transformer", "mamba", "rwkv", "jamba")


def luminance(color: str) -> float:
    channels = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one: str, two: str) -> float:
    low, high = sorted((luminance(one), luminance(two)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_text_is_legible_on_the_card(theme):
    for color in (theme.ink, theme.muted, *theme.colors.values()):
        assert contrast(color, theme.card) >= 4.5


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_sequential_ramp_goes_from_card_to_colour(theme, architecture):
    ramp = sequential(architecture, theme)
    assert len(ramp) == 256
    assert (ramp[0], ramp[-1]) == (theme.card, theme.colors[architecture])
    away = [contrast(color, theme.card) for color in ramp]
    assert (np.diff(away) >= -1e-9).all(), "a larger value is never closer to the card"


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_text_on_a_ramp_is_legible_everywhere(theme, architecture):
    best = contrast(theme.card, theme.ink) ** 0.5  # that two colours can promise on any third
    for color in sequential(architecture, theme):
        assert contrast(theme.text_on(color), color) >= best - 1e-9 > 3.5


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_diverging_ramp_is_centred_on_the_card(theme):
    ramp = diverging(theme)
    assert (ramp[0], ramp[-1]) == (theme.negative, theme.ink)
    assert contrast(ramp[127], theme.card) < 1.05
    assert contrast(ramp[128], theme.card) < 1.05


def test_architectures_differ_in_marker_and_dash():
    for theme in (LIGHT, DARK):
        assert len({theme.markers[name] for name in ARCHITECTURES}) == len(ARCHITECTURES)
        assert len({theme.dashes[name] for name in ARCHITECTURES}) == len(ARCHITECTURES)


def test_an_unknown_architecture_is_drawn_in_ink():
    assert LIGHT.color("another") == LIGHT.ink


def test_theme_for_a_mode():
    assert theme_for("dark") is DARK
    assert theme_for("light") is LIGHT


# From linear sRGB to what a dichromat sees (Machado, Oliveira and Fernandes 2009, severity 1).
SEEN = {
    "full": np.eye(3),
    "deuteranopia": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                              [-0.011820, 0.042940, 0.968881]]),
    "protanopia": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                            [-0.003882, -0.048116, 1.051998]]),
}  # fmt: skip


def apart(one: str, two: str, sight: str = "full") -> float:
    """Return the distance in OKLab (Ottosson 2020) of two colours as they are seen."""

    def lab(color: str) -> np.ndarray:
        channels = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        l, m, s = np.cbrt(TO_LMS @ np.clip(SEEN[sight] @ linear, 0, 1))
        return TO_LAB @ np.array([l, m, s])

    return float(np.linalg.norm(lab(one) - lab(two)))


TO_LMS = np.array([[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
                   [0.0883024619, 0.2817188376, 0.6299787005]])  # fmt: skip
TO_LAB = np.array([[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
                   [0.0259040371, 0.7827717662, -0.8086757660]])  # fmt: skip


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("sight", SEEN)
def test_experts_are_told_apart(theme, sight):
    assert min(apart(*pair, sight) for pair in combinations(theme.experts, 2)) > 0.1


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_experts_and_signs_have_no_colour_of_an_architecture(theme):
    for own in theme.colors.values():
        assert min(apart(own, expert) for expert in theme.experts) > 0.12
        assert apart(own, theme.negative) > 0.08


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_experts_and_signs_stand_out_from_the_card(theme):
    least = {"light": 1.6, "dark": 2.4}[theme.mode]  # dark colours lie nearer to each other on a dark ground
    assert min(contrast(expert, theme.card) for expert in theme.experts) > least
    assert contrast(theme.negative, theme.card) > 4.5
