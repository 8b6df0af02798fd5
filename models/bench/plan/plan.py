"""Plan a run: choose its cells within a time budget, validate them, and predict bytes and time of each."""

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from models import describe, units
from models.bench.plan.budget import LEAST_ROUNDS, Choice, Place, choose
from models.bench.plan.prediction import FITS, Rates, has_room, predict, total_bytes
from models.bench.plan.rates import measure_rates
from models.bench.plan.settings import LIMITS, check, check_all, check_device, setting_error
from models.counting import accounting
from models.counting.accounting import Shape
from models.errors import SourceError
from models.machine import facts
from models.records.cell import Cell, Prediction, kind_of

__all__ = ["Cell", "Plan", "Prediction", "Rates", "make_plan", "measure_rates", "plan_of", "predict", "sources_of"]

RUN_S: Mapping[str, float] = {
    "cpu": 6.0,
    "cuda": 20.0,
}  # starting the server, importing torch, measuring the roofline peaks
PROCESS_BYTES: Mapping[str, int] = {"cpu": 150 * 2**20, "cuda": 600 * 2**20}  # a worker itself, beside its model
THROUGHPUT_SHARE = 0.4  # of the budget, for the cells at their largest batch
THROUGHPUT_CONTEXT = 1024
THROUGHPUT_FITS = 0.8  # of the free memory
LEAST_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Note:
    """A note on a plan: a key of assets/words/plan.yaml, its values, and the sentence in English."""

    key: str
    message: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """The cells of a run in the order they are measured, each with its prediction, and what the budget left out."""

    cells: tuple[Cell, ...]
    predictions: tuple[Prediction, ...]
    dropped: tuple[Cell, ...] = ()
    budget_s: float | None = None
    free_bytes: int | None = None
    notes: tuple[Note, ...] = ()

    @property
    def seconds(self) -> float:
        """Return the predicted time of the cells that fit."""
        return sum(p.seconds for p in self.predictions if p.fits)

    @property
    def known(self) -> bool:
        """Return whether the times are based on measurements of the device."""
        return all(p.known for p in self.predictions)

    def refreshed(self) -> "Plan":
        """Return the plan with what fits into the memory that is free now; one that knows of none stays as it is."""
        free_bytes = facts.free_bytes(self.cells[0].device) if self.free_bytes is not None else None
        if free_bytes is None:
            return self
        found = tuple(
            replace(p, fits=not p.positions_needed and has_room(p.bytes_held, free_bytes)) for p in self.predictions
        )
        return replace(self, predictions=found, free_bytes=free_bytes)

    def groups(self) -> list[list[int]]:
        """Return the indexes of cells to measure in interleaved rounds: same context, batch and size.

        Cells whose predicted bytes do not fit the free memory together stand alone, as do those that do not fit at all.
        """
        found: dict[tuple[object, ...], list[int]] = {}
        for index, cell in enumerate(self.cells):
            alone = index if not self.predictions[index].fits else None
            key = (cell.context, cell.batch, cell.size, cell.device, cell.largest, alone)
            found.setdefault(key, []).append(index)
        return [part for group in found.values() for part in ([group] if self._fit(group) else [[i] for i in group])]

    def to_json(self) -> list[dict[str, Any]]:
        """Write the cells as JSON values."""
        return [dataclasses.asdict(cell) for cell in self.cells]

    def _fit(self, group: Sequence[int]) -> bool:
        if self.free_bytes is None or len(group) == 1:
            return True
        workers = len(group) * PROCESS_BYTES[kind_of(self.cells[group[0]].device)]
        return total_bytes(self.predictions[i] for i in group) + workers < FITS * self.free_bytes


def sources_of(names: Iterable[str] = ()) -> dict[str, str]:
    """Map architecture to source for the names given, or for every bundled model.

    Raises SourceError for a name that leads nowhere, SettingError when two names are one architecture: their rows
    would be drawn as one line.
    """
    from models import registry  # imports torch

    found: dict[str, str] = {}
    for name in names or registry.bundled():
        kind = _shape(name).model_type
        architecture = next(adapter.name for adapter in registry.ADAPTERS if kind in adapter.model_types)
        if architecture in found:
            raise setting_error(
                "sources",
                name,
                f"{found[architecture]!r} and {name!r} are both {architecture}: measure them in two runs",
            )
        found[architecture] = name
    if not found:
        raise SourceError("errors.source_not_found", "no bundled model is present; name a source", source="")
    return found


def make_plan(
    sources: Mapping[str, str],
    contexts: Sequence[int],
    *,
    batch: int = 1,
    batches: Sequence[int] = (),
    device: str = "cpu",
    dtype: str = "float32",
    decode_tokens: int = 32,
    rounds: int = 3,
    threads: int | None = None,
    seed: int = 0,
    view: str = "architecture",
    size: str = "bundled",
    attention: str = "auto",
    kernels: str = "fast",
    experts: str = "auto",
    throughput: bool = False,
    budget_s: float | None = None,
    rates: Rates | None = None,
    places: Collection[Place] = (),
) -> Plan:
    """Plan every source (architecture -> bundled name, folder, hub, catalogue or ladder id) at every context and batch.

    places: exactly these pairs of batch and context, instead of what time allows of all pairs of the two lists.
    A budget leaves out contexts and batches and lowers rounds, never below three, until the predicted time fits; what
    is left out is in dropped and said in notes. throughput: also one cell per architecture at the largest batch that
    fits memory and time. Batches and contexts rise; within each pair the architectures run in turn, forwards and then
    backwards. Raises SettingError for a value out of range.
    """
    every = tuple(dict.fromkeys(place[0] for place in places)) or tuple(batches) or (batch,)
    contexts = tuple(dict.fromkeys(place[1] for place in places)) or contexts
    template = Cell(
        "",
        "",
        1,
        device=device,
        dtype=describe.dtype_name(dtype),
        decode_tokens=decode_tokens,
        rounds=rounds,
        threads=facts.usable_cores() if threads is None else threads,
        seed=seed,
        view=view,
        size=size,
        attention=attention,
        kernels=kernels,
        experts=experts,
    )
    wanted = set(places) or {*product(every, contexts)}
    check_all(template, contexts, every, cells=len(sources) * (len(wanted) + throughput))
    if budget_s is not None:
        check("budget_s", budget_s)
    maker = _Maker(sources, template, rates or measure_rates(), facts.free_bytes(device))
    return maker.plan(contexts, every, throughput=throughput, budget_s=budget_s, places=places)


def plan_of(cells: Sequence[Cell], *, rates: Rates) -> Plan:
    """Plan exactly these cells, all of one device. Raises SettingError for a device that is not on this machine."""
    check_device(cells[0].device)
    free_bytes = facts.free_bytes(cells[0].device)
    found = tuple(predict(cell, _shape(cell.source), rates=rates, free_bytes=free_bytes) for cell in cells)
    return Plan(tuple(cells), found, free_bytes=free_bytes)


class _Maker:
    """Turn places into cells with predictions; holds what all cells of a plan share."""

    def __init__(self, sources: Mapping[str, str], template: Cell, rates: Rates, free_bytes: int | None) -> None:
        self.sources, self.template, self.rates, self.free_bytes = sources, template, rates, free_bytes
        self.shapes = {source: _shape(source) for source in sources.values()}

    def plan(
        self,
        contexts: Sequence[int],
        batches: Sequence[int],
        *,
        throughput: bool,
        budget_s: float | None,
        places: Collection[Place] = (),
    ) -> Plan:
        left = None if budget_s is None else max(budget_s - RUN_S[kind_of(self.template.device)], 0.0)
        share = None if left is None or not throughput else left * THROUGHPUT_SHARE
        rest = left if left is None or share is None else left - share
        choice = Choice(tuple(set(places)), self.template.rounds)
        if not places:
            choice = choose(contexts, batches, rounds=self.template.rounds, seconds=self.seconds, budget_s=rest)
        cells = self._cells(choice.places, choice.rounds)
        wanted = self._cells(places or product(set(batches), set(contexts)), choice.rounds)
        dropped = tuple(cell for cell in wanted if (cell.batch, cell.context) not in choice.places)
        if throughput:
            depth = max((c for c in contexts if c <= THROUGHPUT_CONTEXT), default=min(contexts))
            cells += tuple(self._largest(name, depth, share) for name in self.sources)
        made = Plan(cells, tuple(map(self.predict, cells)), dropped, budget_s, self.free_bytes)
        notes = [*_notes(made, wanted_rounds=self.template.rounds, rounds=choice.rounds), *self._crossings()]
        return replace(made, notes=tuple(notes))

    def _crossings(self) -> Iterable[Note]:
        """Return notes on the context from which the cache of one sequence is larger than the weights."""
        for name, source in self.sources.items():
            shape, dtype = self.shapes[source], self.template.dtype
            token = accounting.kv_bytes(shape, context=1, batch=1, dtype=dtype)
            if not token or any(layer.window is not None for layer in shape.layers):
                continue
            crossing = -(-accounting.weight_bytes(shape, dtype=dtype) // token)
            values = {"architecture": name, "tokens": units.count(crossing)}
            message = f"{name}: from {crossing:,} tokens on, keys and values take more bytes than the weights"
            yield Note("plan.crossing", message, values)

    def predict(self, cell: Cell) -> Prediction:
        return predict(cell, self.shapes[cell.source], rates=self.rates, free_bytes=self.free_bytes)

    def seconds(self, place: Place, rounds: int) -> float:
        found = map(self.predict, self._cells([place], rounds))
        return sum(prediction.seconds for prediction in found if prediction.fits)

    def _cells(self, places: Iterable[Place], rounds: int) -> tuple[Cell, ...]:
        return tuple(
            replace(self._cell(name), context=context, batch=batch, rounds=rounds)
            for turn, (batch, context) in enumerate(sorted(places))
            for name in list(self.sources)[:: -1 if turn % 2 else 1]
        )

    def _cell(self, name: str) -> Cell:
        source = self.sources[name]
        experts = self.template.experts if self.shapes[source].n_experts else "auto"
        return replace(self.template, architecture=name, source=source, experts=experts)

    def _largest(self, name: str, context: int, share_s: float | None) -> Cell:
        """Return the cell of the largest power of two of sequences that memory and its share of the time allow."""
        rounds = min(LEAST_ROUNDS, self.template.rounds)
        cell = replace(self._cell(name), context=context, rounds=rounds, largest=True, batch_limit="cap")
        room = None if self.free_bytes is None else THROUGHPUT_FITS * self.free_bytes
        time_s = None if share_s is None else share_s / len(self.sources)
        while True:
            larger = replace(cell, batch=cell.batch * 2)
            if larger.batch > LIMITS["batch"][1]:
                return cell
            needs = self.predict(larger)
            if room is not None and needs.bytes_held > room:
                return replace(cell, batch_limit="memory")
            if time_s is not None and needs.seconds > time_s:
                return replace(cell, batch_limit="time")
            cell = larger


def _notes(plan: Plan, *, wanted_rounds: int, rounds: int) -> Iterable[Note]:
    """Return notes on the cells beyond the budget and on the basis of the predictions."""
    for batch in sorted({cell.batch for cell in plan.dropped}):
        contexts = sorted({cell.context for cell in plan.dropped if cell.batch == batch})
        shown = ", ".join(units.count(context) for context in contexts)
        message = f"left out for time: {shown} tokens at batch {batch}"
        yield Note("plan.dropped", message, {"contexts": shown, "batch": batch})
    if rounds < wanted_rounds:
        message = f"{rounds} rounds instead of {wanted_rounds}, for time"
        yield Note("plan.fewer_rounds", message, {"rounds": rounds, "wanted": wanted_rounds})
    if plan.budget_s is not None and plan.seconds > plan.budget_s:
        values = {"seconds": round(plan.seconds), "budget": round(plan.budget_s)}
        message = f"even the least takes about {values['seconds']} s, more than the {values['budget']} s allowed"
        yield Note("plan.over_budget", message, values)
    if not plan.known:
        yield Note("plan.unknown_device", "nothing was measured on this device yet: the times are careful guesses", {})


def _shape(source: str) -> Shape:
    return describe.resolve(source).shape
