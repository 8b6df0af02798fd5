"""Ranked lists of tokens with bars, as real text that follows the selection of the page; browser/ draws them."""

from viz.ranking.source import script, styles
from viz.ranking.spec import Column, Ranking

__all__ = ["Column", "Ranking", "script", "styles"]
