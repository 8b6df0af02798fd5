"""Remeasure a stored run: the plan of chosen cells, and the command that repeats the whole run."""

import dataclasses
import shlex
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from models import describe
from models.bench.plan.plan import Plan, Rates, plan_of
from models.bench.plan.settings import LIMITS, REMEASURE_S, check, check_all, setting_error
from models.errors import SettingError
from models.machine import facts
from models.records.cell import Cell
from models.records.run import Run
from models.sources import catalogue, sizes

COMMAND = "python -m models bench"
REPEATABLE = (
    "cancelled",
    "failed",
    "killed",
    "oom",
    "predicted_oom_skipped",
    "timeout",
    "unstable",
)  # may end otherwise next time
_FIELDS = {item.name: item for item in dataclasses.fields(Cell)}
# The options of the command that say what all cells of a run share, in the order they are written.
_OPTIONS = ("device", "dtype", "view", "attention", "kernels", "experts", "decode", "rounds", "threads", "seed")
_COLUMNS: Mapping[str, str] = {"decode": "decode_tokens"}  # where the option has another name than the cell's field


def is_local(run: Run) -> bool:
    """Return whether a run was measured on this machine, so that its cells may be remeasured in the same run."""
    here = facts.environment()
    alike = all(run.environment.get(name) == here[name] for name in ("host_cpu", "cores"))
    return alike and not run.recorded and not run.imported


def is_distributed_source(source: str) -> bool:
    """Return whether a source is on the ladder, in the catalogue or bundled, and no path of an imported file."""
    known = source.startswith(sizes.PREFIX) or catalogue.find(source) is not None
    return known or source in describe.bundled_names()


def cells_of(run: Run) -> tuple[Cell, ...]:
    """Return the planned cells of a run; one that this version cannot read is left out."""
    found = []
    for planned in run.cells:
        try:
            cell = Cell(**{name: planned[name] for name in _FIELDS if name in planned})
        except TypeError:
            continue
        if all(type(getattr(cell, name)) is item.type for name, item in _FIELDS.items()):
            found.append(cell)
    return tuple(found)


def unfinished_cells(run: Run) -> tuple[str, ...]:
    """Return the planned cells of a run without times that may get them: those never begun among them."""
    states = {row.cell_id: "timed" if row.timed else row.state for row in run.current}
    names = (cell.cell_id for cell in cells_of(run))
    return tuple(name for name in names if states.get(name, "cancelled") in REPEATABLE)


def plan_remeasure(run: Run, cell_ids: Collection[str], *, rates: Rates) -> Plan:
    """Plan cells of a run once more, on as many threads where it was measured here, else on all cores.

    Every cell is held to the limits of a plan, and all together to the longest time of one; cells of a run that was not
    measured here to REMEASURE_S. Raises SettingError for a cell that the run does not have, a value out of range, too
    long a time, a device or a source that is not here.
    """
    chosen = list({cell.cell_id: cell for cell in cells_of(run) if cell.cell_id in cell_ids}.values())
    missing = sorted(set(cell_ids) - {cell.cell_id for cell in chosen})
    if missing or not chosen:
        named = ", ".join(missing)[:200] or "no cell"
        raise SettingError("errors.setting_value", f"{named} is no cell of this run", name="cell", value=named)
    if not is_local(run):
        chosen = [dataclasses.replace(cell, threads=facts.usable_cores()) for cell in chosen]
    check("cells", len(chosen))
    for cell in chosen:
        _check(cell, device=chosen[0].device)
        if run.imported and not is_distributed_source(cell.source):
            raise SettingError(
                "errors.source_elsewhere",
                f"{cell.source!r} is a model of the machine that measured this run",
                source=cell.source,
            )
    budget_s = float(LIMITS["budget_s"][1] if is_local(run) else REMEASURE_S)
    plan = dataclasses.replace(plan_of(chosen, rates=rates), budget_s=budget_s)
    if plan.seconds > budget_s:
        message = f"these cells take about {plan.seconds:.0f} s, more than the {budget_s:.0f} s allowed: choose fewer"
        values = {"seconds": f"{plan.seconds:,.0f}", "budget": f"{budget_s:,.0f}"}
        raise SettingError("errors.again_too_long", message, **values)
    return plan


def _check(cell: Cell, *, device: str) -> None:
    """Raise SettingError for a cell that no plan would make."""
    if cell.device != device:
        raise setting_error(
            "device", cell.device, f"{cell.device!r} and {device!r} are two devices: measure one after the other"
        )
    check_all(cell, [cell.context], [cell.batch], cells=1)
    describe.dtype_name(cell.dtype)
    for name, value, choices in (
        ("architecture", cell.architecture, tuple(sizes.tier(sizes.TIERS[0]).models)),
        ("size", cell.size, (*sizes.TIERS, sizes.CUSTOM, sizes.BLOCK)),
        ("batch_limit", cell.batch_limit, ("", "memory", "time", "cap")),
    ):
        if value not in choices:
            raise setting_error(name, value[:60], f"{name} is {value[:60]!r}: choose one of {', '.join(choices)}")


def command(run: Run) -> str | None:
    """Write the command that measures the cells of a run anew; None for a run without cells that say how.

    None as well for one with two models of an architecture, which no single command measures.
    A largest batch is searched for again, since it depends on the machine. Whatever a file says is quoted for a shell.
    """
    cells = cells_of(run)
    if not cells:
        return None
    usual = [cell for cell in cells if not cell.largest] or list(cells)
    named = {cell.architecture: cell.source for cell in cells}
    if any(named[cell.architecture] != cell.source for cell in cells):
        return None
    words = [*_models(named), *_places(usual)]
    for option in _OPTIONS:
        values = [getattr(cell, _COLUMNS.get(option, option)) for cell in usual]
        unusual = [value for value in values if value != _FIELDS[_COLUMNS.get(option, option)].default]
        words += [f"--{option}", str((unusual or values)[0])]
    words += ["--throughput"] if any(cell.largest for cell in cells) else []
    return " ".join([COMMAND, *map(shlex.quote, words)])


def _models(named: Mapping[str, str]) -> list[str]:
    size = sizes.size_of(named)
    if size == sizes.CUSTOM:
        return ["--sources", ",".join(named.values())]
    match = sizes.match_of(named)
    return ["--size", size, *(["--match", match] if match != sizes.MATCHES[0] else []), "--sources", ",".join(named)]


def _places(cells: Sequence[Cell]) -> list[str]:
    """Name contexts and batches where every pair of them was planned, else pair by pair."""
    places = sorted({(cell.batch, cell.context) for cell in cells})
    batches, contexts = (sorted({place[i] for place in places}) for i in range(2))
    if len(places) == len(batches) * len(contexts):
        return ["--contexts", _listed(contexts), "--batches", _listed(batches)]
    return ["--places", _listed([f"{batch}x{context}" for batch, context in places])]


def _listed(values: Sequence[Any]) -> str:
    return ",".join(map(str, values))
