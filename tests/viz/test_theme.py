"""The look keeps its promises: legible colours, exact ramps, architectures told apart without colour."""

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
    assert (ramp[0], ramp[-1]) == (theme.colors["rwkv"], theme.colors["mamba"])
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
