"""Block diagrams as data: columns of branches with boxes, and their bytes for the browser; browser/ draws them."""

from viz.diagram.source import script, styles
from viz.diagram.spec import Box, Branch, Column, Diagram

__all__ = ["Box", "Branch", "Column", "Diagram", "script", "styles"]
