"""Hold the modules to one order: no import runs in a circle, also inside functions, and none runs up a layer."""

import ast
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import pytest

from pages.shared import site

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("app", "pages", "viz", "models", "seqops")  # from the top
FOLDERS = {"app": ROOT, "pages": ROOT, "viz": ROOT, "models": ROOT, "seqops": ROOT / "kernels"}
# The rooms of models from the ground up: one may import those of the lines above its own, and none of its own line.
MODELS = (
    ("machine", "switches"),
    ("records", "errors", "limits", "looks", "operators", "scores", "units"),
    ("alignment", "counting", "panics", "reconstruction", "simulation"),
    ("sources",),
    ("describe", "published", "tracing"),
    ("architectures",),
    ("registry",),
    ("bench", "generation", "influence", "training", "ablation"),
    ("opbench", "recall"),
    ("encoder_decoder",),
    ("cli",),
    ("__main__",),
)
# The same for the benchmark, whose records are models.records: what judges stands lowest, since plans and reports ask
# it. The store lies beside measuring: neither knows the other.
BENCH = (("judge",), ("plan", "report"), ("measure", "store"), ("run",), ("record",))

FOLDERS_OF_ROOMS = (*LAYERS[1:], "models.bench", "pages.shared", "pages.compare", "pages.compare.benchmark",
                    "pages.compare.recall", "pages.compare.side_by_side", "pages.learn")  # fmt: skip

Graph = Mapping[str, frozenset[str]]
Order = Sequence[Sequence[str]]


def sources() -> dict[str, Path]:
    """Return the file of every module of ours, by its dotted name."""
    found = {"app": ROOT / "app.py"}
    for layer in LAYERS[1:]:
        base = FOLDERS[layer]
        for path in sorted((base / layer).rglob("*.py")):
            parts = path.relative_to(base).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(text: str, modules: Iterable[str], *, name: str = "", package: bool = False) -> frozenset[str]:
    """Return which of these modules a text imports, wherever in it; of a package's name, the module that is meant."""
    known, found = set(modules), set()
    for node in ast.walk(ast.parse(text)):
        wanted: list[tuple[str, ...]] = []
        if isinstance(node, ast.Import):
            wanted = [(alias.name,) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                here = name.split(".")[: len(name.split(".")) - node.level + package]
                base = ".".join([*here, *filter(None, [base])])
            wanted = [(f"{base}.{alias.name}", base) for alias in node.names]
        found |= {next(one for one in names if one in known) for names in wanted if known & set(names)}
    return frozenset(found - {name})


def graph() -> dict[str, frozenset[str]]:
    """Read who imports whom."""
    every = sources()
    return {
        name: imported(path.read_text("utf-8"), every, name=name, package=path.stem == "__init__")
        for name, path in every.items()
    }


def circles(edges: Graph) -> list[list[str]]:
    """Return the sets of nodes that reach one another, each sorted (Tarjan 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(edges.get(node, ())):
            if other not in index:
                visit(other)
            if other in stack:
                low[node] = min(low[node], low[other])
        if low[node] == index[node]:
            at = stack.index(node)
            part, stack[at:] = stack[at:], []
            if len(part) > 1:
                found.append(sorted(part))

    for node in sorted(edges):
        if node not in index:
            visit(node)
    return found


def merged(edges: Graph, room_of: Callable[[str], str]) -> dict[str, frozenset[str]]:
    """Return the arrows between rooms."""
    rooms: dict[str, set[str]] = {}
    for node, others in edges.items():
        rooms.setdefault(room_of(node), set()).update(map(room_of, others))
    return {room: frozenset(others - {room}) for room, others in rooms.items()}


def inside(edges: Graph, folder: str) -> dict[str, frozenset[str]]:
    """Return who imports whom among the modules under a folder."""
    return {
        name: frozenset(one for one in others if one.startswith(f"{folder}."))
        for name, others in edges.items()
        if name.startswith(f"{folder}.")
    }


def between_rooms(edges: Graph, folder: str) -> dict[str, frozenset[str]]:
    """Return the arrows between what lies directly under a folder: modules and folders."""
    return merged(inside(edges, folder), lambda name: name.split(".")[folder.count(".") + 1])


def upward(arrows: Graph, order: Order) -> set[tuple[str, str]]:
    """List the arrows that do not lead to an earlier line of an order."""
    line = {room: number for number, rooms in enumerate(order) for room in rooms}
    return {(room, other) for room, others in arrows.items() for other in others if line[other] >= line[room]}


@pytest.fixture(scope="module")
def edges() -> dict[str, frozenset[str]]:
    """Return who imports whom, read once."""
    return graph()


def test_the_scan_sees_imports_wherever_they_stand() -> None:
    names = ("a", "a.b", "a.c", "a.d.e")
    assert imported("def f():\n    from a import b", names) == {"a.b"}
    assert imported("import a.c\nfrom a.b import x", names) == {"a.b", "a.c"}
    assert imported("from a import y", names) == {"a"}
    assert imported("from . import c", names, name="a.b") == {"a.c"}
    assert imported("from .d.e import z", names, name="a", package=True) == {"a.d.e"}
    assert imported("if TYPE_CHECKING:\n    from a import c", names) == {"a.c"}


def test_the_scan_sees_a_circle() -> None:
    assert circles({"a": frozenset({"b"}), "b": frozenset({"c"}), "c": frozenset({"a"}), "d": frozenset("a")}) == [
        ["a", "b", "c"]
    ]
    assert circles({"a": frozenset({"b", "c"}), "b": frozenset({"c"}), "c": frozenset()}) == []


@pytest.mark.slow
def test_the_graph_is_read(edges: Graph) -> None:
    assert "models.registry" in edges["pages.shared.cache"]  # imported inside functions
    assert "pages.shared.words.language" in edges["pages.shared.words.i18n"]
    assert any(name.startswith("seqops.") for name in edges["models.operators.binding"])


def test_no_imports_run_in_a_circle(edges: Graph) -> None:
    assert circles(edges) == []


def test_no_import_runs_up_a_layer(edges: Graph) -> None:
    floor = {layer: number for number, layer in enumerate(LAYERS)}
    up = {
        (name, other)
        for name, others in edges.items()
        for other in others
        if floor[other.split(".")[0]] < floor[name.split(".")[0]]
    }
    assert up == set()


@pytest.mark.parametrize("folder", FOLDERS_OF_ROOMS)
def test_the_rooms_of_a_folder_form_no_circle(edges: Graph, folder: str) -> None:
    arrows = between_rooms(edges, folder)
    assert len(arrows) > 1
    assert circles(arrows) == []


@pytest.mark.parametrize(("folder", "order"), [("models", MODELS), ("models.bench", BENCH)])
def test_no_arrow_runs_up_against_the_order_of_rooms(edges: Graph, folder: str, order: Order) -> None:
    arrows = between_rooms(edges, folder)
    assert sorted(arrows) == sorted(room for line in order for room in line)
    assert upward(arrows, order) == set()


def test_an_arrow_upwards_or_beside_is_seen() -> None:
    order = (("low",), ("left", "right"))
    assert upward({"left": frozenset({"low"}), "low": frozenset()}, order) == set()
    assert upward({"low": frozenset({"left"}), "left": frozenset({"right"})}, order) == {
        ("low", "left"), ("left", "right")}  # fmt: skip


def test_no_page_imports_another(edges: Graph) -> None:
    """What pages share lies in pages.shared; a page is known to the list of pages alone, by its address."""
    arrows = merged(inside(edges, "pages"), lambda name: ".".join(name.split(".")[1:3]))
    pages = {room for room in arrows if room.split(".")[0] in {"learn", "compare"} and "." in room}
    assert len(pages) == len(site.KEYS)
    assert {(room, other) for room, others in arrows.items() for other in others & pages if room != other} == set()
