"""What a visitor sees. Pages are scripts that the frame runs; only pages.shared is imported."""
