"""Measure memory and speed against context length, one worker process per cell; shared/design/BENCHMARK.md is the recipe."""
