"""Each picker writes its own place, which the page reads back and the address carries."""

import pytest
from streamlit.testing.v1 import AppTest


def page() -> None:
    import streamlit as st

    from pages.shared import controls
    from pages.shared.state import session

    visit = session.start("transformer")
    layer = controls.layer_picker("transformer", range(20), default=3)
    head = controls.head_picker("transformer", 20, default=4)
    channel = controls.channel_picker("transformer", range(20), default=5)
    other = controls.layer_picker("transformer", range(20), default=6, name="router_layer", at="bars")
    st.text(f"{layer} {head} {channel} {other}")
    st.text(str(visit.query()))


@pytest.mark.parametrize(
    ("key", "name", "shown"),
    [
        ("layer", "layer", "9 4 5 6"),
        ("head", "head", "3 9 5 6"),
        ("channel", "channel", "3 4 9 6"),
        ("router_layer.bars", "router_layer", "3 4 5 9"),
    ],
)
def test_a_picker_writes_its_own_place_and_no_other(key: str, name: str, shown: str) -> None:
    at = AppTest.from_function(page, default_timeout=60).run()
    assert [text.value for text in at.text] == ["3 4 5 6", "{}"]
    at.select_slider(key=f"transformer.{key}").set_value(9).run()
    assert [text.value for text in at.text] == [shown, str({name: "9"})]
    assert not at.exception
