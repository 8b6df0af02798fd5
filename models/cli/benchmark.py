"""python -m models bench: measure without a browser, with progress; the file it writes opens in the page."""

import argparse
import re
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from models.bench.plan.plan import Plan, Rates, make_plan, measure_rates, sources_of
from models.bench.plan.settings import ATTENTION, EXPERTS, KERNELS, PRESETS, VIEWS, check
from models.bench.run import remeasure
from models.bench.run.job import Progress
from models.bench.run.lease import Lease
from models.bench.run.runner import LEARNT_ROWS, Runner
from models.bench.store import files
from models.bench.store.store import Store
from models.cli import bench_report
from models.cli.ending import EndedError, listening
from models.cli.output import SOURCES, check_file, write_file
from models.cli.runs import chosen, file_format
from models.errors import ContextscopeError, SettingError, SourceError
from models.machine import facts
from models.records.run import Run
from models.sources import sizes

CANCEL_S = 40.0  # for a cancelled run to be stored, also by a database that is busy
EVERY_S = 20.0  # between lines where there is no terminal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    what = parser.add_argument_group("what is measured")
    what.add_argument(
        "--preset", choices=sorted(PRESETS), default="quick", help="contexts, batches, steps, rounds and time (quick)"
    )
    what.add_argument("--size", choices=sizes.TIERS, default=None, help="models of this size (bundled)")
    what.add_argument(
        "--match",
        choices=sizes.MATCHES,
        default=sizes.MATCHES[0],
        help="with --size: models equal in the parameters that one token uses, or in all that are stored (active)",
    )
    what.add_argument(
        "--sources",
        default="",
        metavar="A,B",
        help=f"each {SOURCES} (all bundled); with --size: architectures of that size",
    )
    what.add_argument("--contexts", default="", metavar="N,N", help="context lengths, all of them, whatever they take")
    what.add_argument("--batch", type=int, default=None, help="sequences at once (the preset's)")
    what.add_argument("--batches", default="", metavar="N,N", help="several numbers of sequences: 1,8,32")
    what.add_argument(
        "--places", default="", metavar="BxN,BxN", help="exactly these batches and context lengths: 1x512,1x8192,8x512"
    )
    what.add_argument("--throughput", action="store_true", default=None, help="also the largest batch that fits")
    what.add_argument(
        "--budget", type=float, default=None, metavar="S", help="seconds to keep to; 0: no limit (the preset's)"
    )
    what.add_argument(
        "--again",
        default="",
        metavar="RUN",
        help="go on with a stored run (its id, or last): the cells that broke off, failed or were never begun",
    )
    what.add_argument(
        "--cells", default="", metavar="ID,ID", help="with --again: these cells (as --json names them), measured or not"
    )
    how = parser.add_argument_group("how")
    how.add_argument("--device", default=None, help=f"one of {', '.join(facts.devices())} (cpu; --preset gpu: cuda:0)")
    how.add_argument("--dtype", default=None, help="float32, bfloat16 or float16 (float32; --preset gpu: bfloat16)")
    how.add_argument(
        "--view", choices=VIEWS, default=VIEWS[0], help="same tools for all, or transformers as it is shipped"
    )
    how.add_argument("--attention", choices=ATTENTION, default="auto", help="backend of attention (auto)")
    how.add_argument(
        "--kernels", choices=KERNELS, default="fast", help="compiled operators or loops that read like maths"
    )
    how.add_argument("--experts", choices=EXPERTS, default="auto", help="how a mixture of experts is computed (auto)")
    how.add_argument("--decode", type=int, default=None, metavar="N", help="tokens to decode at depth, each round")
    how.add_argument(
        "--rounds", type=int, default=None, metavar="N", help="times to measure each cell, in turn with others"
    )
    how.add_argument("--threads", type=int, default=None, help="CPU threads (all cores)")
    how.add_argument("--seed", type=int, default=0, help="seed of the token ids and random weights (0)")
    how.add_argument("--timeout", type=float, default=None, metavar="S", help="seconds a cell may take")
    out = parser.add_argument_group("what comes out")
    out.add_argument("--title", default="", help="a name for the run")
    out.add_argument("--out", type=Path, default=None, metavar="FILE.jsonl", help="write the run to this file as well")
    out.add_argument("--plan", action="store_true", help="print the plan and its predictions, measure nothing")
    out.add_argument("--json", action="store_true", help="print the rows (or the plan) as JSON")


def main(args: argparse.Namespace) -> int:
    """Measure a plan; 0 when every cell was measured, 1 when some were not, 128 and more when it was interrupted."""
    check_file(args.out)
    if args.timeout is not None:
        check("timeout_s", args.timeout)
    store = Store()
    former = _former(args, store)
    cells = _cells(args, former) if former else ()
    rates = measure_rates(store.recent_rows(LEARNT_ROWS))
    plan = remeasure.plan_remeasure(former, cells, rates=rates) if former else _plan(args, rates)
    if args.plan:
        bench_report.print_plan(plan, as_json=args.json)
        return 0
    for note in plan.notes:
        print(note.message, file=sys.stderr)
    runner = Runner(store, lease=Lease.of)
    if former:
        run_id = runner.remeasure(former.run_id, cells, timeout_s=args.timeout)
    else:
        run_id = runner.submit(plan, title=args.title or (args.out.stem if args.out else ""), timeout_s=args.timeout)
    _say(f"run {run_id}")
    code, kept = 0, _SavedRun(store, runner, run_id, args.out)
    try:
        with listening():
            _follow(runner, run_id, each_row=kept.try_to_save)
    except EndedError as asked:
        code = 128 + asked.number
        with suppress(EndedError), listening():
            _say("ending with what was measured so far; once more to end at once")
            runner.cancel(run_id)
            runner.wait(run_id, timeout_s=CANCEL_S)
    runner.close()
    run, unwritten = kept.run(), kept.trouble()
    bench_report.print_rows(run.current, as_json=args.json)
    if not args.json:
        bench_report.print_verdicts(run.current)
    bench_report.print_failures(run, file=sys.stderr)
    if lost := runner.unstored(run_id):
        print(f"{len(lost)} rows could not be stored in {store.place}", file=sys.stderr)
    if unwritten is not None:
        raise unwritten
    print(f"run {run_id} is in {store.place}" + (f" and {args.out}" if args.out else ""), file=sys.stderr)
    return code or (0 if not lost and bench_report.whole(run) else 1)


@dataclass(frozen=True, slots=True)
class _SavedRun:
    """A run under way, with the rows that its store has not taken, and its file."""

    store: Store
    runner: Runner
    run_id: str
    out: Path | None
    read: list[Run] = field(default_factory=list)  # as it was read last

    def run(self) -> Run:
        """Return what the run has so far, also while its store is out of reach."""
        waiting = self.runner.unstored(self.run_id)
        try:
            run = self.store.run(self.run_id)
        except SourceError:
            if not self.read:
                raise
            run = self.read[0]
        if run is None:
            where = f"run {self.run_id} is gone from {self.store.place}"
            raise SettingError("errors.setting_value", where, name="run", value=self.run_id)
        self.read[:] = [replace(run, rows=(*run.rows, *(row for row in waiting if row not in run.rows)))]
        return self.read[0]

    def save(self) -> None:
        """Write the file, so that it holds every finished cell whatever happens next."""
        if self.out is not None:
            write_file(self.out, files.export(self.run(), file_format(self.out) or "jsonl"))

    def trouble(self) -> ContextscopeError | None:
        """Save; return what kept it from that, so that it costs no result."""
        try:
            self.save()
        except ContextscopeError as error:
            return error
        return None

    def try_to_save(self) -> None:
        """Save while cells are measured; a full disk or a locked database is said, and ends nothing."""
        if (error := self.trouble()) is not None:
            _say(f"\n{error}")


def _former(args: argparse.Namespace, store: Store) -> Run | None:
    """Return the run to go on with, None without --again. What else it is asked for would be another measurement."""
    if not args.again:
        if args.cells:
            raise _bad("cells", args.cells, "--cells needs --again RUN: it names cells of a stored run")
        return None
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    may = {"again", "cells", "timeout", "out", "plan", "json"}
    usual = vars(parser.parse_args([]))
    other = sorted(f"--{name}" for name in usual if name not in may and getattr(args, name) != usual[name])
    if other:
        message = f"--again measures as its run was measured: leave out {', '.join(other)}"
        raise _bad("again", args.again, message)
    return chosen(store, args.again)


def _cells(args: argparse.Namespace, run: Run) -> tuple[str, ...]:
    named = tuple(name.strip() for name in args.cells.split(",") if name.strip())
    found = named or remeasure.unfinished_cells(run)
    if not found:
        message = f"nothing of run {run.run_id} is missing; --cells chooses cells to measure once more"
        raise _bad("again", args.again, message)
    return found


def _plan(args: argparse.Namespace, rates: Rates) -> Plan:
    preset = PRESETS[args.preset]
    names = [name.strip() for name in args.sources.split(",") if name.strip()]
    sources = _sources(args, names)
    contexts, places = _numbers("contexts", args.contexts), _places(args.places)
    if places and (contexts or args.batches or args.batch is not None):
        raise _bad("places", args.places, "give --places, or --contexts and --batches, not both")
    exact = bool(contexts or places)
    if args.batch is not None and args.batches:
        raise _bad("batches", args.batches, "give --batch or --batches, not both")
    budget_s = args.budget if args.budget is not None else None if exact else preset["budget_s"]
    return make_plan(
        sources,
        contexts or preset["contexts"],
        batches=_numbers("batches", args.batches) or (preset["batches"] if args.batch is None else (args.batch,)),
        device=_device(args.device, preset),
        dtype=args.dtype or preset.get("dtype", "float32"),
        decode_tokens=preset["decode_tokens"] if args.decode is None else args.decode,
        rounds=preset["rounds"] if args.rounds is None else args.rounds,
        threads=args.threads,
        seed=args.seed,
        view=args.view,
        size=args.size or sizes.size_of(sources),
        attention=args.attention,
        kernels=args.kernels,
        experts=args.experts,
        places=places,
        throughput=bool(args.throughput or (preset["throughput"] and not exact)),
        budget_s=budget_s or None,
        rates=rates,
    )


def _device(named: str | None, preset: Mapping[str, Any]) -> str:
    if named is None:
        return str(preset.get("device", "cpu"))
    return "cuda:0" if named == "cuda" else named


def _sources(args: argparse.Namespace, names: list[str]) -> dict[str, str]:
    if args.size is not None:
        return sizes.sources(args.size, names, match=args.match)
    if args.match != sizes.MATCHES[0]:
        raise _bad("match", args.match, f"--match {args.match} needs --size: it chooses among the models of a size")
    return sources_of(names)


def _places(text: str) -> tuple[tuple[int, int], ...]:
    found = [re.fullmatch(r"\s*(\d{1,9})x(\d{1,9})\s*", part) for part in text.split(",") if part.strip()]
    if None in found or (text and not found):
        raise _bad("places", text, f"--places {text!r} is not a list of batch x tokens like 1x512,8x4096")
    return tuple((int(one[1]), int(one[2])) for one in found if one)


def _numbers(name: str, text: str) -> tuple[int, ...]:
    parts = [part for part in text.split(",") if part.strip()]
    if (not parts and text) or not all(part.strip().isdecimal() for part in parts):
        raise _bad(name, text, f"--{name} {text!r} is not a list of numbers like 1,8,32")
    return tuple(map(int, parts))


def _bad(name: str, value: str, message: str) -> SettingError:
    return SettingError("errors.setting_value", message, name=name, value=value)


def _follow(runner: Runner, run_id: str, *, each_row: Callable[[], object]) -> None:
    """Show progress until the run has ended: one live line on a terminal, a line now and then elsewhere."""
    live = sys.stderr.isatty()
    done = 0
    each_row()
    said: tuple[object, ...] = ()
    when = 0.0
    while (now := runner.progress(run_id)) is not None and now.live:
        if live:
            _say(f"\r\x1b[K{bench_report.progress_line(now)}", end="")
        elif _where(now) != said or time.monotonic() - when > EVERY_S:
            said, when = _where(now), time.monotonic()
            _say(bench_report.progress_line(now, width=None))
        if now.done != done:
            done = now.done
            each_row()
        time.sleep(0.2)
    if live:
        _say("\r\x1b[K", end="")


def _say(text: str, *, end: str = "\n") -> None:
    """Tell the reader of the progress, who may have gone: that ends no measurement."""
    with suppress(OSError):
        print(text, end=end, file=sys.stderr, flush=True)


def _where(now: Progress) -> tuple[object, ...]:
    return (now.state, now.done, now.cell and (now.cell.context, now.cell.batch))
