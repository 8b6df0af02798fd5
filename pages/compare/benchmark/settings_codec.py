"""The choices of the benchmark page, and their encoding in the address."""

from collections.abc import Callable, Mapping
from typing import Any

from models.bench.plan.settings import ATTENTION, EXPERTS, KERNELS, LIMITS, PRESETS, VIEWS
from models.machine import facts
from models.records.cell import USUAL_DTYPE, kind_of
from models.sources import sizes

CONTEXTS = tuple(2**n for n in range(7, 18))
BATCHES = (1, 4, 8, 16, 32)
DTYPES = ("float32", "bfloat16", "float16")
FIRST = "quick"  # the plan that is ready when the page is opened
DECIDED = ("contexts", "batches", "decode_tokens", "rounds", "budget_s", "throughput")  # what a ready plan decides
SEVERAL = ("architectures", "contexts", "batches")
_NUMBERS = ("budget_s", "rounds", "decode_tokens", "seed")
_LONGEST = 400  # characters of an address that may name choices


def to_query(chosen: Mapping[str, Any]) -> str:
    """Write choices as one part of an address, "preset:long;seed:3"; what is as usual is left out.

    chosen: by the names of `defaults`; those that are missing are as usual.
    """
    preset = str(chosen.get("preset", FIRST))
    plain = defaults(preset)
    plain["dtype"] = defaults(preset, str(chosen.get("device", plain["device"])))["dtype"]
    parts = [] if preset == FIRST else [f"preset:{preset}"]
    for name, value in plain.items():
        mine = _plain(chosen.get(name, value))
        if name != "preset" and mine != value:
            parts.append(f"{name}:{','.join(map(str, mine)) if isinstance(mine, list) else mine}")
    return ";".join(parts)


def from_query(text: str) -> dict[str, Any]:
    """Parse choices from an address; unknown names and values are ignored."""
    named = dict(part.partition(":")[::2] for part in text[:_LONGEST].split(";"))
    found = {name: value for name, take in _READ.items() if name in named and (value := take(named[name])) is not None}
    return ({"preset": FIRST} | found) if found else {}


def defaults(preset: str, device: str = "") -> dict[str, Any]:
    """Return every choice as it is before anything is chosen, for a ready plan: on the GPU where there is one.

    device: instead of that one, which also decides the usual number type.
    """
    ready = PRESETS[preset]
    device = device or ready.get("device", next((one for one in facts.devices() if one != "cpu"), "cpu"))
    return {
        "preset": preset,
        "architectures": list(sizes.tier(sizes.TIERS[0]).models),
        "size": sizes.TIERS[0],
        "device": device,
        **{name: _plain(ready[name]) for name in DECIDED},
        "seed": LIMITS["seed"][0],
        "dtype": ready.get("dtype", USUAL_DTYPE[kind_of(device)]),
        "view": VIEWS[0],
        "kernels": KERNELS[0],
        "attention": ATTENTION[0],
        "experts": EXPERTS[0],
        "match": sizes.MATCHES[0],
    }


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _one(options: Callable[[], tuple[str, ...]]) -> Callable[[str], str | None]:
    return lambda text: text if text in options() else None


def _many(options: Callable[[], tuple[Any, ...]]) -> Callable[[str], list[Any] | None]:
    def take(text: str) -> list[Any] | None:
        asked = text.split(",")
        return [value for value in options() if str(value) in asked] or None

    return take


def _number(name: str) -> Callable[[str], int | None]:
    low, high = LIMITS[name]
    return lambda text: int(text) if text.isascii() and text.isdigit() and low <= int(text) <= high else None


_READ: Mapping[str, Callable[[str], Any]] = {
    "preset": _one(lambda: tuple(name for name, one in PRESETS.items() if one.get("device", "cpu") in facts.devices())),
    "architectures": _many(lambda: tuple(sizes.tier(sizes.TIERS[0]).models)),
    "size": _one(lambda: sizes.TIERS),
    "device": _one(facts.devices),
    "contexts": _many(lambda: CONTEXTS),
    "batches": _many(lambda: BATCHES),
    **{name: _number(name) for name in _NUMBERS},
    "throughput": {"True": True, "False": False}.get,
    "dtype": _one(lambda: DTYPES),
    "view": _one(lambda: VIEWS),
    "kernels": _one(lambda: KERNELS),
    "attention": _one(lambda: ATTENTION),
    "experts": _one(lambda: EXPERTS),
    "match": _one(lambda: sizes.MATCHES),
}
NAMES = tuple(_READ)
