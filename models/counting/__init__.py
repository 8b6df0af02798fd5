"""Parameters, cache bytes and operations, counted from a configuration."""
