"""Figures: pure functions from a recorded forward pass to something a page can draw."""
