"""Published tables are recounted: what agrees, what is explained by a recount that gives it, what would differ."""

import copy
from decimal import Decimal

import pytest
import yaml

from models import published
from models.counting import accounting
from models.errors import SourceError
from models.sources import catalogue

FILE = yaml.safe_load((published.ASSETS / "published.yaml").read_text(encoding="utf-8"))
CHECKS = {(check.source, check.row, check.quantity): check for table in published.recount() for check in table.checks}


def changed(source, row, **values):
    """Recount one table whose row prints other values."""
    table = copy.deepcopy(FILE[source])
    entry = next(r for r in table["rows"] if r["row"] == row)
    entry["printed"] |= values
    found = published.recount({source: table})[0].checks
    return {check.quantity: check for check in found if check.row == row}


def test_every_printed_value_is_checked_and_none_differs():
    assert len(CHECKS) == sum(len(t["rows"]) * len(t["quantities"]) for t in FILE.values()) == 84
    assert {check.state for check in CHECKS.values()} == {"agrees", "explained"}
    assert sum(table.count("agrees") for table in published.recount()) == 72


def test_the_discrepancies_are_those_that_are_known():
    explained = {(c.source, c.row, c.quantity): c.note for c in CHECKS.values() if c.state == "explained"}
    look_up = {("rwkv4_text", row, "flops"): "look_up" for row in ("169M", "430M", "1.5B", "3B", "7B", "14B")}
    cut = {
        ("jamba15", f"Llama-3.1 {n}", f"params_{kind}"): "cut" for n in ("70B", "405B") for kind in ("total", "active")
    }
    cut[("jamba15", "Jamba-1.5-Large", "params_total")] = "cut"
    assert explained == look_up | cut | {("jamba15", "Llama-3.1 405B", "kv_bytes"): "kv_heads"}


def test_the_405b_row_is_counted_with_its_own_eight_heads():
    check = CHECKS["jamba15", "Llama-3.1 405B", "kv_bytes"]
    assert (check.printed, check.computed, check.otherwise, check.unit) == ("252", "126", "252", "GiB")
    assert check.exact == 126 * 2**30 == 2 * 126 * 8 * 128 * 2 * 262_144


def test_rwkv_operations_equal_the_table_and_not_the_text():
    said, table = CHECKS["rwkv4_text", "169M", "flops"], CHECKS["rwkv4", "169M", "flops"]
    v, d, layers = 50_277, 768, 12
    assert int(said.printed) == int(said.otherwise) == 2 * (2 * v * d + 13 * d * d * layers)
    assert said.exact == table.exact == 2 * (v * d + 13 * d * d * layers)
    assert (table.printed, table.computed, table.state, said.state) == ("2.613e8", "2.613e8", "agrees", "explained")


@pytest.mark.parametrize(
    ("source", "row", "quantity", "printed"),
    [
        ("jamba", "Jamba", "kv_bytes", "5"),
        ("jamba", "Mixtral 8x7B", "params_active", "12.8"),
        ("jamba15", "Llama-3.1 405B", "kv_bytes", "253"),  # the note explains 252 and nothing else
        ("jamba15", "Jamba-1.5-Large", "params_total", "397"),
        ("rwkv4", "14B", "flops", "2.777e10"),
        ("mamba", "370M", "params_total", "360"),
        ("mamba", "130M", "layers", "25"),
    ],
)
def test_a_wrong_value_differs(source, row, quantity, printed):
    check = changed(source, row, **{quantity: printed})[quantity]
    assert (check.state, check.printed, check.note) == ("differs", printed, None)


def test_a_value_that_agrees_needs_no_explanation():
    check = changed("jamba15", "Llama-3.1 405B", kv_bytes="126")["kv_bytes"]
    assert (check.state, check.note, check.otherwise) == ("agrees", None, None)


def test_the_counted_side_is_counted_at_call_time(monkeypatch):
    monkeypatch.setattr(accounting, "kv_bytes", lambda shape, **_: 3 * 2**30)
    check = published.recount({"jamba": FILE["jamba"]})[0].checks[2]
    assert (check.quantity, check.exact, check.computed, check.state) == ("kv_bytes", 3 * 2**30, "3", "differs")


@pytest.mark.parametrize(
    ("value", "printed", "how", "written"),
    [
        (6_738_415_616, "6.7", {"unit": "B"}, "6.7"),
        (6_750_000_000, "6.7", {"unit": "B"}, "6.8"),
        (405_853_388_800, "405", {"unit": "B", "rounding": "down"}, "405"),
        (129_135_360, "130", {"unit": "M", "digits": 2}, "1.3E+2"),
        (27_777_812_480, "2.778e10", {}, "2.778e10"),
        (999_960_000, "9.999e8", {}, "1.0000e9"),
        (135_291_469_824, "252", {"unit": "GiB"}, "126"),
        (0, "0.5", {}, "0.0"),
    ],
)
def test_values_are_written_as_precisely_as_they_are_printed(value, printed, how, written):
    found = published.at_precision(value, printed, **how)
    assert Decimal(found) == Decimal(written)
    assert ("e" in found) == ("e" in printed)


def test_sources_can_be_found():
    for table in published.recount():
        assert table.url.startswith("https://")
        assert table.arxiv is None or table.arxiv in table.url


def test_a_row_without_a_model_is_refused():
    table = FILE["jamba"] | {"rows": [{"row": "x", "model": "no-such-model", "printed": {}}]}
    with pytest.raises(SourceError, match="no-such-model"):
        published.recount({"jamba": table})


def test_rows_are_entries_of_the_catalogue():
    named = [row["model"] for table in FILE.values() for row in table["rows"] if "model" in row]
    assert all(catalogue.find(name) for name in named)
