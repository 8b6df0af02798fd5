"""The pages: scripts that the frame runs. Only pages.shared is imported."""
