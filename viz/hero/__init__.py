"""The picture of several models that read one text: as data, as bytes, and the script in browser/ that draws it."""

from viz.hero.payload import decode
from viz.hero.source import script, styles
from viz.hero.spec import Cells, Doors, Guesses, HeroSpec, Ink, ModelLane, StateTile, WaitingLane

__all__ = [
    "Cells",
    "Doors",
    "Guesses",
    "HeroSpec",
    "Ink",
    "ModelLane",
    "StateTile",
    "WaitingLane",
    "decode",
    "script",
    "styles",
]
