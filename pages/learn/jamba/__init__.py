"""The Jamba page."""
