"""Figures of a benchmark run."""
