"""Figures of recall in the micro-models."""
