"""Which implementation of an operator runs, and its place in transformers."""
