"""Micro-models for tasks with a known answer: what four architectures of like size and one budget can recall."""
