"""Measure memory and speed against context length, one worker process per cell."""
