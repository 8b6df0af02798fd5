"""Encoder and decoder side by side: as data, as bytes, and the script in browser/ that draws them."""

from viz.exchange.source import script, styles
from viz.exchange.spec import Block, ExchangeSpec, LikelyWords, Stack, StacksSpec

__all__ = ["Block", "ExchangeSpec", "LikelyWords", "Stack", "StacksSpec", "script", "styles"]
