"""Finders: all heads, channels or experts of a model in a table; browser/ sorts, filters and draws it."""

from viz.finder.source import script, styles
from viz.finder.spec import Finder, Metric

__all__ = ["Finder", "Metric", "script", "styles"]
