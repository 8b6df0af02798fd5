"""Block diagrams as data: columns of branches with boxes, and their bytes for the browser; browser/ draws them."""

from viz.diagram.source import script, styles
from viz.diagram.spec import BlockColumn, Box, Branch, Diagram

__all__ = ["BlockColumn", "Box", "Branch", "Diagram", "script", "styles"]
