"""Kinds of charts that several figures use."""
