"""Recompute the recorded parts of a layer in float64 from the captured run; numpy only."""

from models.reconstruction.check import LIMITS, Check, limit_of, relative, worst
from models.reconstruction.layers import checks, half_lives, reconstruction_errors

__all__ = ["LIMITS", "Check", "checks", "half_lives", "limit_of", "reconstruction_errors", "relative", "worst"]
