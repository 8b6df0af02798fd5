"""Micro-models for tasks with a known answer: what four architectures of equal size and budget can recall."""
