"""The one matrix picture of the product: token strip, bars and heatmap, drawn by the script in browser/."""

from viz.canvas.heatmap import Axis, Frames, Heatmap, Lanes, Matrix, Scale, Tile, Tiles
from viz.canvas.payload import decode
from viz.canvas.pooling import Pooled, max_pool
from viz.canvas.source import script, styles
from viz.canvas.spec import Bars, CanvasSpec, Legend, Strip

__all__ = [
    "Axis",
    "Bars",
    "CanvasSpec",
    "Frames",
    "Heatmap",
    "Lanes",
    "Legend",
    "Matrix",
    "Pooled",
    "Scale",
    "Strip",
    "Tile",
    "Tiles",
    "decode",
    "max_pool",
    "script",
    "styles",
]
