"""The parts of the benchmark page: what to measure, the run as it goes, the comparison beside it."""
