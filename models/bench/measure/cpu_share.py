"""Measure how much of the CPU time that this process asked for it got, and how much others took meanwhile.

Linux counts for every thread how long it ran and how long it was ready but waited for a core
(/proc/self/task/*/schedstat, Documentation/scheduler/sched-stats.rst). A spinning or sleeping thread does not wait, so
the share is near 0 on a quiet machine whatever the operators do. Where the system does not count, nothing is known.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from models.machine import facts

_TASKS = Path("/proc/self/task")
_TICK_NS = 10**9 // os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 10**7


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Counters in nanoseconds since the start of the process, or of the machine.

    ran, waited: of all threads of this process; busy: of all cores for all processes; stolen: what a hypervisor took of
    all cores.
    """

    ran: int
    waited: int
    busy: int
    stolen: int


@dataclass(frozen=True, slots=True)
class CpuShare:
    """What happened between two readings.

    waited: the share of the time asked for in which a thread was ready and had no core, with what a hypervisor took;
    others: the CPU time of other processes, as a share of what this process got.
    """

    waited: float
    others: float


def read() -> CpuTimes | None:
    """Read the counters; None where the system does not count."""
    try:
        spans = [path.read_text("ascii").split() for path in _TASKS.glob("*/schedstat")]
        first = Path("/proc/stat").read_text("ascii").split("\n", 1)[0].split()
        user, nice, system, _, _, irq, soft, stolen = (int(ticks) * _TICK_NS for ticks in first[1:9])
        ran, waited = sum(int(one[0]) for one in spans), sum(int(one[1]) for one in spans)
    except (OSError, ValueError, IndexError):
        return None
    return CpuTimes(ran, waited, user + nice + system + irq + soft, stolen) if ran else None


def between(before: CpuTimes | None, after: CpuTimes | None) -> CpuShare | None:
    """Return what happened between two readings; None where the system does not count or nothing ran.

    A thread that ended meanwhile took its counters along, so a difference is never taken as less than 0.

    >>> between(CpuTimes(0, 0, 0, 0), CpuTimes(ran=90, waited=10, busy=180, stolen=0))
    CpuShare(waited=0.1, others=1.0)
    >>> between(None, CpuTimes(90, 10, 180, 0)) is None
    True
    """
    if before is None or after is None:
        return None
    ran, waited = max(after.ran - before.ran, 0), max(after.waited - before.waited, 0)
    if ran == 0:
        return None
    stolen = max(after.stolen - before.stolen, 0) * facts.usable_cores() / (os.cpu_count() or 1)
    others = max(after.busy - before.busy - ran, 0)
    return CpuShare((waited + stolen) / (ran + waited + stolen), others / ran)
