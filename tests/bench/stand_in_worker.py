"""The real server over stand-in children that behave as the source says: ok, hang, slow, crash, oom, fits-to-20, ...

A word on the command line says how all of them behave.
"""

import os
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from models.bench.run import worker

FULL_FROM = 8  # "fits-small", "fits-at-first": the batch from which the memory runs out


def row(request, rounds):
    cell = request["cell"]
    keep = {k: v for k, v in cell.items() if k != "largest"}
    decode = [1.0 + 0.01 * i for i in range(cell["decode_tokens"])]
    return keep | {
        "run_id": request["run_id"],
        "cell_id": request["open"],
        "state": "ok",
        "rounds": len(rounds),
        "prefill_ms_samples": [float(cell["context"])] * len(rounds),
        "first_token_ms_samples": rounds,
        "decode_ms_samples": decode * len(rounds),
        "tpot_ms_med": decode[len(decode) // 2],
        "ttft_ms_med": 5.0,
        "cache_bytes": 8 * cell["context"],
        "impl_scan": "stand-in",
        "env_host_cpu": "none",
        **(request["ceilings"] or {}),
    }


def behave(request, listen, say):
    say(event="started", pid=os.getpid())
    if "ceilings_of" in request:
        say(event="ceilings", bandwidth_bytes_per_s=1e10, peak_flops_per_s=1e11)
        return
    what = sys.argv[1] if len(sys.argv) > 1 else request["cell"]["source"]
    if what == "server-crash":
        os.kill(os.getppid(), signal.SIGKILL)
    if what == "hang":
        say(event="phase", phase="prefill", done=0, of=3)
        time.sleep(600)
    if what == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "silent":
        return
    full = what.startswith("fits-to-") and request["cell"]["context"] > int(what.removeprefix("fits-to-"))
    if full or what == "oom" or (what == "fits-small" and request["cell"]["batch"] >= FULL_FROM):
        say(event="error", state="oom", key="errors.cell_oom", message="no memory", values={"requested": 123})
        return
    say(event="ready")
    take_turns(request, listen, say, what)


def take_turns(request, listen, say, what):
    rounds = []
    while (message := listen()) is not None:
        if "round" in message:
            if what == "slow":
                time.sleep(0.3)
            if what == "fits-at-first" and rounds and request["cell"]["batch"] >= FULL_FROM:
                say(event="error", state="oom", key="errors.cell_oom", message="no memory", values={"requested": 123})
                return
            if what == "crash-later" and rounds:
                os.kill(os.getpid(), signal.SIGKILL)
            if len(rounds) == {"hang-later": 3, "hang-at-once": 0}.get(what):
                say(event="phase", phase="stuck", done=0, of=3)
                time.sleep(600)
            rounds.append(time.monotonic())  # so that a test sees the order of the rounds
            say(event="round", seconds=1.0, steady=True, relative=0.5)
        if "finish" in message:
            say(event="row", row=row(request, rounds))
            return


def main():
    worker.die_with_parent()
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    worker.say(out, event="hello", pid=os.getpid())
    print("a library greets you", flush=True)
    print('["not", "an", "event"]', flush=True)
    worker.serve(out, behave)


if __name__ == "__main__":
    main()
