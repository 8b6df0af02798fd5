"""A mechanism step by step: words, planes of numbers and steps as data, and the scripts that draw them."""

from viz.mechanism.drawn import Drawn, read
from viz.mechanism.source import painters, script, styles
from viz.mechanism.spec import MechanismSpec, Plane, Size, WalkStep

__all__ = ["Drawn", "MechanismSpec", "Plane", "Size", "WalkStep", "painters", "read", "script", "styles"]
