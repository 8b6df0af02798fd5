"""Mechanisms on toy inputs, in numpy and float64, that no bundled model has; every figure of them says so."""
