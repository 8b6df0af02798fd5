"""The words of the interface and of the pages, read from assets."""
