"""python -m models train-encoder-decoder: train the small encoder-decoder again, measure it, write its card."""

import argparse
from dataclasses import replace
from pathlib import Path

from models.cli.output import print_table
from models.errors import SettingError

DEFAULTS = {"steps": "optimiser steps", "batch": "examples of a step", "seed": "seed of weights and examples"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    for name, what in DEFAULTS.items():
        parser.add_argument(f"--{name}", type=int, help=f"{what}, instead of the recipe's")
    parser.add_argument("--inputs", type=int, default=1000, help="held-out inputs per task (%(default)s)")
    parser.add_argument("--out", type=Path, help="folder of the model (assets/checkpoints/encoder_decoder)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (%(default)s)")


def main(args: argparse.Namespace) -> int:
    """Train, measure and save; SettingError for a number out of range."""
    for name in ("steps", "batch", "inputs", "threads"):
        if (value := getattr(args, name)) is not None and value < 1:
            message = f"--{name} must be at least 1, got {value}"
            raise SettingError("errors.setting_range", message, name=name, value=value, low=1, high="any")
    import torch

    from models.encoder_decoder import making, small
    from models.encoder_decoder.training import ToyRecipe

    torch.set_num_threads(args.threads)
    changes = {name: value for name in DEFAULTS if (value := getattr(args, name)) is not None}
    measured = making.make(replace(ToyRecipe(), **changes), args.out or small.FOLDER, inputs=args.inputs)
    rows: list[tuple[object, ...]] = [("task", "lengths", "right", "95 %", "inputs")]
    for one in measured:
        lengths = "-" if one.lengths is None else "{}-{}".format(*one.lengths)
        rows.append((one.task, lengths, one.accuracy, f"{one.low:.3f} to {one.high:.3f}", one.count))
    print_table(rows)
    return 0
