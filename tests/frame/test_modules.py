"""Hold the modules to one order: no import runs in a circle, also inside functions, and none runs up a layer."""

import ast
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("app", "pages", "viz", "models", "seqops")  # from the top
FOLDERS = {"app": ROOT, "pages": ROOT, "viz": ROOT, "models": ROOT, "seqops": ROOT / "kernels"}
# A catalogue name may stand on the size ladder, whose file lies among those of the benchmark.
KNOWN_UPWARD = {("models.describe", "models.sources.sizes")}

Graph = Mapping[str, frozenset[str]]


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


def test_the_graph_is_read(edges: Graph) -> None:
    assert "models.registry" in edges["pages.shared.cache"]  # imported inside functions
    assert "pages.shared.words.language" in edges["pages.shared.words.i18n"]
    assert any(name.startswith("seqops.") for name in edges["models.binding"])


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


@pytest.mark.parametrize("layer", LAYERS[1:])
def test_the_rooms_of_a_layer_form_no_circle(edges: Graph, layer: str) -> None:
    """A room is what lies directly under a layer: a module or a folder."""
    inside = {name: frozenset(one for one in others if one.startswith(f"{layer}.")) - {name}
              for name, others in edges.items() if name.startswith(f"{layer}.")}  # fmt: skip
    allowed = {name: others - {b for a, b in KNOWN_UPWARD if a == name} for name, others in inside.items()}
    assert circles(merged(allowed, lambda name: name.split(".")[1])) == []


def test_every_known_arrow_upwards_still_exists(edges: Graph) -> None:
    assert {(name, other) for name, other in KNOWN_UPWARD if other in edges.get(name, ())} == KNOWN_UPWARD
