"""python -m models bench-kernels: how many times faster and smaller our operators are, measured here and now."""

import argparse
import io
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from models import units
from models.cli.output import print_json, print_table, write_file
from models.errors import SettingError
from models.machine import facts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("--device", default="cpu", help=f"one of {', '.join(facts.devices())} (cpu)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="fewest rounds of each row (5)")
    parser.add_argument("--quick", action="store_true", help="small shapes: shows that it works, not how fast")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these rows, by the name in the table")
    parser.add_argument("--skip", nargs="+", default=[], metavar="NAME", help="not these rows")
    parser.add_argument(
        "--json", default="", metavar="FILE", help='also write JSON to a file, after every row; "-" prints it instead'
    )


def main(args: argparse.Namespace) -> int:
    """Measure the rows; 0 when every pair gave equal values, 1 when some did not and have no ratio."""
    _check(args)
    from models.opbench import compare
    from models.opbench.pairs import CASES

    for option, names in (("only", args.only), ("skip", args.skip)):
        if unknown := [name for name in names if name not in CASES]:
            raise _bad(option, unknown[0], f"there is no row {unknown[0]!r}: choose among {', '.join(CASES)}")
    if absent := [name for name in args.only if not CASES[name].runs_on(args.device)]:
        raise _bad("only", absent[0], f"row {absent[0]!r} needs a CUDA device")
    rows: list[Any] = []
    left_out: dict[str, str] = {}
    machine = _machine(args)
    found = {"environment": machine, "rows": rows, "left_out": left_out, "finished": False}
    wanted = args.only or [name for name, case in CASES.items() if case.runs_on(args.device)]
    for name in (name for name in wanted if name not in args.skip):
        print(f"measuring {name}", file=sys.stderr, flush=True)
        try:
            rows.append(compare.compare(name, device=args.device, rounds=args.rounds, quick=args.quick))
        except SettingError as error:  # a row that this machine cannot measure
            if args.only:
                raise
            left_out[name] = str(error)
        _write(args.json, found)
    found["finished"] = True
    _write(args.json, found)
    if args.json == "-":
        print_json(found)
    else:
        _print(machine, rows, left_out)
    return 0 if all(row.equal for row in rows) else 1


def _write(target: str, found: dict[str, Any]) -> None:
    """Write the rows so far, so that what breaks off later costs none of them."""
    if target not in ("", "-"):
        with redirect_stdout(io.StringIO()) as text:
            print_json(found)
        write_file(Path(target), text.getvalue().encode())


def _check(args: argparse.Namespace) -> None:
    if args.rounds < 1:
        raise _bad("rounds", args.rounds, f"--rounds {args.rounds}: at least one round")
    known = facts.devices()
    if args.device not in known:
        raise _bad("device", args.device, f"device {args.device!r} is not on this machine: use {', '.join(known)}")
    target = Path(args.json)
    if args.json not in ("", "-") and (target.is_dir() or not target.parent.is_dir()):
        raise _bad("json", args.json, f"--json {args.json!r} is not a file in a folder that exists")


def _bad(name: str, value: object, message: str) -> SettingError:
    return SettingError("errors.setting_value", message, name=name, value=value)


def _machine(args: argparse.Namespace) -> dict[str, Any]:
    import torch

    load = facts.load_average()
    return {
        **facts.environment(),
        "device": args.device,
        "device_name": facts.device_name(args.device),
        "threads": torch.get_num_threads(),
        "load_average": load,
        "quick": args.quick,
    }


def _print(machine: dict[str, Any], rows: list[Any], left_out: dict[str, str]) -> None:
    versions = ", ".join(f"{name} {machine[name]}" for name in ("python", "torch", "transformers", "numba"))
    print(f"{machine['device_name']}, {machine['threads']} threads, load {machine['load_average']}; {versions}")
    what = ("name", "operation", "shape", "dtype")
    times = ("baseline ms", "ours ms", "times faster", "quartiles", "goal")
    sizes = ("baseline peak", "our peak", "times less", "goal")
    print_table([(*what, *times, *sizes, "rounds", "first call s"), *map(_columns, rows)])
    for row in rows:
        print(f"{row.name}: {row.baseline} against {row.ours}" + ("" if row.equal else f"; {_refusal(row)}"))
    for name, reason in left_out.items():
        print(f"{name}: left out, {reason}")
    if machine["quick"]:
        print("quick: the shapes are too small to say anything about speed")


def _columns(row: Any) -> tuple[object, ...]:
    quartiles = "" if row.ratio is None else f"{row.ratio_low:.2f} to {row.ratio_high:.2f}"
    peaks = ("" if size is None else units.size(size) for size in (row.baseline_peak_bytes, row.ours_peak_bytes))
    times = (row.baseline_ms, row.ours_ms, row.ratio if row.equal else "values differ")
    what = (row.name, row.operation, row.shape, row.dtype)
    return (*what, *times, quartiles, row.goal, *peaks, row.peak_ratio, row.memory_goal, row.rounds, row.first_call_s)


def _refusal(row: Any) -> str:
    return f"no ratio: values differ by {row.difference:.1e}, {row.tolerance:.0e} is allowed"
