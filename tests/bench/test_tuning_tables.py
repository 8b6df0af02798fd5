"""Other settings of the Triton kernels: the fastest right one is found, and the tables stay as they are."""

import pytest
from seqops.gpu import tuning

from models.__main__ import main
from models.errors import SettingError
from models.opbench import tune
from models.opbench.pairs import CASES

VALUES = {"block": (32, 64, 128), "warps": (1, 2, 4)}


def found(cost, *, wrong=(), noise=None):
    """Search a table whose seconds are a function of its values; `wrong` settings give wrong values."""
    table = {"block": 64, "warps": 2, "other": 7}

    def check():
        assert table["other"] == 7
        if (table["block"], table["warps"]) in wrong:
            raise ValueError("values differ by 1.0e+00\nmore")

    result = tune.searched("X", table, VALUES, check=check, measure=lambda: cost(**table) * (noise() if noise else 1.0))
    assert table == {"block": 64, "warps": 2, "other": 7}, "nothing is changed"
    return result


def cost_of(block, warps, other):
    return 1.0 + abs(block - 32) / 32 + abs(warps - 4) / 4


def test_the_fastest_setting_is_found_with_how_much_faster_it_is():
    result = found(cost_of)
    assert dict(result.setting) == {"block": 32, "warps": 4}
    assert result.faster and result.ratio == pytest.approx(cost_of(64, 2, 7) / cost_of(32, 4, 7))
    assert result.tried == 4 and result.refused == ()


def test_a_setting_with_wrong_values_is_never_taken_however_fast():
    result = found(cost_of, wrong={(32, 2)})
    assert dict(result.setting) == {"warps": 4}
    assert result.refused == ("block 32: ValueError: values differ by 1.0e+00",)


def test_where_nothing_is_faster_nothing_is_said():
    result = found(lambda block, warps, other: 1.0 + (block != 64) + (warps != 2))
    assert (dict(result.setting), result.ratio, result.faster) == ({}, 1.0, False)


def test_a_difference_within_the_noise_is_none():
    """A machine that slows down in turns lets a setting look faster once; measured in turn it is not."""
    calls = iter(range(10**6))
    result = found(lambda **_: 1.0, noise=lambda: 2.0 if next(calls) < tune.ROUNDS else 1.0)
    assert result.setting and not result.faster, "found while the machine was slow, refused when both took turns"


def test_the_table_stays_also_where_the_search_breaks_off():
    table = {"block": 64, "warps": 2}

    def interrupted():
        if table["block"] == 128:
            raise KeyboardInterrupt
        return 1.0

    with pytest.raises(KeyboardInterrupt):
        tune.searched("X", table, VALUES, check=lambda: None, measure=interrupted)
    assert table == {"block": 64, "warps": 2}


def test_what_is_tried_are_keys_of_tables_that_a_row_uses():
    for name, trial in tune.TRIALS.items():
        table = getattr(tuning, name)
        assert {*trial.values} <= {*table}, name
        assert trial.case in CASES, name
        assert all(table[key] in choices for key, choices in trial.values.items()), name


def test_a_cpu_uses_no_table(capsys):
    with pytest.raises(SettingError, match="CUDA devices alone"):
        tune.tuned("CONV", device="cpu")
    assert main(["tune-kernels", "--device", "cpu"]) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1 and "no CUDA device" in said.err
