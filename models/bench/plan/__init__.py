"""Before a run: settings, cells, predictions, the budget of time."""
