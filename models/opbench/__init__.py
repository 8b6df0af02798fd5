"""Our operators timed against those of transformers."""
