"""Figures of simulated mechanisms: labelled as such, since no model has run."""
