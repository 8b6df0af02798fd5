"""The Transformer page."""
