"""The store of runs, and the files that runs are exported to and imported from."""
