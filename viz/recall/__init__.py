"""Figures of what the micro-models recall."""
