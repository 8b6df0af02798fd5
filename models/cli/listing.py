"""python -m models list: the bundled models, those that the app offers to download, and the published catalogue."""

import argparse
from typing import Any

from models import describe, units
from models.cli.output import print_json, print_table
from models.counting import accounting
from models.errors import SourceError
from models.sources import catalogue, downloadable, hub
from models.sources.downloadable import Offer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--offered", action="store_true", help="only the models that the app offers to download")


def main(args: argparse.Namespace) -> int:
    """Print every source that describe takes, or what the app offers and whether it is on this machine."""
    if args.offered:
        return _print_offered(as_json=args.json)
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


def _print_offered(*, as_json: bool) -> int:
    found = [_offer(offer) for offer in downloadable.offers()]
    if as_json:
        print_json(found)
        return 0
    header = ("id", "architecture", "parameters", "active", "download", "memory", "licence", "tokenizer", "downloaded")
    rows = [
        (
            *(entry[name] for name in ("id", "architecture", "params_total", "params_active")),
            units.decimal_size(entry["download_bytes"]),
            units.size(entry["need_bytes"]),
            entry["licence"] or "not confirmed",
            f"{entry['tokenizer']}, {entry['vocabulary']:,}",
            "yes" if entry["downloaded"] else "no",
        )
        for entry in found
    ]
    print_table([header, *rows])
    return 0


def _offer(offer: Offer) -> dict[str, Any]:
    names = ("id", "architecture", "params_total", "params_active", "download_bytes", "need_bytes", "licence")
    known = {name: getattr(offer, name) for name in (*names, "tokenizer", "vocabulary", "inferred", "sources")}
    place = hub.folder_of(offer.id)
    return known | {"downloaded": place is not None, "folder": None if place is None else str(place)}


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
