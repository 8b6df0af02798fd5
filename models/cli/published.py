"""python -m models check-published: count published tables again, and fail when one differs without a known reason."""

import argparse
from typing import Any

from models import published, units
from models.cli.output import print_json, print_table
from models.published import PublishedCheck, PublishedTable

DIFFERS = 1
NOTES = {
    "kv_heads": "the table counts 16 KV heads, as in the first files on the hub; the architecture has 8",
    "look_up": "the text's formula counts the look-up of the embedding as a product; the paper's own table does not",
    "cut": "the table drops the decimals of this value instead of rounding",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(args: argparse.Namespace) -> int:
    """Print every check; 1 when a value differs without a known reason."""
    tables = published.recount()
    if args.json:
        print_json([_entry(table, check) for table in tables for check in table.checks])
    else:
        _print(tables)
    return DIFFERS if any(table.count("differs") for table in tables) else 0


def _print(tables: tuple[PublishedTable, ...]) -> None:
    for table in tables:
        print(f"{table.name}, {table.place}: {table.url}")
        print_table([("row", "quantity", "printed", "recounted", "exact", "result"), *map(_line, table.checks)])
        print()
    found = [(state, sum(table.count(state) for table in tables)) for state in published.STATES]
    print(", ".join(f"{count} {state}" for state, count in found))
    for note, why in NOTES.items():
        if published.find(tables, note):
            print(f"note: {note}: {why}")


def _line(check: PublishedCheck) -> tuple[str, ...]:
    unit = f" {check.unit}" if check.unit else ""
    result = f"explained: {check.note}" if check.state == "explained" else check.state
    return (check.row, check.quantity, check.printed + unit, check.computed + unit, units.count(check.exact), result)


def _entry(table: PublishedTable, check: PublishedCheck) -> dict[str, Any]:
    names = ("row", "quantity", "printed", "formula", "unit", "exact", "computed", "state", "note", "otherwise")
    where = {"source": table.name, "place": table.place, "url": table.url}
    return where | {name: getattr(check, name) for name in names}
