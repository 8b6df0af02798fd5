"""The next token as drawn: the numbers of the logits, every place of the text, and a badge that sees what is wrong."""

import base64
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.generation.distribution import Sampling
from models.generation.distribution import next_token as distribution
from models.records.trace import ModelTrace, NamedArray
from viz import proof
from viz.canvas.payload import Planes, decode, encode
from viz.figure import Figure
from viz.look.theme import DARK, LIGHT
from viz.ranking import script
from viz.trace import next_word as module
from viz.trace.next_word import BEST, next_word

SETTINGS = [{}, {"temperature": 0.5}, {"top_k": 3}, {"top_p": 0.6}, {"temperature": 1.5, "top_k": 6, "top_p": 0.8}]


def sent(figure: Figure, column: int = 0) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What the browser reads of one column: its header, and its arrays (place, row) or (place,)."""
    header, planes = decode(figure.body.payload())  # type: ignore[union-attr]
    found = header["columns"][column]
    names = ("places", "label", "rank", "logit", "own", "scaled", "drawn", "kept", "mass")
    arrays = {name: planes[found[name]] for name in names}
    return found, {n: a if n in ("places", "kept", "mass") else a.reshape(-1, found["rows"]) for n, a in arrays.items()}


@pytest.mark.parametrize("settings", SETTINGS)
def test_every_number_is_one_of_the_distribution(trace: ModelTrace, english, settings: dict) -> None:
    column, arrays = sent(next_word([trace], theme=LIGHT, t=english, **settings))
    assert arrays["places"].tolist() == list(range(len(trace.tokens)))
    for place in range(len(trace.tokens)):
        found = distribution(trace.logits.values[place], Sampling(**settings))
        for row, token in enumerate(found.order[:BEST]):
            assert column["labels"][int(arrays["label"][place, row])] == trace.label_of(int(token))
            assert arrays["own"][place, row] == pytest.approx(found.own[token], rel=1e-6)
            assert arrays["drawn"][place, row] == pytest.approx(found.probs[token], rel=1e-6)
            assert arrays["logit"][place, row] == pytest.approx(found.logits[token], rel=1e-6)
            assert arrays["rank"][place, row] == row + 1
            kept = np.isfinite(found.scaled[token])
            assert np.isfinite(arrays["scaled"][place, row]) == kept
            assert not kept or arrays["scaled"][place, row] == pytest.approx(found.scaled[token], rel=1e-6)
        assert arrays["kept"][place] == found.kept
        assert arrays["mass"][place] == pytest.approx(found.kept_mass, rel=1e-6)


def test_the_word_that_came_has_its_surprisal(trace: ModelTrace, english) -> None:
    """Its own probability is the one from which the trace has -log2."""
    column, arrays = sent(next_word([trace], theme=LIGHT, t=english))
    for place, token in enumerate(trace.tokens[1:]):
        assert column["labels"][int(arrays["label"][place, -1])] == trace.label_of(token.id)
        assert -np.log2(arrays["own"][place, -1]) == pytest.approx(trace.surprisal.values[place + 1], rel=1e-4)
    assert np.isnan(arrays["label"][-1, -1]), "nothing comes after the last token"


def test_it_shows_the_chosen_place_of_every_model(traces: dict[str, ModelTrace], english) -> None:
    every = list(traces.values())
    figure = next_word(every, theme=DARK, t=english, at=(1, 2, 3, 99))
    last = len(every[3].tokens) - 1
    assert [sent(figure, n)[0]["at"] for n in range(4)] == [1, 2, 3, last]
    assert [sent(figure, n)[0]["color"] for n in range(4)] == [DARK.color(one.architecture) for one in every]
    alone = next_word(every, theme=DARK, t=english, at=(1, 2, 3, 4), alone=True)
    assert [sent(alone, n)[1]["places"].tolist() for n in range(4)] == [[1], [2], [3], [4]]


def test_a_long_text_over_a_large_vocabulary_shows_the_chosen_place_alone(trace, english, monkeypatch) -> None:
    monkeypatch.setattr(module, "HELD", trace.logits.values.size - 1)
    figure = next_word([trace], theme=LIGHT, t=english, at=(4,))
    assert sent(figure)[1]["places"].tolist() == [4]
    assert proof.check(figure, [trace], at=(4,)).passed  # type: ignore[union-attr]


def test_a_guess_is_told_with_its_rank_and_probability(trace: ModelTrace, english) -> None:
    logits = trace.logits.values[4].astype(np.float64)
    token = int(np.argsort(-logits)[5])
    guess = sent(next_word([trace], theme=LIGHT, t=english, at=(4,), guesses=(token,)))[0]["guess"]
    own = np.exp(logits[token]) / np.exp(logits).sum()
    assert guess == [trace.label_of(token), 6, pytest.approx(own)]
    assert sent(next_word([trace], theme=LIGHT, t=english, at=(4,)))[0]["guess"] is None


@pytest.mark.parametrize("settings", [*SETTINGS, {"at": (3,), "guesses": (2,)}, {"at": (3,), "alone": True}])
def test_the_badge_is_green(trace: ModelTrace, english, settings: dict) -> None:
    figure = next_word([trace], theme=LIGHT, t=english, **settings)
    found = proof.check(figure, [trace], **settings)
    assert found is not None and found.passed and found.kind == "recomputed"


def spoiled(figure: Figure, name: str, change) -> Figure:
    """The same figure, one array of whose payload was changed on its way to the browser."""
    header, planes = decode(figure.body.payload())  # type: ignore[union-attr]
    arrays = [plane.copy() for plane in planes]
    target = header["columns"][0]
    if name in ("labels", "at", "guess", "vocabulary"):
        target[name] = change(target[name])
    else:
        arrays[target[name]] = change(arrays[target[name]])
    again = Planes()
    for plane in arrays:
        again.add(plane)
    body = dataclasses.replace(figure.body)  # type: ignore[type-var]
    body._encoded.append(encode({k: v for k, v in header.items() if k not in ("planes", "version")}, again))
    return dataclasses.replace(figure, body=body)


def swapped(values: np.ndarray) -> np.ndarray:
    return np.concatenate([values[1:2], values[:1], values[2:]])


@pytest.mark.parametrize(
    ("name", "change"),
    [(name, lambda values: values * 1.01) for name in ("logit", "own", "scaled", "drawn", "mass")]
    + [(name, swapped) for name in ("label", "own", "rank", "drawn", "scaled")]
    + [("kept", lambda values: values + 1), ("rank", lambda values: values + 1), ("at", lambda at: at - 1)]
    + [("labels", lambda labels: ["x", *labels[1:]]), ("guess", lambda guess: [guess[0], guess[1] + 1, guess[2]])]
    + [("guess", lambda guess: None), ("places", lambda places: places[::-1].copy())],
)
def test_a_spoiled_list_turns_the_badge_red(traces: dict[str, ModelTrace], english, name: str, change) -> None:
    trace, choice = traces["mamba"], {"temperature": 0.5, "top_k": 4, "top_p": 0.9, "at": (5,), "guesses": (3,)}
    figure = next_word([trace], theme=LIGHT, t=english, **choice)
    assert proof.check(figure, [trace], **choice).passed  # type: ignore[union-attr]
    assert not proof.check(spoiled(figure, name, change), [trace], **choice).passed  # type: ignore[union-attr]


def test_lists_of_other_settings_or_of_another_model_are_red(traces: dict[str, ModelTrace], english) -> None:
    trace = traces["rwkv"]
    figure = next_word([trace], theme=LIGHT, t=english, top_k=4)
    assert not proof.check(figure, [trace]).passed  # type: ignore[union-attr]
    moved = NamedArray(np.roll(trace.logits.values, 1, axis=1), ("token", "vocab"))
    other = dataclasses.replace(trace, logits=moved)
    assert not proof.check(next_word([other], theme=LIGHT, t=english), [trace]).passed  # type: ignore[union-attr]
    assert not proof.check(figure, [trace, trace], top_k=4).passed  # type: ignore[union-attr]


def test_equal_logits_keep_the_lower_id_first(traces: dict[str, ModelTrace], english) -> None:
    trace = traces["jamba"]
    flat = dataclasses.replace(trace, logits=NamedArray(np.zeros_like(trace.logits.values), ("token", "vocab")))
    figure = next_word([flat], theme=LIGHT, t=english, top_k=2)
    column, arrays = sent(figure)
    assert [column["labels"][int(n)] for n in arrays["label"][0, :BEST]] == [flat.label_of(n) for n in range(BEST)]
    assert proof.check(figure, [flat], top_k=2).passed  # type: ignore[union-attr]


def test_no_text_reaches_the_page_as_markup(traces: dict[str, ModelTrace], english) -> None:
    """The script writes every word as text, and a hostile name of a token arrives unchanged."""
    assert "innerHTML" not in script() and "insertAdjacentHTML" not in script()
    hostile = "<img src=x onerror=alert(1)>"
    trace = dataclasses.replace(traces["mamba"], label_of=lambda _: hostile)
    assert set(sent(next_word([trace], theme=LIGHT, t=english))[0]["labels"]) == {hostile}


def test_every_word_of_the_lists_is_there(t) -> None:
    from viz.gallery import samples

    figure = next_word([samples.traces()["mamba"]], theme=LIGHT, t=t)
    header, _ = decode(figure.body.payload())  # type: ignore[union-attr]
    assert json.dumps(header["words"]).count("viz.") == 0
    assert "{rank}" in header["words"]["came"] and "{share}" in header["words"]["kept"]


PAGE = """<div id="host"><div class="root"></div></div>
<script type="module">
const heard = new Set();
let state = { token: null, span: null, frame: null };
window.contextscope = { selection: { get: () => state, on: (f) => (heard.add(f), () => heard.delete(f)) } };
window.choose = (next) => {
  state = { ...state, ...next };
  heard.forEach((f) => f({ state, changed: new Set(Object.keys(next)) }));
};
window.listeners = () => heard.size;
const source = new TextDecoder().decode(Uint8Array.from(atob("SCRIPT"), (c) => c.charCodeAt(0)));
const board = await import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
const data = Uint8Array.from(atob("DATA"), (c) => c.charCodeAt(0));
window.close_board = board.default({ data, parentElement: document.getElementById("host") });
window.ready = true;
</script>"""


@pytest.mark.browser
@pytest.mark.skipif(not Path("/usr/bin/chromium").exists(), reason="no Chromium")
def test_the_lists_follow_the_selection_without_the_server(traces: dict[str, ModelTrace], english, blank) -> None:
    """A token, a moment and characters of another cut choose the place; a number out of range changes nothing."""
    trace = traces["mamba"]
    figure = next_word([trace], theme=LIGHT, t=english, at=(2,))
    coded = [base64.b64encode(part).decode() for part in (script().encode(), figure.body.payload())]  # type: ignore[union-attr]
    page = blank()
    page.set_content(PAGE.replace("SCRIPT", coded[0]).replace("DATA", coded[1]))
    page.wait_for_function("window.ready === true")

    def shown(**chosen: Any) -> str:
        page.evaluate("(next) => window.choose(next)", chosen)
        return page.locator(".after").inner_text()

    assert page.locator(".after").inner_text() == f"after “{trace.tokens[2].label}”"
    assert page.locator("tbody tr").count() == BEST
    assert shown(token=5) == f"after “{trace.tokens[5].label}”"
    assert trace.tokens[6].label in page.locator(".came").inner_text() or trace.label_of(trace.tokens[6].id) in (
        page.locator(".came").inner_text()
    )
    assert shown(frame=1) == f"after “{trace.tokens[1].label}”"
    assert shown(frame=None, token=0, span=[8, 9]) == f"after “{trace.tokens[8].label}”"
    assert shown(token=99, span=None) == f"after “{trace.tokens[2].label}”"
    page.evaluate("window.close_board()")
    assert page.evaluate("window.listeners()") == 0
    page.close()


def written_share(share: float) -> str:
    """Write a share as the lists do: one decimal below ten percent, and less than a tenth as that."""
    if 0 < share < 0.0005:
        return "<0.1%"
    return f"{100 * share:.1f}%" if share < 0.0995 else f"{100 * share:.0f}%"


TABLE = """() => [...document.querySelectorAll("tbody tr")].map((row) => [
  ...[...row.children].map((cell) => cell.textContent),
  row.querySelector(".fill").style.width, row.querySelector(".tick")?.style.left ?? null,
  row.classList.contains("real"), row.classList.contains("out"),
])"""


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.skipif(not Path("/usr/bin/chromium").exists(), reason="no Chromium")
@pytest.mark.parametrize("drawn", [False, True], ids=["plain", "drawn"])
def test_every_cell_of_a_list_is_written_from_its_own_number(traces, english, blank, drawn: bool) -> None:
    """Own and drawn probability, logit before and after the temperature, bars against the largest, the sentences."""
    trace = traces["mamba"]
    settings: dict[str, Any] = {"temperature": 0.5, "top_k": 5, "top_p": 0.9} if drawn else {}
    figure = next_word([trace], theme=LIGHT, t=english, at=(4,), guesses=(7,), **settings)
    coded = [base64.b64encode(part).decode() for part in (script().encode(), figure.body.payload())]  # type: ignore[union-attr]
    page = blank()
    page.set_content(PAGE.replace("SCRIPT", coded[0]).replace("DATA", coded[1]))
    page.wait_for_function("window.ready === true")
    for place in (4, 7):
        page.evaluate("(token) => window.choose({ token })", place)
        z = trace.logits.values[place].astype(np.float64)
        found = distribution(z, Sampling(**settings))
        order = sorted(range(len(z)), key=lambda one: -z[one])
        most = max(max(found.own[one], found.probs[one] if drawn else 0) for one in order[:BEST])
        came = trace.tokens[place + 1].id
        for one, row in zip(order[:BEST], page.evaluate(TABLE), strict=True):
            out = bool(drawn and not found.probs[one])
            own, taken = written_share(found.own[one]), "left out" if out else written_share(found.probs[one])
            scaled = f" \u2192 {z[one] / 0.5:.2f}" if drawn and not out else ""
            *cells, width, tick, real, faint = row
            assert cells == [trace.label_of(one), "", own, *([taken] if drawn else []), f"{z[one]:.2f}{scaled}"]
            bar = 0.0 if out else 100 * (found.probs[one] if drawn else found.own[one]) / most
            assert float(width.removesuffix("%").removesuffix("px")) == pytest.approx(bar, abs=1e-3)
            assert (tick is None) != drawn
            if tick:
                assert float(tick.removesuffix("%")) == pytest.approx(100 * found.own[one] / most, abs=1e-3)
            assert (real, faint) == (one == came, out)
        said = {"token": f"\u201c{trace.label_of(came)}\u201d", "rank": str(1 + order.index(came))}
        bits = f"{-np.log2(found.own[came]):.2f}"
        known = english("viz.next_word.came", share=written_share(found.own[came]), bits=bits, **said)
        assert page.locator(".came").inner_text() == known
        if drawn:
            kept = {"kept": str(found.kept), "vocabulary": "12", "share": written_share(found.kept_mass)}
            assert page.locator(".kept").inner_text() == english("viz.next_word.kept", **kept)
        own = np.exp(z) / np.exp(z).sum()
        guess = {
            "token": f"\u201c{trace.label_of(7)}\u201d",
            "rank": str(1 + order.index(7)),
            "share": written_share(own[7]),
        }
        told = page.locator(".guess").all_inner_texts()
        assert told == ([english("viz.next_word.guess", **guess)] if place == 4 else []), "of its own place alone"
    page.close()
