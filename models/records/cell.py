"""A cell of a benchmark run: its settings, and its prediction."""

from collections.abc import Mapping
from dataclasses import dataclass

USUAL_DTYPE: Mapping[str, str] = {"cpu": "float32", "cuda": "bfloat16"}


@dataclass(frozen=True, slots=True)
class Cell:
    """One measurement to make: an architecture at one context, batch, device and number type."""

    architecture: str
    source: str
    context: int
    batch: int = 1
    device: str = "cpu"
    dtype: str = "float32"
    decode_tokens: int = 32
    rounds: int = 3
    threads: int = 1
    seed: int = 0
    view: str = "architecture"
    size: str = "bundled"
    attention: str = "auto"
    kernels: str = "fast"
    experts: str = "auto"  # how the products of experts are computed; "auto" in a model without any
    largest: bool = False  # batch is the largest predicted to fit: halved when it does not
    batch_limit: str = ""  # what limits a largest batch: "memory", "time" or "cap"

    @property
    def cell_id(self) -> str:
        """Name the cell within its run."""
        named = (self.architecture, self.size, self.context, f"b{self.batch}", self.dtype, self.device.replace(":", ""))
        changed = (("view", "architecture"), ("attention", "auto"), ("kernels", "fast"), ("experts", "auto"))
        unusual = [getattr(self, name) for name, usual in changed if getattr(self, name) != usual]
        return "-".join(map(str, (*named, *unusual, *(["largest"] if self.largest else []))))


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a cell should need: bytes by part and milliseconds by phase. An estimate, never shown as a measurement.

    known: False where nothing was measured on the device yet, so that the times are careful guesses. bytes_static: of a
    second place for keys and values, which captured decoding holds beside the growing cache of a prompt; no part of the
    total. positions_needed: more than the learned positions of the model, or 0 where they suffice.
    """

    bytes_weights: int
    bytes_cache: int
    bytes_logits: int
    bytes_workspace: int
    prefill_ms: float
    decode_ms: float
    seconds: float
    fits: bool
    known: bool = True
    bytes_static: int = 0
    positions_needed: int = 0
    positions: int = 0

    @property
    def bytes_held(self) -> int:
        """Return what must be free for the cell to run."""
        return self.bytes_total + self.bytes_static

    @property
    def bytes_total(self) -> int:
        """Add the parts up."""
        return self.bytes_weights + self.bytes_cache + self.bytes_logits + self.bytes_workspace


def kind_of(device: str) -> str:
    """Return "cpu" or "cuda"."""
    return device.partition(":")[0]
