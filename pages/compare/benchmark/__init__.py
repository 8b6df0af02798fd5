"""The benchmark page and its parts: settings, plan, live run, results, comparison."""
