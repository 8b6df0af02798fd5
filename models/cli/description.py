"""python -m models describe: parameters, cache bytes and layers of one model, from its configuration."""

import argparse

from models import describe, units
from models.cli.output import SOURCES, print_json, print_table
from models.describe import Description


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("source", help=SOURCES)
    parser.add_argument("--context", type=int, default=4096, metavar="TOKENS", help="tokens in the cache (4096)")
    parser.add_argument("--batch", type=int, default=1, help="sequences at once (1)")
    parser.add_argument(
        "--dtype", default=None, help="float32, bfloat16 or float16 (as stored; bfloat16 where unknown)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(args: argparse.Namespace) -> int:
    """Print the description; SourceError or SettingError says what is wrong."""
    found = describe.describe(args.source, context=args.context, batch=args.batch, dtype=args.dtype)
    if args.json:
        print_json(found)
    else:
        _print(found)
    return 0


def _print(found: Description) -> None:
    print(f"{found.source} ({found.origin}, {found.model_type})")
    print(f"{found.context:,} tokens, batch {found.batch}, {found.dtype}")
    print_table(
        [
            ("params_total", found.params_total, units.compact(found.params_total)),
            ("params_active", found.params_active, units.compact(found.params_active)),
            *((f"  {name}", count, "") for name, count in found.parameter_terms.items()),
            *([("stored_bytes", found.stored_bytes, units.size(found.stored_bytes))] if found.stored_bytes else []),
            ("weight_bytes", found.weight_bytes, units.size(found.weight_bytes)),
            ("kv_bytes", found.kv_bytes, units.size(found.kv_bytes)),
            ("state_bytes", found.state_bytes, units.size(found.state_bytes)),
            ("cache_bytes", found.cache_bytes, units.size(found.cache_bytes)),
            ("flops_per_token", found.flops_per_token, ""),
        ]
    )
    print("layers")
    print_table(
        [("  index", "mixer", "ffn"), *((f"  {layer.index}", layer.mixer, layer.ffn) for layer in found.layers)]
    )
    for note in found.notes:
        print(f"note: {note}")
