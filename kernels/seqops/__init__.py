"""Sequence operators: readable references, fast paths with the same signature, and the T x T views."""
