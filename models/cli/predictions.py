"""python -m models runs predictions: how far predictions were from what was measured, for each device."""

from typing import Any

from models.bench.plan.prediction_error import QUANTITIES, Deviation, DeviceErrors, of_store, summarise
from models.bench.plan.rates import measure_rates
from models.bench.run.runner import LEARNT_ROWS
from models.bench.store.store import Store
from models.cli.output import print_json, print_table

HEADER = ("device", "quantity", "cells", "predicted/measured", "middle error", "9 of 10 within", "worst", "worst cell",
          "learnt from other runs", "nothing learnt")  # fmt: skip


def show(store: Store, *, as_json: bool) -> None:
    """Print the errors of every device by quantity; of this machine's also those of runs predicted from the others."""
    judged = of_store(store.recent_rows(None), measure_rates(), newest=LEARNT_ROWS)
    lines = [line for one in judged for quantity in QUANTITIES if (line := _line(one, quantity))]
    if as_json:
        print_json(lines)
    elif lines:
        print_table([HEADER, *map(_columns, lines)])
    else:
        print("no cell was measured with a prediction of its own yet")


def _line(one: DeviceErrors, quantity: str) -> dict[str, Any] | None:
    told, held_out = summarise(one.pairs[quantity]), one.held_out.get(quantity)
    if told is None and held_out is None:
        return None
    learnt, bare = (summarise(found) for found in (held_out.learnt, held_out.bare)) if held_out else (None, None)
    return {
        "device": one.device,
        "here": one.here,
        "quantity": quantity,
        "cells": told and told.count,
        "ratio": told and told.ratio,
        "middle_error": told and told.middle,
        "nine_of_ten_within": told and told.nine_of_ten,
        "worst": told and _cell(told.worst),
        "learnt": learnt and {"middle_error": learnt.middle, "nine_of_ten_within": learnt.nine_of_ten},
        "nothing_learnt": bare and {"middle_error": bare.middle, "nine_of_ten_within": bare.nine_of_ten},
    }


def _cell(pair: Deviation) -> dict[str, Any]:
    return {"run": pair.row.run_id, "cell": pair.row.cell_id, "predicted": pair.predicted, "measured": pair.measured,
            "error": pair.error}  # fmt: skip


def _columns(line: dict[str, Any]) -> tuple[object, ...]:
    worst = line["worst"]
    return (
        *(line[name] for name in ("device", "quantity", "cells", "ratio")),
        *(_percent(line[name]) for name in ("middle_error", "nine_of_ten_within")),
        _percent(worst and worst["error"]),
        worst and worst["cell"],
        *(_percent(line[name] and line[name]["middle_error"]) for name in ("learnt", "nothing_learnt")),
    )


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"
