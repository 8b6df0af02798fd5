"""Build every figure into one page: python -m viz.gallery [--out FILE] [--lang en|ko] [--dark]."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from models.looks import looks
from viz.gallery.build import build
from viz.gallery.evidence import complete
from viz.gallery.figures import every
from viz.gallery.page import page
from viz.look.theme import theme_for

ASSETS = Path(__file__).resolve().parents[2] / "assets"
FIGURES = ASSETS / "figures"
LANGS = ("en", "ko")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page and return 0, or 1 with a line for each fault: then it holds what could be drawn."""
    parser = argparse.ArgumentParser(prog="python -m viz.gallery", description="build every figure into one page")
    parser.add_argument("--out", type=Path, default=Path("gallery.html"), help="the file to write (gallery.html)")
    parser.add_argument("--lang", choices=LANGS, default=LANGS[0], help="language of the words (en)")
    parser.add_argument("--dark", action="store_true", help="the dark look")
    chosen = parser.parse_args(arguments)
    theme = theme_for("dark" if chosen.dark else "light")
    facts = {path.stem: _read(path) for path in sorted(FIGURES.glob("*.yaml"))}
    built = build(every(), complete(), files=FIGURES, theme=theme, t=translator(facts, chosen.lang))
    names = {key: one["name"][chosen.lang] for key, one in facts.items()}
    chosen.out.write_text(page(built.figures, names, theme=theme, lang=chosen.lang), encoding="utf-8")
    for fault in built.faults:
        print(fault, file=sys.stderr)
    print(f"{chosen.out}: {len(built.figures)} figures, {len(built.faults)} faults")
    return 1 if built.faults else 0


def translator(facts: dict[str, Any], lang: str) -> Callable[..., str]:
    """Return t over the words of figures. It raises KeyError for a word or a value that is missing."""
    found = {key: pair[lang] for key, pair in _read(ASSETS / "words/viz.yaml").items()}
    found |= {f"viz.architecture.{key}": look.names[lang] for key, look in looks().items()}
    for key, one in facts.items():
        found |= {f"viz.{key}.{word}": pair[lang] for word, pair in one["words"].items()}
    return lambda key, **values: str(found[key]).format_map(values)


def _read(path: Path) -> dict[str, Any]:
    return dict(yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader))


if __name__ == "__main__":
    raise SystemExit(main())
