"""python -m models bench: measure without a browser, with progress; the file it writes opens in the page."""

import argparse
import sys
import time
from pathlib import Path

from models.bench import environment, exchange
from models.bench.plan import PRESETS, Plan, make_plan, measure_rates, sources_of
from models.bench.rows import Measurement
from models.bench.runner import Progress, Runner
from models.bench.store import Store
from models.cli.output import byte_size, print_json, print_table
from models.errors import SettingError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument(
        "--sources", default="", metavar="A,B", help="bundled names, folders, hub or catalogue ids (all bundled)"
    )
    parser.add_argument(
        "--preset", choices=sorted(PRESETS), default="quick", help="contexts, steps and repetitions (quick)"
    )
    parser.add_argument(
        "--contexts", default="", metavar="N,N", help="context lengths in tokens, instead of the preset's"
    )
    parser.add_argument("--batch", type=int, default=1, help="sequences at once (1)")
    parser.add_argument("--device", default="cpu", help=f"one of {', '.join(environment.devices())} (cpu)")
    parser.add_argument("--dtype", default="float32", help="float32, bfloat16 or float16 (float32)")
    parser.add_argument("--decode", type=int, default=None, metavar="N", help="tokens to decode at depth")
    parser.add_argument("--rounds", type=int, default=None, metavar="N", help="prefills to time")
    parser.add_argument("--threads", type=int, default=None, help="CPU threads (all cores)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the token ids and random weights (0)")
    parser.add_argument("--timeout", type=float, default=None, metavar="S", help="seconds a cell may take")
    parser.add_argument("--title", default="", help="a name for the run")
    parser.add_argument("--out", type=Path, default=None, metavar="FILE.jsonl", help="also write the run to this file")
    parser.add_argument("--plan", action="store_true", help="print the plan and its predictions, measure nothing")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")


def main(args: argparse.Namespace) -> int:
    """Measure a plan; 0 when every cell was measured, 1 when some were not, 130 when it was interrupted."""
    store = Store()
    plan = _plan(args, store)
    if args.plan:
        _print_plan(plan, as_json=args.json)
        return 0
    if args.out is not None and not args.out.parent.is_dir():
        raise SettingError(
            "errors.setting_value",
            f"there is no folder {args.out.parent} for --out",
            name="out",
            value=str(args.out),
        )
    runner = Runner(store)
    run_id = runner.submit(plan, title=args.title or (args.out.stem if args.out else ""), timeout_s=args.timeout)
    try:
        _follow(runner, run_id)
    except KeyboardInterrupt:
        runner.cancel(run_id)
        runner.wait(run_id, timeout_s=30)
        return 130
    finally:
        runner.close()
        run = store.run(run_id)
        if args.out is not None and run is not None:
            args.out.write_bytes(exchange.export(run, "jsonl"))
    rows = run.rows if run else ()
    _print_rows(rows, as_json=args.json)
    print(f"run {run_id} is in {store.place}" + (f" and {args.out}" if args.out else ""), file=sys.stderr)
    return 0 if all(row.measured for row in rows) else 1


def _plan(args: argparse.Namespace, store: Store) -> Plan:
    preset = PRESETS[args.preset]
    earlier = [row for run in store.runs()[:8] for row in run.rows]
    return make_plan(
        sources_of([name.strip() for name in args.sources.split(",") if name.strip()]),
        _contexts(args.contexts) or preset["contexts"],
        batch=args.batch,
        device=args.device,
        dtype=args.dtype,
        decode_tokens=preset["decode_tokens"] if args.decode is None else args.decode,
        rounds=preset["rounds"] if args.rounds is None else args.rounds,
        threads=args.threads,
        seed=args.seed,
        rates=measure_rates(earlier),
    )


def _contexts(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise SettingError(
            "errors.setting_value",
            f"--contexts {text!r} is not a list of numbers like 256,1024",
            name="contexts",
            value=text,
        ) from None


def _follow(runner: Runner, run_id: str) -> None:
    live = sys.stderr.isatty()
    last = -1
    while (now := runner.progress(run_id)) is not None and now.live:
        if live:
            print(f"\r\x1b[K{_line(now)}", end="", file=sys.stderr, flush=True)
        elif now.done != last:
            print(_line(now), file=sys.stderr, flush=True)
        last = now.done
        time.sleep(0.2)
    if live:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _line(now: Progress) -> str:
    cell = f"{now.cell.cell_id} {now.phase}" if now.cell else ""
    left = "" if now.remaining_s is None else f", about {now.remaining_s:.0f} s left"
    return f"{now.done}/{now.total} cells{left}  {cell}"


def _print_plan(plan: Plan, *, as_json: bool) -> None:
    pairs = list(zip(plan.cells, plan.predictions, strict=True))
    if as_json:
        print_json([{"cell": cell, "prediction": prediction} for cell, prediction in pairs])
        return
    header = ("cell", "bytes", "cache", "prefill ms", "decode ms", "seconds", "fits")
    body = [
        (c.cell_id, byte_size(p.bytes_total), byte_size(p.bytes_cache), p.prefill_ms, p.decode_ms, p.seconds, p.fits)
        for c, p in pairs
    ]
    print_table([header, *body])
    print(f"{len(pairs)} cells, about {plan.seconds:.0f} s (predicted, not measured)")


def _print_rows(rows: tuple[Measurement, ...], *, as_json: bool) -> None:
    if as_json:
        print_json([row.to_row() for row in rows])
        return
    header = ("architecture", "context", "state", "cache", "formula", "peak", "prefill ms", "decode ms", "IQR %")
    print_table([header, *(_columns(row) for row in sorted(rows, key=lambda row: (row.architecture, row.context)))])


def _columns(row: Measurement) -> tuple[object, ...]:
    sizes = (
        byte_size(size) if size is not None else ""
        for size in (row.cache_bytes, row.cache_bytes_formula, row.peak_bytes)
    )
    noise = None if row.tpot_iqr_rel is None else row.tpot_iqr_rel * 100
    return (row.architecture, row.context, row.state, *sizes, row.ttft_ms_med, row.tpot_ms_med, noise)
