"""The one matrix picture of the product: token strip, bars and heatmap, drawn by the script in browser/."""

from viz.canvas.pooling import Pooled, max_pool
from viz.canvas.source import script, styles
from viz.canvas.spec import Bars, CanvasSpec, Experts, Grid, Legend, Scale, Strip, Tile, decode

__all__ = [
    "Bars",
    "CanvasSpec",
    "Experts",
    "Grid",
    "Legend",
    "Pooled",
    "Scale",
    "Strip",
    "Tile",
    "decode",
    "max_pool",
    "script",
    "styles",
]
