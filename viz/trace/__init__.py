"""Figures of one forward pass."""
