"""The machine a program runs on: its facts, its GPUs, the paths of the project."""
