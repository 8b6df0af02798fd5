"""Build every registered figure from the sample records, and list missing samples."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from models.records import trace as records
from models.records.trace import ModelTrace
from viz.figure import Figure, Registered
from viz.gallery import inputs
from viz.look.labels import Translate
from viz.look.theme import Theme

# Quantities that no figure draws, and the module that reads them, or records them for others.
EVIDENCE: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(
        ("visible", "head_query", "head_key", "head_value", "head_output", "output_gram"),
        "models.reconstruction.attention",
    )
    | {"query_scale": "models.tracing.parts.attention"}
    | dict.fromkeys(
        ("write_proj", "read_proj", "skip", "scan_input", "gate", "dt_input", "dt_weight", "dt_bias", "decay_log",
         "mixer_output"),
        "models.reconstruction.state_space",
    )
    | dict.fromkeys(("conv_input", "conv_weight", "conv_bias"), "models.reconstruction.mamba_mixer")
    | dict.fromkeys(("key", "value", "time_decay", "receptance_logit"), "models.reconstruction.time_mix")
    | dict.fromkeys(("router_logits", "expert_output", "mixture_output"), "models.reconstruction.experts")
    | dict.fromkeys(
        ("shift_from", "shifted", "ffn_value_weight", "ffn_receptance_logit", "ffn_output"),
        "models.reconstruction.channel_mix",
    )
)  # fmt: skip


@dataclass(slots=True)
class Built:
    """The figures that could be drawn, and one sentence for each fault."""

    figures: list[Figure] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def build(
    entries: Mapping[str, Registered],
    traces: Mapping[str, ModelTrace],
    *,
    files: Path,
    theme: Theme,
    t: Translate,
    parts: Mapping[str, tuple[str, ...]] | None = None,
) -> Built:
    """Draw every figure of the table and look for what is missing.

    files: the folder of the figures' assets; parts: the quantities that a record may hold, records.PARTS without it.
    """
    built = Built(faults=[*_quantity_faults(entries, traces, records.PARTS if parts is None else parts)])
    for entry in sorted(entries.values(), key=lambda one: one.id):
        if not (files / f"{entry.id}.yaml").is_file():
            built.faults.append(f"figure {entry.id!r} has no file of assets: write {files.name}/{entry.id}.yaml")
        try:
            built.figures.append(_drawn(entry, traces, theme, t))
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            built.faults.append(f"figure {entry.id!r} cannot be drawn: {type(error).__name__}: {error}")
    return built


def _drawn(entry: Registered, traces: Mapping[str, ModelTrace], theme: Theme, t: Translate) -> Figure:
    """Draw one figure of its sample. Raises LookupError where there is none."""
    if entry.of == "trace":
        sample = next((trace for trace in traces.values() if entry.allowed(trace)), None)
        if sample is None:
            raise LookupError(f"no sample trace shows all of {', '.join(entry.needs)}; viz/gallery holds the samples")
        call: inputs.Call | None = ((sample,), {})
    else:
        call = inputs.arguments(entry.id, entry.of, traces)
    if call is None:
        raise LookupError(f"no sample of what it draws ({entry.of}); viz/gallery/inputs.py holds the samples")
    made = entry.draw(*call[0], **call[1], theme=theme, t=t)
    if made is None:
        raise LookupError("its sample has nothing that it draws")
    return made


def _quantity_faults(
    entries: Mapping[str, Registered], traces: Mapping[str, ModelTrace], parts: Mapping[str, tuple[str, ...]]
) -> Iterator[str]:
    drawn = {part for entry in entries.values() for part in (*entry.needs, *entry.also)}
    sampled = {part for trace in traces.values() for layer in trace.layers for part in layer.parts}
    for part in parts:
        if part not in drawn and part not in EVIDENCE:
            yield f"quantity {part!r} of the record is drawn by no figure and is no evidence for a check"
        if part not in sampled:
            yield f"quantity {part!r} of the record has no sample: add one to viz/gallery"
    for part in EVIDENCE.keys() - parts.keys():
        yield f"quantity {part!r} is listed as evidence, and no record holds it"
