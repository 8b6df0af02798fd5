"""The Mamba page."""
