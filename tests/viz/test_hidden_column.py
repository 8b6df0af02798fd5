"""A map without the column of its first token: what is left out, where its colours end, and that the check knows it."""

import dataclasses

import numpy as np
import pytest
from attention_records import trace_of
from figure_words import strict

from viz import proof
from viz.look.theme import LIGHT
from viz.trace.attention import head_matrix, value_norm_matrix

PLACE = {"layer": 1, "head": 2}


def drawn(draw, trace, *, hide: bool):
    return draw(trace, theme=LIGHT, t=strict("en"), hide_first=hide, **PLACE)


@pytest.mark.parametrize(("draw", "part"), [(head_matrix, "attention"), (value_norm_matrix, "value_norm")])
def test_the_first_column_is_left_out_and_the_colours_end_at_the_rest(traces, draw, part: str) -> None:
    trace = trace_of(traces["transformer"], 6)
    values = trace.layer(1).part(part)[2]
    whole, hidden = (drawn(draw, trace, hide=hide).body.grid for hide in (False, True))
    assert np.isnan(hidden.values[0, :, 0] if hidden.values.ndim == 3 else hidden.values[:, 0]).all()
    np.testing.assert_array_equal(np.squeeze(hidden.values)[:, 1:], np.squeeze(whole.values)[:, 1:])
    assert hidden.scale.high == pytest.approx(np.tril(values)[:, 1:].max())
    assert whole.scale.high == pytest.approx(np.tril(values).max())
    assert "hidden" in drawn(draw, trace, hide=True).body.note
    assert "hidden" not in drawn(draw, trace, hide=False).body.note
    np.testing.assert_array_equal(drawn(draw, trace, hide=True).data[part].values, values)


@pytest.mark.parametrize("draw", [head_matrix, value_norm_matrix])
@pytest.mark.parametrize("length", [1, 2, 7])
def test_the_check_knows_what_was_chosen(traces, draw, length: int) -> None:
    trace = trace_of(traces["transformer"], length)
    for hide in (False, True):
        figure = drawn(draw, trace, hide=hide)
        assert proof.check(figure, trace, **PLACE, hide_first=hide).passed
        assert proof.check(figure, trace, **PLACE, hide_first=not hide).passed == (length == 1)


def test_a_column_beside_the_first_must_be_there(traces) -> None:
    trace = trace_of(traces["transformer"], 5)
    figure = drawn(head_matrix, trace, hide=True)
    values = figure.body.grid.values.copy()
    values[..., 1] = np.nan
    body = dataclasses.replace(figure.body, grid=dataclasses.replace(figure.body.grid, values=values))
    assert not proof.check(dataclasses.replace(figure, body=body), trace, **PLACE, hide_first=True).passed
