"""One measured cell as a flat row: settings, results, machine and implementation."""

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

CAPTURED = "captured"  # what a row says of its graph where there is one
PROTOCOL_VERSION = 6  # raise it when the meaning of a column changes; rows of different versions are never joined

# How a cell can end. The first carries samples, the second those of its steady rounds, if any; a row of any other state
# says why in `reason`.
MEASURED = ("ok", "unstable")
STATES = (
    *MEASURED,
    "oom",  # the machine could not give the memory
    "predicted_oom_skipped",  # not started: the prediction exceeds what is free, or a shorter context already failed
    "timeout",
    "unsupported",
    "parity_fail",  # cached decoding and a full pass disagree, so no speed is shown
    "cancelled",
    "killed",  # the worker died of a signal
    "failed",  # the worker ended with an error
)
# Other programs whose files open as rows. The view of such a row is the name of its program; what that does not say is
# empty, names of models and number types are as it writes them, and a sample is the mean of a repetition.
TOOLS = ("llama-bench", "llama-benchy", "GuideLLM", "optimum-benchmark")
NOISY, UNUSABLE = 0.10, 0.25  # the middle half of the steps against their median, R9
SENTINEL_DRIFT: Mapping[str, float] = {"cpu": 0.10, "cuda": 0.03}  # from which a machine was not steady, R9
SENTINEL_SLOWER: Mapping[str, float] = {"cpu": 0.50, "cuda": 0.15}  # than the best of this machine, likewise
CPU_WAITED = 0.10  # of the CPU time that a round asked for; one that waited longer for cores is not steady
_LOOPS = ("seqops reference", "transformers fallback", "transformers loop")  # labels of models/operators/backends.py
_NESTED = {"implementation": "impl_", "environment": "env_", "reason_values": "reason_"}


@dataclass(frozen=True, slots=True)
class Measurement:
    """A row of a run. Times are milliseconds, sizes bytes of the whole batch; None means not measured.

    prefill_ms_samples, first_token_ms_samples and e2e_ms_samples (a prompt and all its tokens): one per round.
    decode_ms_samples: decode_tokens per round at depth `context`, round after round.
    ttft_ms_med: prefill and the first greedy token. tpot_ms_med: time per further token.
    cache_bytes: counted on the live cache object; cache_bytes_formula: by accounting; peak_bytes: highest use above
    what loading left (CPU: resident set, GPU: allocated), its parts in peak_prefill_bytes and peak_decode_bytes.
    launch_fraction: the share of a decoding step in which no operator of the device runs. harness_ms: what the clock
    itself adds to a step. bandwidth_bytes_per_s, peak_flops_per_s: roofline peaks measured on this device in the same
    run; mbu and mfu: what decoding and prefill reach of them. experts_distinct: experts that a decoding step reads per
    layer that has them. batch_limit: what stopped a search for the largest batch: "memory", "time" or "cap".
    pred_bytes (with the weights), pred_prefill_ms, pred_ms (of a step) and pred_s: what was predicted before the run.
    spent_s: seconds that the cell took in all, as pred_s counts them: without those in which others had their turn.
    rounds: steady ones, which the samples are of. rounds_unsteady: those that stayed unsteady and are left out;
    rounds_repeated: rounds that were made once more for it. cpu_waited: the most that a used round waited for cores, as
    a share of the CPU time it asked for (of all rounds where none is used); cpu_others: the most that other processes
    took meanwhile, as a share of its own. sentinel_best_ms: the least that the sentinel took.
    reason_key and reason_values: the sentence of assets/words that says why a cell has no samples.
    """

    run_id: str
    cell_id: str
    state: str
    architecture: str
    source: str
    context: int
    batch: int
    device: str
    dtype: str
    decode_tokens: int
    seed: int | None
    view: str = "architecture"  # the same tool chain for all; never mixed with "as_shipped", nor with one of TOOLS
    size: str = "bundled"  # the tier of assets/ladder.yaml, or "bundled"
    attention: str = "auto"  # the backend of scaled_dot_product_attention that was asked for
    kernels: str = "fast"  # the implementation of the operators that was asked for: "fast" or "reference"
    experts: str = "auto"  # the implementation of a mixture of experts that was asked for
    protocol_version: int = PROTOCOL_VERSION
    reason: str = ""
    reason_key: str = ""
    reason_values: Mapping[str, Any] = field(default_factory=dict)
    params_total: int | None = None
    params_active: int | None = None
    config_hash: str = ""
    threads: int | None = None
    rounds: int | None = None
    rounds_unsteady: int | None = None
    rounds_repeated: int | None = None
    prefill_ms_samples: tuple[float, ...] = ()
    decode_ms_samples: tuple[float, ...] = ()
    first_token_ms_samples: tuple[float, ...] = ()
    e2e_ms_samples: tuple[float, ...] = ()
    warmup_steps: int | None = None
    ttft_ms_med: float | None = None
    ttft_iqr_rel: float | None = None
    tpot_ms_med: float | None = None
    tpot_iqr_rel: float | None = None
    decode_tokens_per_s: float | None = None
    e2e_tokens_per_s: float | None = None
    bytes_weights: int | None = None
    cache_bytes: int | None = None
    cache_bytes_formula: int | None = None
    bytes_logits: int | None = None
    bytes_workspace: int | None = None  # estimated, as in the prediction
    baseline_bytes: int | None = None
    peak_bytes: int | None = None
    peak_prefill_bytes: int | None = None
    peak_decode_bytes: int | None = None
    peak_reserved_bytes: int | None = None
    peak_process_bytes: int | None = None
    pred_bytes: int | None = None
    pred_ms: float | None = None
    pred_prefill_ms: float | None = None
    pred_s: float | None = None
    spent_s: float | None = None
    oom_requested_bytes: int | None = None
    parity_max_rel: float | None = None
    parity_batch_rel: float | None = None
    parity_chunk_rel: float | None = None
    parity_float32_rel: float | None = None  # of a 16-bit model that was asked again in float32
    ops_per_token: int | None = None
    launch_fraction: float | None = None
    harness_ms: float | None = None
    graph: str = ""  # "captured", or why decoding steps were not captured
    experts_distinct: float | None = None
    bandwidth_bytes_per_s: float | None = None
    peak_flops_per_s: float | None = None
    mbu: float | None = None
    mfu: float | None = None
    batch_limit: str = ""
    energy_j_per_token: float | None = None  # of decoding, above idle
    energy_idle_w: float | None = None
    energy_window_s: float | None = None
    foreign_processes: int | None = None  # others on the same GPU while the cell was measured
    sentinel_before_ms: float | None = None
    sentinel_after_ms: float | None = None
    sentinel_best_ms: float | None = None
    cpu_waited: float | None = None
    cpu_others: float | None = None
    load_avg: float | None = None
    implementation: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    started_ns: int | None = None
    ended_ns: int | None = None

    def __post_init__(self) -> None:
        if self.state not in STATES:
            raise ValueError(f"state {self.state!r}: expected one of {STATES}")

    @property
    def measured(self) -> bool:
        """Return whether the row carries samples."""
        return self.state in MEASURED

    @property
    def timed(self) -> bool:
        """Return whether the row carries times: a measured one without a steady round has its bytes alone."""
        return self.state == "ok" or (self.state == "unstable" and bool(self.prefill_ms_samples))

    @property
    def tool(self) -> str:
        """Return the other program that measured the row; "" for this one."""
        return self.view if self.view in TOOLS else ""

    @property
    def in_rounds(self) -> bool:
        """Return whether its samples fall into rounds, as every comparison needs: other programs may not say so."""
        return not self.tool or bool(self.rounds)

    @property
    def captured(self) -> bool:
        """Return whether decoding steps were replayed from a graph, not launched one by one."""
        return self.graph == CAPTURED

    @property
    def noise(self) -> str:
        """Tell how far its times can be trusted: "" as they are, "noisy", or "unusable". Bytes are not affected."""
        if not self.measured:
            return ""
        wide = self.tpot_iqr_rel or 0.0
        if self.state == "unstable" or wide > UNUSABLE:
            return "unusable"
        return "noisy" if wide > NOISY else ""

    @property
    def badge(self) -> str:
        """Sum up the code that ran: "fast", "mixed", or "reference" where every function was a loop; "" where unknown.

        A loop is an implementation that is written for reading, or that runs where no faster one exists.
        """
        loops = [code.startswith(_LOOPS) for code in self.implementation.values()]
        if not loops:
            return ""
        return "reference" if all(loops) else "mixed" if any(loops) else "fast"

    def to_row(self) -> dict[str, Any]:
        """Flatten into JSON values: impl_scan, env_torch, reason_signal and so on are columns of their own."""
        row: dict[str, Any] = {}
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if item.name in _NESTED:
                row |= {_NESTED[item.name] + key: entry for key, entry in value.items()}
            else:
                row[item.name] = list(value) if isinstance(value, tuple) else value
        return row


def from_row(row: Mapping[str, Any]) -> Measurement:
    """Rebuild a measurement from a flat row; unknown columns are dropped, missing ones take their default.

    Raises ValueError when a column that identifies the row is missing or the state is unknown.
    """
    names = {item.name for item in dataclasses.fields(Measurement)}
    plain = {key: value for key, value in row.items() if key in names and key not in _NESTED}
    for name, prefix in _NESTED.items():
        plain[name] = {
            key.removeprefix(prefix): value for key, value in row.items() if key.startswith(prefix) and key not in names
        }
    for name in _sample_columns():
        plain[name] = tuple(float(x) for x in plain.get(name) or ())
    try:
        return Measurement(**plain)
    except TypeError as error:
        raise ValueError(f"not a benchmark row: {error}") from error


@lru_cache(maxsize=1)
def _sample_columns() -> tuple[str, ...]:
    hints = typing.get_type_hints(Measurement)
    return tuple(name for name, hint in hints.items() if typing.get_origin(hint) is tuple)
