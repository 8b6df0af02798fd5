"""The parts of a model with the weights that it has in them: blocks by kind, and what stands around the blocks."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Component:
    """One named part. key: its role (q, conv, experts, ...); shapes: of its weights; count: of its parameters."""

    key: str
    shapes: tuple[tuple[int, ...], ...]
    count: int


@dataclass(frozen=True, slots=True)
class BlockKind:
    """Blocks that are built alike. layers: their indices; components: of one block, in the order of its modules.

    parallel: whether mixer and feed-forward read the same stream and are added at once (GPT-NeoX).
    """

    mixer: str
    ffn: str
    layers: tuple[int, ...]
    components: tuple[Component, ...]
    parallel: bool = False

    @property
    def count(self) -> int:
        """Return the parameters of one block."""
        return sum(one.count for one in self.components)


@dataclass(frozen=True, slots=True)
class Anatomy:
    """A whole model. around: embedding, positions, norms outside the blocks, head; total: every parameter once.

    tied: whether the head reads the weights of the embedding, and has none of its own. width: d_model. heads, kv_heads,
    experts, top_k: 0 for what the model does not have.
    """

    kinds: tuple[BlockKind, ...]
    around: tuple[Component, ...]
    total: int
    tied: bool
    width: int
    heads: int = 0
    kv_heads: int = 0
    experts: int = 0
    top_k: int = 0

    def of(self, key: str) -> Component | None:
        """Return what stands around the blocks under a key."""
        return next((one for one in self.around if one.key == key), None)
