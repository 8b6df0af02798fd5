"""python -m models runs: list, export, compare, import, delete the stored runs of the benchmark, judge predictions."""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from models.bench.judge import comparison
from models.bench.store import files as run_files
from models.bench.store.store import Store, Summary
from models.cli import predictions
from models.cli.bench_report import sentence
from models.cli.output import check_file, print_json, print_table, write_file
from models.errors import SettingError, SourceError
from models.records.run import Run

LAST = "last"
DATA_FORMATS = ("jsonl", "csv", "parquet")  # those for people are written by the page, in its languages


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    does = parser.add_subparsers(dest="does", metavar="what")
    listed = does.add_parser("list", help="list the runs, newest first")
    listed.add_argument("--json", action="store_true", help="print JSON")
    exported = does.add_parser("export", help="write a run to a file")
    exported.add_argument("run", metavar="RUN", help="the id of a run, its beginning, or last")
    exported.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help=f"ends in {', '.join(f'.{f}' for f in DATA_FORMATS)}"
    )
    compared = does.add_parser("compare", help="set two runs beside each other, cell by cell, with intervals")
    compared.add_argument("run", metavar="RUN", help="the id of a run, its beginning, or last")
    compared.add_argument("other", metavar="OTHER", help="the run that it is compared with")
    compared.add_argument("--json", action="store_true", help="print JSON")
    imported = does.add_parser("import", help="take over exported files, and those of other programs")
    imported.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="exported as JSONL, CSV or Parquet, or of llama-bench, llama-benchy, GuideLLM or optimum-benchmark",
    )
    judged = does.add_parser("predictions", help="set what was predicted against what was measured, for each device")
    judged.add_argument("--json", action="store_true", help="print JSON")
    deleted = does.add_parser("delete", help="delete runs and their rows for good")
    deleted.add_argument("runs", nargs="+", metavar="RUN", help="the whole id of a run")


def main(args: argparse.Namespace) -> int:
    """Do what was asked for; 1 when some of the files to import were none."""
    store = Store()
    if args.does in (None, "list"):
        _list(store, as_json=bool(args.does) and args.json)
    elif args.does == "export":
        _export(chosen(store, args.run), args.out)
    elif args.does == "compare":
        _compare(chosen(store, args.run), chosen(store, args.other), as_json=args.json)
    elif args.does == "predictions":
        predictions.show(store, as_json=args.json)
    elif args.does == "delete":
        for run_id in args.runs:
            store.delete(run_id)
            print(f"run {run_id} is deleted", file=sys.stderr)
    else:
        return _import(store, args.files)
    return 0


def chosen(store: Store, name: str) -> Run:
    """Return the run that an id, the beginning of one, or "last" names; SettingError when none or several do."""
    found = [one.run_id for one in store.summaries() if one.run_id.startswith(name) or (name == LAST and _own(one))]
    if name in found or (name == LAST and found):
        found = [name] if name in found else found[:1]
    run = store.run(found[0]) if len(found) == 1 else None
    if run is None:
        shown = ", ".join(found[:5]) if found else "none"
        message = f"{name!r} names {len(found)} runs ({shown}); python -m models runs list shows them all"
        raise SettingError("errors.setting_value", message, name="run", value=name[:80])
    return run


def file_format(out: Path) -> str | None:
    """Return the format that the end of a file's name says, None for any other."""
    fmt = out.suffix.lower().lstrip(".")
    return fmt if fmt in DATA_FORMATS else None


def _own(one: Summary) -> bool:
    return not one.recorded and not one.imported


def _list(store: Store, *, as_json: bool) -> None:
    found = store.summaries()
    if as_json:
        print_json([*found])
        return
    header = ("run", "began", "title", "processor", "measured", "cells", "state")
    print_table([header, *map(_columns, found)])


def _columns(one: Summary) -> tuple[object, ...]:
    kind = "recorded" if one.recorded else "imported" if one.imported else one.ended or "no end"
    began = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.created_ns / 1e9))
    return one.run_id, began, one.title, str(one.environment.get("host_cpu", "")), one.measured, one.cells, kind


def _export(run: Run, out: Path) -> None:
    fmt = file_format(out)
    if fmt is None:
        message = f"--out {out} must end in one of {', '.join(f'.{one}' for one in DATA_FORMATS)}"
        raise SettingError("errors.setting_value", message, name="out", value=str(out))
    check_file(out)
    write_file(out, run_files.export(run, fmt))
    print(f"{len(run.rows)} rows of run {run.run_id} are in {out}", file=sys.stderr)


def _compare(run: Run, other: Run, *, as_json: bool) -> None:
    found = comparison.compare(run, other)
    if as_json:
        print_json(
            {"pairs": [_pair(pair) for pair in found.pairs], "refused": [_refused(one) for one in found.refused]}
        )
        return
    for pair in found.pairs:
        print(f"{pair.a.architecture} at {pair.a.context:,} tokens, batch {pair.a.batch}")
        for phase, verdict in pair.verdicts.items():
            print(f"  {phase}: {sentence(run.run_id, other.run_id, verdict)}")
        for name, (mine, theirs) in pair.changed.items():
            print(f"  other {name}: {mine} and {theirs}")
    for one in found.refused:
        print(f"not compared: {_refused(one)['cell']} of {(other if one.second else run).run_id}, for its {one.reason}")


def _pair(pair: comparison.CellPair) -> dict[str, Any]:
    cell = {name: getattr(pair.a, name) for name in ("architecture", "context", "batch")}
    return cell | {"verdicts": pair.verdicts, "changed": {name: [*both] for name, both in pair.changed.items()}}


def _refused(one: comparison.Refusal) -> dict[str, Any]:
    return {"cell": one.cell.cell_id, "second": one.second, "reason": one.reason, **one.values}


def _import(store: Store, files: list[Path]) -> int:
    code = 0
    for path in files:
        try:
            with path.open("rb") as file:  # no more of it than can be taken over
                run_id = store.import_file(path.name, file.read(run_files.MOST_MB * 2**20 + 1))
        except OSError as error:
            print(f"{path} cannot be read: {error.strerror}", file=sys.stderr)
            code = 1
        except SourceError as error:
            if error.key.startswith("errors.store"):
                raise
            print(str(error), file=sys.stderr)
            code = 1
        else:
            print(f"{path} is run {run_id}", file=sys.stderr)
    return code
