"""The measurement of one cell in its own process."""
