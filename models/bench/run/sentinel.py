"""Find the best reading of the sentinel that this machine has shown, against which new ones are held."""

from collections.abc import Iterable

from models.machine import facts
from models.records.measurement import PROTOCOL_VERSION, Measurement


def best_known(rows: Iterable[Measurement], device: str) -> float | None:
    """Return the least milliseconds that the sentinel took on a device of this machine; None where no row says.

    Rows of another processor, device, torch or protocol have done other work and do not count.
    """
    here = facts.environment()
    alike = (
        row.sentinel_best_ms
        for row in rows
        if row.device == device
        and row.protocol_version == PROTOCOL_VERSION
        and all(row.environment.get(name) == here.get(name) for name in ("host_cpu", "torch"))
        and (device == "cpu" or row.environment.get("device_name") == facts.device_name(device))
    )
    return min((best for best in alike if best), default=None)
