"""The shapes of the models that a run measured, as far as they are known here."""

from models import describe
from models.bench.run import remeasure
from models.counting.accounting import Shape
from models.errors import ContextscopeError
from models.records.run import Run


def shapes_of(run: Run) -> dict[str, Shape]:
    """Return the shape of each source of a run; a folder of another machine, and of any file, is left out."""
    found = {}
    for source in {row.source for row in run.rows if not run.imported or remeasure.is_distributed_source(row.source)}:
        try:
            found[source] = describe.resolve(source).shape
        except ContextscopeError:
            continue
    return found
