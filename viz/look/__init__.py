"""Colours, axes and labels of all figures."""
