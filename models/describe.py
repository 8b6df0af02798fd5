"""Describe a model by name: layers, parameters, memory. Reads no weights, imports no torch."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.counting import accounting
from models.counting.accounting import Layer, Shape
from models.counting.families import filled_in
from models.errors import SettingError, SourceError
from models.sources import catalogue, configuration, downloadable, hub, sizes, stored
from models.sources import resolve as resolve_module
from models.sources.resolve import ResolvedName, bundled_names

__all__ = ["Description", "Source", "bundled_names", "describe", "dtype_name", "resolve"]

DTYPE_NAMES: Mapping[str, str] = {
    "float32": "float32",
    "fp32": "float32",
    "f32": "float32",
    "32": "float32",
    "float16": "float16",
    "fp16": "float16",
    "f16": "float16",
    "half": "float16",
    "bfloat16": "bfloat16",
    "bf16": "bfloat16",
    "16": "bfloat16",
}
USUAL_DTYPE = "bfloat16"  # where nothing says in which number type a model is stored
LONGEST = 2**40
WIDEST = 2**20


@dataclass(frozen=True, slots=True)
class Description:
    """The numbers of one model at one context, batch and number type. Bytes are of the whole batch.

    stored_dtype, stored_bytes: of the weights as they lie in the files, None where no files are here.
    """

    source: str
    origin: str  # as resolve.ResolvedName has it
    model_type: str
    context: int
    batch: int
    dtype: str
    params_total: int
    params_active: int
    parameter_terms: Mapping[str, int]
    weight_bytes: int
    kv_bytes: int
    state_bytes: int
    cache_bytes: int
    flops_per_token: int
    layers: tuple[Layer, ...]
    notes: tuple[str, ...]
    stored_dtype: str | None = None
    stored_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A configuration and where it came from. folder: with its files, None where they are not here."""

    name: str
    origin: str
    config: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    folder: Path | None = None

    @property
    def shape(self) -> Shape:
        """Return the sizes; SourceError names the source."""
        return accounting.shape_of(self.config, source=self.name)

    def weights(self) -> stored.Stored | None:
        """Look at the weight files; None where there are none. Raises SourceError for damaged or incomplete ones."""
        if self.folder is None:
            return None
        try:
            return stored.weights(self.folder, name=self.name)
        except SourceError as error:
            if error.key == "errors.no_weights":
                return None
            raise


def describe(name: str, *, context: int = 4096, batch: int = 1, dtype: str | None = None) -> Description:
    """Count a model at this context, batch and number type; dtype None: the type that the model is stored in.

    Raises SourceError when the name leads to no usable configuration, SettingError for a size outside the range.
    """
    chosen = None if dtype is None else dtype_name(dtype)
    _check("context", context, LONGEST)
    _check("batch", batch, WIDEST)
    source = resolve(name)
    shape, notes = source.shape, [*source.notes]
    try:
        weights = source.weights()
    except SourceError as error:
        weights = None
        notes.append(f"the weights cannot be loaded as they are: {error}")
    known = _stored_dtype(source.config, weights)
    used = chosen or known or USUAL_DTYPE
    notes += _stored_notes(source, weights, known, used=used, chosen=chosen is not None)
    notes += _notes(source, shape, context=context)
    return Description(
        source=source.name,
        origin=source.origin,
        model_type=shape.model_type,
        context=context,
        batch=batch,
        dtype=used,
        params_total=accounting.params_total(shape),
        params_active=accounting.params_active(shape),
        parameter_terms=accounting.parameter_terms(shape),
        weight_bytes=accounting.weight_bytes(shape, dtype=used),
        kv_bytes=accounting.kv_bytes(shape, context=context, batch=batch, dtype=used),
        state_bytes=accounting.state_bytes(shape, batch=batch, dtype=used),
        cache_bytes=accounting.cache_bytes(shape, context=context, batch=batch, dtype=used),
        flops_per_token=accounting.flops_per_token(shape, context=context),
        layers=shape.layers,
        notes=tuple(notes),
        stored_dtype=known,
        stored_bytes=None if weights is None else weights.total_bytes,
    )


def resolve(name: str) -> Source:
    """Return the configuration that a name means, from here where it is known here, else from the hub.

    Raises SourceError, in one sentence, for a name that means nothing and for a configuration that cannot be read.
    """
    named = resolve_module.resolve(name)
    if named.origin == "ladder":
        member = sizes.model_of(named.name)
        return Source(named.name, "ladder", dict(member.config or {}), tuple(filter(None, [member.note.get("en")])))
    if named.entry is not None:
        return Source(named.name, "catalogue", catalogue.config_of(named.entry), catalogue.notes(named.entry))
    if (offer := downloadable.find(named.name)) is not None:
        return Source(named.name, "offered", dict(offer.config))
    return _of_files(named)


def _of_files(named: ResolvedName) -> Source:
    """Read the configuration of a folder, or of the hub, from which it alone is fetched."""
    here = named.folder
    if here is not None and configuration.is_gguf(here):
        return _of_gguf(named, here)
    config = configuration.read(here or hub.config_folder(named.hub_id or named.name), name=named.name)
    return Source(named.name, named.origin, config, folder=here)


def _of_gguf(named: ResolvedName, path: Path) -> Source:
    """Read the header of a GGUF file, and say how its weights are stored."""
    from models.sources import gguf_file  # imports torch, which no other source needs

    how = gguf_file.quantisation(path, name=named.name)
    kinds = ", ".join(f"{kind} {share:.0%}" for kind, share in how.types.items())
    note = f"the weights are stored with {how.bits:.3g} bits each on average ({kinds}), {how.total_bytes:,} bytes"
    return Source(named.name, named.origin, gguf_file.fields(path, name=named.name), (note,))


def _stored_dtype(config: Mapping[str, Any], weights: stored.Stored | None) -> str | None:
    """Name the number type of the weights: that of the files, else what the configuration says, else None."""
    if weights is not None and weights.dtype is not None:
        return weights.dtype
    said = str(config.get("dtype") or config.get("torch_dtype") or "")
    return DTYPE_NAMES.get(said.casefold().removeprefix("torch."))


def _stored_notes(
    source: Source, weights: stored.Stored | None, known: str | None, *, used: str, chosen: bool
) -> Iterator[str]:
    """Say how the weights are stored where the numbers do not follow it.

    known: their number type. chosen: whether the one that is used was asked for.
    """
    if (how := configuration.quantisation(source.config)) is not None:
        size = "their size on disk is not known from the configuration"
        size = size if weights is None else f"{weights.total_bytes:,} bytes on disk"
        yield f"the weights are stored quantised ({how}), {size}; weight_bytes counts them in {used}"
    elif known is None and not chosen and source.origin in ("folder", "hub"):
        yield f"nothing says in which number type the weights are stored: counted in {used}"
    elif known is not None and chosen and known != used:
        yield f"the weights are stored in {known}"


def _notes(source: Source, shape: Shape, *, context: int) -> Iterator[str]:
    """Say what a reader of the numbers would otherwise take for granted."""
    filled = filled_in(source.config) if source.origin in ("folder", "hub") else {}
    if filled:
        listed = ", ".join(f"{name} {value:,}" for name, value in filled.items())
        yield f"not in the configuration, so taken as transformers fills them in: {listed}"
    most = _positions(source.config, shape)
    if most is not None and context > most:
        kind = "has learned vectors for" if shape.positions else "was made for"
        yield f"the model {kind} {most:,} positions: {context:,} tokens are beyond them"


def _positions(config: Mapping[str, Any], shape: Shape) -> int | None:
    """Return how many positions a model has learned, or was made for as its configuration says; None: not said."""
    said = config.get("max_position_embeddings")
    return shape.positions or (said if type(said) is int and said > 0 and shape.n_heads else None)


def dtype_name(name: str) -> str:
    """Return the torch name of a number type, also for fp16, bf16 and the like; SettingError otherwise."""
    known = DTYPE_NAMES.get(str(name).casefold().removeprefix("torch."))
    if known is None:
        accounting.element_bytes(name)
    return known or name


def _check(name: str, value: int, high: int) -> None:
    if not 1 <= value <= high:
        raise SettingError(
            "errors.setting_range",
            f"{name} is {value}; it must be from 1 to {high}",
            name=name,
            value=value,
            low=1,
            high=high,
        )
