"""python -m models list: the bundled models and the published ones of the catalogue."""

import argparse
from typing import Any

from models import accounting, catalogue, describe
from models.cli.output import print_json, print_table
from models.errors import SourceError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(args: argparse.Namespace) -> int:
    """Print every source that describe takes."""
    found = [*_bundled(), *(_published(entry) for entry in catalogue.entries())]
    if args.json:
        print_json(found)
        return 0
    header = ("id", "kind", "model type", "parameters", "active", "describe")
    print_table(
        [
            header,
            *(
                tuple(entry[k] for k in ("id", "kind", "model_type", "params_total", "params_active", "can"))
                for entry in found
            ),
        ]
    )
    return 0


def _bundled() -> list[dict[str, Any]]:
    return [_entry(name, "bundled", describe.resolve(name).config) for name in describe.bundled_names()]


def _published(entry: Any) -> dict[str, Any]:
    try:
        return _entry(entry["id"], "catalogue", catalogue.config_of(entry))
    except SourceError as error:
        counts = {
            "params_total": entry.get("params_total_computed"),
            "params_active": entry.get("params_active_computed"),
        }
        return {
            "id": entry["id"],
            "kind": "catalogue",
            "model_type": None,
            **counts,
            "describable": False,
            "can": f"no: {error}".replace(f"{entry['id']}: ", ""),
        }


def _entry(name: str, kind: str, config: Any) -> dict[str, Any]:
    shape = accounting.shape_of(config)
    counts = {"params_total": accounting.params_total(shape), "params_active": accounting.params_active(shape)}
    return {"id": name, "kind": kind, "model_type": shape.model_type, **counts, "describable": True, "can": "yes"}
