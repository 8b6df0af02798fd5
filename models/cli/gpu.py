"""python -m models gpu: run the tests of a GPU, measure its kernels, record the standard runs; `make gpu` calls it."""

import argparse
import sys
from contextlib import suppress
from pathlib import Path

from models.bench.record import needs
from models.cli.ending import EndedError, listening
from models.errors import SettingError

BUDGET_MIN = (0.5, 1440.0)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("--device", default="cuda:0", help="cuda:0 and so on; cpu rehearses every stage (cuda:0)")
    parser.add_argument(
        "--budget", type=float, default=30.0, metavar="MIN", help="minutes of the whole recording, sessions added (30)"
    )
    parser.add_argument("--out", type=Path, default=None, help="write there, not into the project (cpu: data folder)")
    parser.add_argument("--retry", action="store_true", help="do once more what ended with problems")
    parser.add_argument("--fresh", action="store_true", help="begin anew, whatever was recorded before")


def main(args: argparse.Namespace) -> int:
    """Record; 0 when all is recorded and well, 1 when something is wrong or missing, 128 and more when interrupted."""
    low, high = BUDGET_MIN
    if not low <= args.budget <= high:
        message = f"--budget {args.budget:g}: give from {low:g} to {high:g} minutes"
        raise SettingError("errors.setting_range", message, name="budget", value=args.budget, low=low, high=high)
    device = "cuda:0" if args.device == "cuda" else args.device
    needs.check(device)
    from models.bench.record import recording, report

    made = recording.recording(device, out=args.out, fresh=args.fresh, retry=args.retry)
    budget_s = 60 * args.budget
    code = 0
    unfit: tuple[str, ...] = ()
    try:
        with listening():
            unfit = made.run(budget_s=budget_s, say=_say)
    except EndedError as asked:
        code = 128 + asked.number
    shown = report.lines(
        made.state,
        made.names,
        unfit=unfit,
        written=made.written(),
        out=made.out,
        budget_s=budget_s,
        other_versions=needs.other_versions(),
    )
    print("\n".join(shown))
    return code or (1 if report.wrong(made.state, made.names, unfit=unfit) else 0)


def _say(text: str) -> None:
    """Tell the reader what is done, who may have gone: that ends no recording."""
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)
