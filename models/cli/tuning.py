"""python -m models tune-kernels: try other block sizes of our GPU kernels, and say which are faster on this GPU."""

import argparse
import io
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from models.cli.output import check_file, print_json, print_table, write_file
from models.errors import SettingError
from models.machine import facts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("--device", default="cuda:0", help="a CUDA device (cuda:0)")
    parser.add_argument("--only", nargs="+", default=[], metavar="TABLE", help="these tables of tuning.py")
    parser.add_argument("--skip", nargs="+", default=[], metavar="TABLE", help="not these tables")
    parser.add_argument("--json", type=Path, default=None, metavar="FILE", help="also write JSON, after every table")


def main(args: argparse.Namespace) -> int:
    """Try every table; 0, whether or not something is faster. It changes no file."""
    if args.device == "cpu" or args.device not in facts.devices():
        here = ", ".join(facts.devices()[1:]) or "none"
        message = f"--device {args.device}: no CUDA device of this machine (there are: {here})"
        raise SettingError("errors.device_missing", message, device=args.device)
    check_file(args.json)
    from models.opbench import tune

    if unknown := [name for name in (*args.only, *args.skip) if name not in tune.TRIALS]:
        message = f"there is no table {unknown[0]!r}: choose among {', '.join(tune.TRIALS)}"
        raise SettingError("errors.setting_value", message, name="only", value=unknown[0])
    rows: list[dict[str, Any]] = []
    names = [name for name in args.only or tune.TRIALS if name not in args.skip]
    for name in names:
        print(f"measuring {name}", file=sys.stderr, flush=True)
        rows.append(tune.as_row(tune.tuned(name, device=args.device)))
        _write(args.json, rows, finished=False)
    _write(args.json, rows, finished=True)
    columns = ("name", "faster", "setting", "ratio", "tried")
    print_table([(*columns, "refused"), *((*map(row.get, columns), len(row["refused"])) for row in rows)])
    return 0


def _write(target: Path | None, rows: list[dict[str, Any]], *, finished: bool) -> None:
    if target is not None:
        with redirect_stdout(io.StringIO()) as text:
            print_json({"environment": facts.environment(), "rows": rows, "left_out": {}, "finished": finished})
        write_file(target, text.getvalue().encode())
