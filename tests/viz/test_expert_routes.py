"""Ways through the experts: columns are the router's first choices, kinds are those of the labels."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from plot_spec import sent

from models.records.trace import Token
from viz import proof
from viz.look.theme import DARK, LIGHT
from viz.trace.expert_routes import KINDS, expert_routes, kinds_of


def token(index: int, label: str, pieces: int = 1) -> Token:
    return Token(index, index, label, index, index + 1, 1, pieces)


def test_kinds_are_read_from_labels() -> None:
    labels = ("<s>", "On", "␣M", "ond", "ay", "␣3", "4", ";", "x", "␣안", "녕", "!", "␣", "\n", "é")
    found = kinds_of([token(n, label) for n, label in enumerate(labels)])
    known = ["other", "word_start", "word_start", "word_inside", "word_inside", "digits", "digits", "punctuation",
             "word_start", "word_start", "word_inside", "punctuation", "other", "other", "word_start"]  # fmt: skip
    assert found == known
    assert kinds_of([token(0, "한", pieces=3)]) == ["other"]
    assert set(known) == set(KINDS)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_columns_are_the_first_choices_of_the_layers(runs, theme, t) -> None:
    trace = runs["jamba"]
    figure = expert_routes(trace, theme=theme, t=t)
    (routes,) = sent(figure)["data"]
    kinds, *columns = routes["dimensions"]
    layers = trace.layers_with("router_probs")
    assert [one["label"] for one in columns] == [t("viz.layer", layer=layer.index) for layer in layers]
    for column, layer in zip(columns, layers, strict=True):
        assert column["values"] == layer.part("router_probs").argmax(1).tolist()
        named = dict(zip(column["categoryarray"], column["ticktext"], strict=True))
        assert all(named[value] == str(value) for value in column["values"])
    named = dict(zip(kinds["categoryarray"], kinds["ticktext"], strict=True))
    known = [t(f"viz.expert_routes.{kind}") for kind in kinds_of(trace.tokens)]
    assert [named[value] for value in kinds["values"]] == known
    assert routes["line"]["color"] == kinds["values"], "the colour is the kind"
    steps = routes["line"]["colorscale"]
    assert [color for _, color in steps[::2]] == [color for _, color in steps[1::2]], "colours are not blended"
    assert len({color for _, color in steps}) == len(named)
    assert not {color for _, color in steps} & {*theme.experts, *theme.colors.values()}
    ways = {tuple(row) for row in figure.data["first_expert"].values.tolist()}
    assert f"{len(ways)}" in figure.finding and f"{len(trace.tokens)}" in figure.finding
    first = figure.data["first_expert"].values[3].tolist()
    assert figure.body.table.rows[3][2:] == tuple(map(str, first))


def test_the_check_is_green_and_finds_what_is_spoiled(runs, english) -> None:
    trace = runs["jamba"]

    def passed(spoil: Any = None) -> bool:
        figure = expert_routes(trace, theme=LIGHT, t=english)
        if spoil is not None:
            spoil(figure.body.data[0]["dimensions"])
        return proof.check(figure, trace).passed

    def other(columns: list[dict[str, Any]]) -> None:
        columns[1]["values"][0] = (columns[1]["values"][0] + 1) % 8

    def swapped(columns: list[dict[str, Any]]) -> None:
        columns[1], columns[2] = columns[2], columns[1]

    def lacking(columns: list[dict[str, Any]]) -> None:
        columns.pop()

    assert passed()
    assert [passed(spoil) for spoil in (other, swapped, lacking)] == [False] * 3


def test_a_single_token_claims_nothing_and_further_experts_are_owned_up_to(routed_to, english) -> None:
    trace = routed_to(2)
    assert english("viz.expert_routes.note_further", count=2) in expert_routes(trace, theme=LIGHT, t=english).note
    assert (
        english("viz.expert_routes.note_further", count=1)
        not in expert_routes(routed_to(1), theme=LIGHT, t=english).note
    )
    one = dataclasses.replace(trace, tokens=trace.tokens[:1])
    layers = tuple(
        dataclasses.replace(
            layer,
            parts={
                name: dataclasses.replace(part, values=np.array(part.values[:1])) for name, part in layer.parts.items()
            },
        )
        for layer in one.layers
    )
    assert expert_routes(dataclasses.replace(one, layers=layers), theme=LIGHT, t=english).finding == ""
