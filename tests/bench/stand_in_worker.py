"""A worker that speaks the protocol and behaves as the source says: ok, hang, crash, oom, noise, slow, silent."""

import json
import os
import signal
import subprocess
import sys
import time


def say(**event):
    print(json.dumps(event), flush=True)


def row(request):
    cell = request["cell"]
    keep = {k: v for k, v in cell.items() if k not in ("rounds", "largest")}
    decode = [1.0 + 0.01 * i for i in range(cell["decode_tokens"])]
    return keep | {
        "run_id": request["run_id"],
        "cell_id": request["cell_id"],
        "state": "ok",
        "prefill_ms_samples": [float(cell["context"])] * 3,
        "decode_ms_samples": decode,
        "tpot_ms_med": decode[len(decode) // 2],
        "ttft_ms_med": 5.0,
        "cache_bytes": 8 * cell["context"],
        "impl_scan": "stand-in",
        "env_host_cpu": "none",
    }


def behave(request):
    """Answer one request in a child of its own, as the real worker does."""
    what = request["cell"]["source"]
    say(event="started", pid=os.getpid())
    if what == "noise":
        print("a library greets you")
        print('["not", "an", "event"]', flush=True)
    if what in ("hang", "slow"):
        say(event="phase", phase="prefill", done=0, of=3)
        time.sleep(600 if what == "hang" else 0.3)
    if what == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "oom":
        say(event="error", state="oom", key="errors.cell_oom", message="no memory", values={"requested": 123})
    elif what == "silent":
        return
    else:
        say(event="row", row=row(request))


def main():
    if len(sys.argv) > 1:
        behave(json.loads(sys.argv[1]))
        return
    say(event="ready", pid=os.getpid())
    for line in sys.stdin:
        request = json.loads(line)
        if "cell" not in request:
            continue
        if request["cell"]["source"] == "server-crash":
            os.kill(os.getpid(), signal.SIGKILL)
        cell = request["cell"]
        request["cell_id"] = (
            f"{cell['architecture']}-{cell['context']}-b{cell['batch']}-{cell['dtype']}-{cell['device']}"
        )
        code = subprocess.run([sys.executable, __file__, json.dumps(request)], check=False).returncode
        say(event="exit", signal=-code if code < 0 else None)


if __name__ == "__main__":
    main()
