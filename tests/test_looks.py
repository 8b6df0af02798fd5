"""One record per architecture holds its names and looks, and everything that draws or names one reads it."""

from pathlib import Path

import pytest

from models import registry
from models.looks import FOLDER, looks, name_of
from pages.shared import style
from pages.shared.words import i18n
from viz.look.theme import DARK, LIGHT

GOOD = """order: 5
name: {en: Delta, ko: 델타}
color: {light: "#112233", dark: "#AABBCC"}
marker: cross
dash: [4, 4]
mixer: null
"""


def test_every_architecture_of_the_registry_has_a_record_in_the_same_order():
    assert list(looks()) == [adapter.name for adapter in registry.ADAPTERS]


def test_figures_and_style_read_the_record():
    rules = style.architecture_rules()
    for key, look in looks().items():
        assert (LIGHT.colors[key], DARK.colors[key]) == (look.colors["light"], look.colors["dark"])
        assert (LIGHT.markers[key], LIGHT.dashes[key]) == (look.marker, look.dash)
        assert f"--cs-{key}: light-dark({look.colors['light']}, {look.colors['dark']})" in rules
        assert f".cs-{key} {{ --cs-own: var(--cs-{key}); }}" in rules


def test_a_mixer_has_the_colour_of_the_architecture_made_of_it():
    assert LIGHT.mixer_color("attention") == looks()["transformer"].colors["light"]
    assert LIGHT.mixer_color("unknown") == LIGHT.ink


def test_a_fifth_architecture_is_one_more_file(tmp_path: Path):
    for path in FOLDER.glob("*.yaml"):
        (tmp_path / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "delta.yaml").write_text(GOOD, encoding="utf-8")
    assert list(looks(tmp_path)) == [*looks(), "delta"]
    assert looks(tmp_path)["delta"].names["ko"] == "델타"


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('"#112233"', '"red"', "color"),
        ("order: 5", "order: five", "order"),
        ("[4, 4]", "dashed", "dash"),
        (", ko: 델타", "", "name"),
        ("mixer: null\n", "", "fields"),
    ],
)
def test_a_broken_record_names_its_file_and_field(tmp_path: Path, old: str, new: str, named: str):
    (tmp_path / "delta.yaml").write_text(GOOD.replace(old, new), encoding="utf-8")
    with pytest.raises(ValueError, match=rf"delta\.yaml.*{named}"):
        looks(tmp_path)


def test_a_name_that_has_no_record_is_shown_as_it_is():
    assert name_of("mamba", "ko") == "Mamba"
    assert name_of("another", "en") == "another"


def test_navigation_and_figures_name_an_architecture_by_its_record():
    for key, look in looks().items():
        for lang, name in look.names.items():
            assert i18n.say(lang, f"nav.{key}") == i18n.say(lang, f"viz.architecture.{key}") == name
