"""The live comparisons, one folder per page."""
