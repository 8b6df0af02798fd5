"""The explanations, one folder per page."""
