"""python -m models trace: run a model once over a text and print surprisal, parts, and how well each stands up."""

import argparse
import math
from typing import Any

from models import units
from models.cli.output import SOURCES, print_json, print_table, quiet_errors


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("source", help=SOURCES)
    parser.add_argument("--text", required=True, help="the text to read")
    parser.add_argument("--device", default="cpu", help="cpu or cuda:0 (cpu)")
    parser.add_argument("--dtype", default="float32", help="float32, bfloat16 or float16 (float32)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(args: argparse.Namespace) -> int:
    """Load, trace and print; return 1 when a part does not stand up to its check.

    A ContextscopeError says what is wrong with the source, the text or a setting.
    """
    from models import describe, registry

    checkpoint = registry.load(args.source, device=args.device, dtype=describe.dtype_name(args.dtype))
    with quiet_errors():  # compiled code that panics prints its stack before it raises
        encoded = registry.encode(checkpoint, args.text)
    found = summary(registry.trace_encoded(checkpoint, encoded))
    if args.json:
        print_json(found)
    else:
        _print(found)
    return 0 if found["passed"] else 1


def summary(trace: Any) -> dict[str, Any]:
    """Reduce a ModelTrace to what fits on a screen: no arrays, only their names, shapes and reconstruction errors."""
    from models.reconstruction import checks, limit_of

    checked = [checks(layer, dtype=trace.dtype) for layer in trace.layers]
    agrees = trace.cache_bytes == trace.cache_bytes_formula
    return {
        "passed": agrees and all(check.passed for layer in checked for check in layer.values()),
        "limit": limit_of(trace.dtype),
        "checkpoint": trace.checkpoint,
        "architecture": trace.architecture,
        "tokens": [
            {"index": token.index, "id": token.id, "label": token.label, "surprisal_bits": float(bits)}
            for token, bits in zip(trace.tokens, trace.surprisal.values, strict=True)
        ],
        "layers": [
            {
                "index": layer.index,
                "mixer": layer.mixer,
                "ffn": layer.ffn,
                "parts": {name: part.sizes for name, part in layer.parts.items()},
                "reconstruction_errors": {part: check.error for part, check in found.items()},
                "checks": {part: {"kind": check.kind, "passed": check.passed} for part, check in found.items()},
            }
            for layer, found in zip(trace.layers, checked, strict=True)
        ],
        "cache_bytes": trace.cache_bytes,
        "cache_bytes_formula": trace.cache_bytes_formula,
        "implementation": dict(trace.implementation),
        "device": trace.device,
        "dtype": trace.dtype,
        "seconds": trace.seconds,
    }


def _print(found: dict[str, Any]) -> None:
    read = f"{len(found['tokens'])} tokens, {found['seconds']:.3f} s on {found['device']}"
    print(f"{found['checkpoint']} ({found['architecture']}), {read}")
    tokens = [(token["index"], token["label"], _bits(token["surprisal_bits"])) for token in found["tokens"]]
    print_table([("token", "", "surprisal (bits)"), *tokens])
    for layer in found["layers"]:
        print(f"layer {layer['index']}: {layer['mixer']}, {layer['ffn']}")
        for name, sizes in layer["parts"].items():
            verdict = _verdict(layer, name, found["limit"])
            print(f"  {name} ({', '.join(f'{dim} {size}' for dim, size in sizes.items())}){verdict}")
    live, formula = units.size(found["cache_bytes"]), units.size(found["cache_bytes_formula"])
    differ = "" if found["cache_bytes"] == found["cache_bytes_formula"] else ": they differ"
    print(f"cache: {live} in the live object, {formula} by the formula{differ}")
    for function, code in found["implementation"].items():
        print(f"{function}: {code}")
    if not found["passed"]:
        print(f"some parts do NOT stand up to their check: the limit for {found['dtype']} is {found['limit']:.1e}")


PASSED = {
    "rebuilds": "rebuilds the output to",
    "recomputed": "equals a float64 computation to",
    "from_weights": "equals the model's weights to",
}
FAILED = {
    "rebuilds": "does NOT rebuild the output: error",
    "recomputed": "does NOT equal a float64 computation: error",
    "from_weights": "does NOT equal the model's weights: error",
}


def _verdict(layer: dict[str, Any], name: str, limit: float) -> str:
    """State how a part stands up, nothing for a part without a check."""
    if name not in layer["checks"]:
        return ""
    check, error = layer["checks"][name], layer["reconstruction_errors"][name]
    if check["passed"]:
        return f"  {PASSED[check['kind']]} {error:.1e}"
    return f"  {FAILED[check['kind']]} {error:.1e}, limit {limit:.1e}"


def _bits(value: float) -> str:
    return "" if math.isnan(value) else f"{value:16.3f}"
