"""Every registered figure on one page: python -m viz.gallery."""
