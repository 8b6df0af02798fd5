"""What is switched off in a run, as frozen values that cache keys and addresses can carry. Imports no torch."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, cast, get_args

Kind = Literal[
    "layer", "mixer", "feed_forward", "head", "channels", "convolution", "token_shift", "gate", "receptance",
    "selectivity", "step", "write", "read", "decay", "forget", "expert",
]  # fmt: skip
How = Literal["zero", "mean", "open", "keep", "forbid", "force"]
Index = Literal["", "head", "group", "token", "expert"]

KINDS: tuple[Kind, ...] = get_args(Kind)
GROUPS = 8  # of channels, in the order of their half-life from the weights
MOST = 8  # switches that an address may carry

# What a part may be replaced by; the first is the default.
HOWS: Mapping[Kind, tuple[How, ...]] = MappingProxyType(
    {
        "layer": ("zero", "mean"),  # mixer and feed-forward: the block hands on what it received
        "mixer": ("zero", "mean"),
        "feed_forward": ("zero", "mean"),
        "head": ("zero", "mean"),
        "channels": ("zero", "mean"),
        "convolution": ("zero",),  # the taps of earlier tokens
        "token_shift": ("zero",),  # the share of the token before, in time mix and channel mix
        "gate": ("open", "mean"),  # SiLU(z): 1, or its mean
        "receptance": ("open", "mean"),  # sigmoid(r): 1, or its mean
        "selectivity": ("mean",),  # dt, B and C at once
        "step": ("mean",),  # dt, of what is written and of what is kept
        "write": ("mean",),  # B
        "read": ("mean",),  # C
        "decay": ("mean", "keep"),  # exp(dt A) at the mean dt, while dt B u is written as it is; keep: 1
        "forget": ("zero",),  # all that is carried, before a token
        "expert": ("forbid", "force"),  # force: every token is sent to it alone
    }
)
INDICES: Mapping[Kind, Index] = MappingProxyType(
    {"head": "head", "channels": "group", "forget": "token", "expert": "expert"}
)
FROZEN: tuple[Kind, ...] = ("step", "write", "read")  # what selectivity is made of


@dataclass(frozen=True, slots=True, order=True)
class Switch:
    """One part that is switched off.

    layer: where, -1 for every layer that has the part. index: the head, the group of channels (0 with the shortest
    half-lives, of GROUPS), the expert, or the token before which all is forgotten; -1 for a kind without one.
    how: what stands in its place, one of HOWS, by default the first. Raises ValueError for a kind, how or number that
    does not exist.
    """

    kind: Kind
    layer: int = -1
    index: int = -1
    how: How | Literal[""] = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"switch {self.kind!r}: expected one of {KINDS}")
        if not self.how:
            object.__setattr__(self, "how", HOWS[self.kind][0])
        if self.how not in HOWS[self.kind]:
            raise ValueError(f"{self.kind} {self.how!r}: expected one of {HOWS[self.kind]}")
        if self.layer < -1 or (self.index >= 0) != (self.kind in INDICES) or self.index < -1:
            raise ValueError(f"{self.kind} with layer {self.layer} and index {self.index} does not exist")
        if self.kind == "channels" and self.index >= GROUPS:
            raise ValueError(f"group {self.index} of channels: there are {GROUPS}")

    @property
    def code(self) -> str:
        """Return the switch as an address carries it: kind.layer.index.how, * for every layer and for no index."""
        return ".".join((self.kind, _number(self.layer), _number(self.index), self.how))


@dataclass(frozen=True, slots=True)
class Switches:
    """A set of switches. Empty, it is false and changes nothing.

    >>> both = Switches.of(Switch("head", 2, 1), Switch("mixer", 0))
    >>> both.code
    'head.2.1.zero~mixer.0.*.zero'
    >>> Switches.read(both.code) == both
    True
    """

    members: frozenset[Switch] = frozenset()

    @classmethod
    def of(cls, *switches: Switch) -> "Switches":
        """Return the set of some switches."""
        return cls(frozenset(switches))

    @classmethod
    def read(cls, code: str) -> "Switches":
        """Return the set that a code names; ValueError for what is no code or has more than MOST switches."""
        return cls.of(*cls.read_all(code))

    @staticmethod
    def read_all(code: str) -> tuple[Switch, ...]:
        """Return the switches that a code names, in its order; raises as read."""
        words = [word for word in code.split("~") if word]
        if len(words) > MOST:
            raise ValueError(f"{len(words)} switches: at most {MOST}")
        return tuple(_read(word) for word in words)

    @property
    def code(self) -> str:
        """Return the set as an address carries it, the same for equal sets; "" for none."""
        return "~".join(switch.code for switch in self)

    @property
    def need_means(self) -> bool:
        """Whether something is replaced by a mean, which has to be measured first."""
        return any(switch.how == "mean" for switch in self.members)

    def of_layer(self, layer: int) -> tuple[Switch, ...]:
        """Return what applies to a layer, in order."""
        return tuple(switch for switch in self if switch.layer in (-1, layer))

    def __or__(self, other: "Switches") -> "Switches":
        return Switches(self.members | other.members)

    def __iter__(self) -> Iterator[Switch]:
        return iter(sorted(self.members))

    def __len__(self) -> int:
        return len(self.members)


NONE = Switches()


def union(sets: Iterable[Switches]) -> Switches:
    """Join sets of switches."""
    return Switches(frozenset(switch for one in sets for switch in one.members))


def _number(value: int) -> str:
    return "*" if value < 0 else str(value)


def _read(word: str) -> Switch:
    parts = word.split(".")
    if len(parts) != 4:
        raise ValueError(f"{word[:80]!r} is no switch: expected kind.layer.index.how")
    kind, layer, index, how = parts
    return Switch(cast("Kind", kind), _read_number(layer), _read_number(index), cast("How", how))


def _read_number(text: str) -> int:
    if text == "*":
        return -1
    if not (text.isascii() and text.isdigit() and len(text) <= 5):
        raise ValueError(f"{text[:80]!r} is no number of a layer, head, group, expert or token")
    return int(text)
