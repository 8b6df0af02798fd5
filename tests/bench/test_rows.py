"""A row is flat, comes back as it was, and says by its state whether it carries samples."""

import json

import pytest

from models.records.measurement import STATES, from_row


def test_a_row_is_flat_and_comes_back_the_same(measurement):
    made = measurement(state="killed", reason="r", reason_key="errors.cell_killed", reason_values={"signal": "SIGKILL"})
    row = json.loads(json.dumps(made.to_row()))
    assert not any(isinstance(value, dict) for value in row.values())
    assert row["impl_scan"] == "loop"
    assert row["env_host_cpu"] == "x"
    assert row["reason_signal"] == "SIGKILL"
    assert from_row(row) == made


def test_unknown_columns_are_dropped_and_missing_ones_named(measurement):
    row = measurement().to_row()
    assert from_row(row | {"column_of_next_year": 1}) == measurement()
    del row["context"]
    with pytest.raises(ValueError, match="context"):
        from_row(row)


def test_an_unknown_state_is_refused(measurement):
    with pytest.raises(ValueError, match="expected one of"):
        measurement(state="fine")


@pytest.mark.parametrize(
    ("state", "spread", "noise"),
    [("ok", None, ""), ("ok", 0.1, ""), ("ok", 0.101, "noisy"), ("ok", 0.25, "noisy"), ("ok", 0.251, "unusable"),
     ("unstable", 0.01, "unusable"), ("killed", 0.9, ""), ("cancelled", None, "")],
)  # fmt: skip
def test_noise_is_marked_from_a_tenth_on_and_unusable_from_a_quarter(measurement, state, spread, noise):
    assert measurement(state=state, tpot_iqr_rel=spread).noise == noise


@pytest.mark.parametrize(
    ("codes", "badge"),
    [([], ""), (["seqops compiled loop (CPU)", "seqops single step (torch)"], "fast"),
     (["mamba-ssm 2.3.2 selective_scan_fn", "transformers fallback (CUDA)"], "mixed"),
     (["seqops compiled loop (CPU)", "transformers loop over experts"], "mixed"),
     (["seqops reference loop"], "reference"), (["transformers fallback (CPU)", "seqops reference loop"], "reference"),
     (["transformers grouped_mm", "torch scaled_dot_product_attention (FlashAttention)"], "fast")],
)  # fmt: skip
def test_code_that_is_partly_a_loop_is_not_called_fast(measurement, codes, badge):
    assert measurement(implementation=dict(enumerate(codes))).badge == badge


@pytest.mark.parametrize("state", STATES)
def test_only_measured_states_carry_samples(measurement, state):
    assert measurement(state=state).measured == (state in ("ok", "unstable"))
