"""The cache of keys and values: bytes by counting, other numbers of heads, windows, the check, and what is drawn."""

import dataclasses

import numpy as np
import pytest
from attention_records import trace_of
from figure_words import strict
from mechanism_page import mounted, sums, told

from models.records.trace import ModelTrace, NamedArray
from models.units import size
from viz import proof
from viz.look.theme import LIGHT
from viz.mechanism import Plane, read
from viz.trace.kv_cache import kept_tokens, kv_cache


def counted(trace: ModelTrace) -> ModelTrace:
    """Give a trace the bytes of the cache that its layers keep, counted array by array in float32."""
    total = sum(2 * 4 * layer.part("head_key")[:, -_kept(layer) :].size for layer in trace.layers)
    return dataclasses.replace(trace, cache_bytes=total, cache_bytes_formula=total)


def _kept(layer) -> int:
    return int(kept_tokens(layer)[-1])


@pytest.fixture
def made(traces):
    def of(length: int, **options) -> ModelTrace:
        return counted(trace_of(traces["transformer"], length, **options))

    return of


def drawn(trace: ModelTrace, lang: str = "en"):
    return kv_cache(trace, theme=LIGHT, t=strict(lang))


def test_bytes_are_those_of_every_number_of_heads(made) -> None:
    """2 layers x 2 (key and value) x 5 numbers x 4 bytes = 80 for each head and token; 4 query heads, 2 with keys."""
    trace = made(7)
    figure = drawn(trace)
    planes = read(figure.body.payload()).planes
    assert planes["kv_heads"].tolist() == [1, 2, 4]
    np.testing.assert_array_equal(planes["bytes"], [[80 * n * (t + 1) for t in range(7)] for n in (1, 2, 4)])
    assert trace.cache_bytes == 80 * 2 * 7 and size(1120) in figure.finding
    assert figure.body.steps[figure.body.first].key == "2" and "this model" in figure.body.steps[1].title


@pytest.mark.parametrize(
    ("window", "kept"), [(3, [1, 2, 2, 2, 2]), (1, [1, 2, 3, 4, 5]), (9, [1, 2, 3, 4, 5]), (None, [1, 2, 3, 4, 5])]
)
def test_a_window_keeps_one_token_less_than_it_reads(made, window, kept) -> None:
    """As transformers' sliding cache, and as the accounting counts it; a window of one keeps the whole."""
    trace = made(5, window=window)
    np.testing.assert_array_equal(read(drawn(trace).body.payload()).planes["kept"], [kept] * 2)


@pytest.mark.parametrize("length", [1, 2, 9])
@pytest.mark.parametrize("window", [None, 4])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_a_healthy_record_passes(made, length: int, window, groups: int) -> None:
    trace = made(length, window=window, groups=groups)
    check = proof.check(drawn(trace), trace)
    assert check is not None and check.passed and check.error < 1e-6


@pytest.mark.parametrize("name", ["kept", "bytes"])
@pytest.mark.parametrize("spoil", [lambda v: 1.1 * v, lambda v: v[:, ::-1], lambda v: v + 1, lambda v: v * np.nan])
def test_spoiled_numbers_are_red(made, name: str, spoil) -> None:
    trace = made(6)
    figure = drawn(trace)
    bad = NamedArray(np.array(spoil(np.asarray(figure.data[name].values, float))), figure.data[name].dims)
    planes = {**figure.body.planes, name: Plane(bad.values, bad.dims)}
    body = dataclasses.replace(figure.body, planes=planes)
    check = proof.check(dataclasses.replace(figure, data={**figure.data, name: bad}, body=body), trace)
    assert check is not None and not check.passed


def test_live_tensors_that_differ_from_the_formula_are_red(made) -> None:
    trace = dataclasses.replace(made(6), cache_bytes=999)
    check = proof.check(drawn(trace), trace)
    assert check is not None and not check.passed


@pytest.fixture
def mount(blank):
    pages = []

    def opened(figure, *, width: int = 774):
        page = blank(max(width, 390), motion="reduce")
        pages.append(page)
        return mounted(page, figure.body, width=width)

    yield opened
    for page in pages:
        page.close()


@pytest.mark.browser
def test_words_and_arithmetic_follow_token_and_heads(made, mount) -> None:
    trace = made(7)
    page = mount(drawn(trace))
    for place, heads in enumerate((1, 2, 4)):
        page.locator(".step").nth(place).click()
        for token in (0, 3, 6):
            page.evaluate("(token) => store.set({ token })", token)
            total = 80 * heads * (token + 1)
            said = page.locator(".says").inner_text()
            assert f"After {token + 1} tokens" in said and size(total) in said and size(80 * heads) in said
            found = {one["name"]: one["text"] for one in sums(page)}
            product = [int(found[name].replace(",", "")) for name in ("layers", "kept", "heads", "width", "element")]
            assert 2 * np.prod(product) == total == int(found["bytes"].replace(",", "")) and found["size"] == size(
                total
            )
            assert ("live" in found) == (heads == 2)
            if heads == 2:
                assert found["live"] == found["formula"] == f"{trace.cache_bytes:,}"
            written = next(one["text"] for one in told(page) if one["name"] == "bytes")
            assert written == size(total)
    assert page.errors == []


@pytest.mark.browser
def test_the_areas_are_as_high_as_the_bytes(made, mount) -> None:
    """Columns of pixels between the axis and the line of four heads: half of them are filled with two heads."""
    trace = made(8)
    page = mount(drawn(trace))
    page.evaluate("store.set({ token: 7 })")
    box = page.evaluate("(({ box, slot }) => ({ ...box, slot }))(document.querySelector('.root').plan())")
    script = """([x, y, height]) => {
      const { data } = document.querySelector('.board').getContext('2d').getImageData(x, y + 2, 1, height - 4);
      let n = 0;
      for (let i = 0; i < data.length; i += 4) if (data[i + 2] - data[i] > 20) n++;
      return n }"""
    for place, heads in enumerate((1, 2, 4)):
        page.locator(".step").nth(place).click()
        for token in range(7):
            filled = page.evaluate(script, [box["x"] + (token + 0.5) * box["slot"], box["y"], box["height"]])
            known = box["height"] * heads * (token + 1) / (4 * 8)
            assert filled == pytest.approx(known, abs=6), (heads, token)


@pytest.mark.browser
@pytest.mark.parametrize("width", [320, 774])
@pytest.mark.parametrize("length", [1, 2, 256])
def test_it_fits_and_points_at_layers(made, mount, width: int, length: int) -> None:
    figure = drawn(made(length, d_head=2))
    page = mount(figure, width=width)
    for place in range(3):
        page.locator(".step").nth(place).click()
        height = page.evaluate("document.querySelector('#host').getBoundingClientRect().height")
        assert height == pytest.approx(figure.body.height(width), abs=1)
    plan = page.evaluate("document.querySelector('.root').plan()")
    box = plan["box"]
    stage = page.locator(".stage")
    stage.hover(position={"x": box["x"] + box["width"] - 0.4 * plan["slot"], "y": box["y"] + box["height"] - 3})
    assert "layer 0" in page.locator(".tip.on").inner_text() and page.evaluate("store.get().hover") == length - 1
    stage.hover(position={"x": box["x"] + box["width"] - 0.4 * plan["slot"], "y": box["y"] + 3})
    assert "layer 1" in page.locator(".tip.on").inner_text()
    assert page.errors == []


@pytest.mark.browser
def test_bytes_are_written_as_everywhere(blank) -> None:
    """The script writes bytes as models.units does."""
    from viz.mechanism import script

    page = blank()
    page.set_content("")
    values = [0, 1, 999, 1023, 1024, 1100, 10240, 1048000, 1048575, 1048576, 3.5e9, 123456789]
    page.add_script_tag(content=script().replace("export default", "window.draw ="))
    assert page.evaluate("(values) => values.map(inBytes)", values) == [size(value) for value in values]
