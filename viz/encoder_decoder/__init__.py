"""Figures of one run of the small encoder-decoder: pure functions of its record."""
