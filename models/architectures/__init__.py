"""One adapter per architecture over its transformers classes."""
