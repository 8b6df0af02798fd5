"""Measure one short and one long cell, print the worker's process ids when the long one runs, and wait to be killed."""

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

from models.bench.plan.plan import Rates, make_plan
from models.bench.run.runner import Runner
from models.bench.store.store import Store

if __name__ == "__main__":
    runner = Runner(Store(Path(sys.argv[1]), recorded=None))
    plan = make_plan({"mamba": "mamba"}, [16, 8192], decode_tokens=4, rounds=2, threads=1, rates=Rates(1e10, 1e10))
    short, long = plan.cells
    plan = replace(plan, cells=(short, replace(long, decode_tokens=1024, rounds=50)))
    run_id = runner.submit(plan)
    while (now := runner.progress(run_id)).cell is None or now.cell.context != 8192 or not now.worker_pid:
        time.sleep(0.01)
    parent = Path(f"/proc/{now.worker_pid}/stat").read_text().rpartition(")")[2].split()[1]
    print(os.getpid(), parent, now.worker_pid, run_id, flush=True)
    time.sleep(600)
