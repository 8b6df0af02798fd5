"""Statistics, verdicts and rooflines of benchmark rows, and the comparison of two runs."""
