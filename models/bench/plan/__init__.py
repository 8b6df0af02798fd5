"""Before a run: settings, cells, predictions, the time budget."""
