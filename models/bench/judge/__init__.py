"""What rows amount to: statistics, verdicts, rooflines, two runs compared."""
