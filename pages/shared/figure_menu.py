"""What every figure card offers: full screen, definition, pictures, numbers, link, in one menu.

The page draws two buttons and keeps two downloads ready; assets/scripts/figure_menu.js makes the menu in the browser,
which also makes the pictures, from what is drawn. The words of the menu are told once per page, with the document.
"""

import csv
import io
import re
import zipfile
from collections.abc import Iterable, Mapping
from functools import lru_cache, partial
from typing import Any

import numpy as np
import streamlit as st

from models.records.trace import NamedArray
from pages.shared import html
from pages.shared.words import i18n, language
from viz.figure import Figure

_NO_NAME = re.compile(r"[^\w.+ -]")  # what leads out of a folder, or is no name of a file
_WORDS = {
    "menu": "figure.menu",
    "full": "figure.full_screen",
    "leave": "figure.leave_full_screen",
    "definition": "figure.definition",
    "png": "figure.save_png",
    "svg": "figure.save_svg",
    "csv": "figure.save_csv",
    "npz": "figure.save_npz",
    "link": "figure.link",
    "link_text": "figure.link_text",
    "copied": "figure.link_copied",
    "failed": "figure.no_picture",
    "no_full": "figure.no_full_screen",
    "mark": "frame.title",
}


@lru_cache(8)
def words(lang: str) -> Mapping[str, str]:
    """Return what the script of the menu says in a language, by the names that it uses."""
    return {name: i18n.say(lang, key) for name, key in _WORDS.items()}


def buttons(figure_id: str, source: str) -> html.Html:
    """Make the two buttons of a card. source: what the figure was drawn from, in words that its pictures repeat."""
    return _buttons(figure_id, source, language.current())


@lru_cache(256)
def _buttons(figure_id: str, source: str, lang: str) -> html.Html:
    told = words(lang)
    full = html.element(
        "button", _symbol("full"), class_="cs-full", type="button", aria_label=told["full"], title=told["full"]
    )
    menu = html.element(
        "button",
        html.element("span", told["menu"]),
        _symbol("open"),
        class_="cs-menu",
        type="button",
        aria_haspopup="menu",
        aria_expanded="false",
        data_figure=figure_id,
        data_source=source or None,
    )
    return html.element("div", full, menu, class_="cs-tools")


def _symbol(name: str) -> html.Html:
    return html.element("span", class_=f"cs-symbol cs-symbol-{name}", aria_hidden="true")


def files(fig: Figure, key: str) -> None:
    """Keep the downloads of the drawn numbers ready; the menu presses these buttons, which are not on screen."""
    packed = len(fig.data) > 1
    with st.container(key=f"files-{key}"):
        st.download_button(
            "CSV (ZIP)" if packed else "CSV",
            partial(to_csv, fig.data),
            file_name=f"{fig.id}.{'zip' if packed else 'csv'}",
            mime="application/zip" if packed else "text/csv",
            key=f"{key}.csv",
            on_click="ignore",
        )
        st.download_button(
            "NPZ",
            partial(to_npz, fig.data),
            file_name=f"{fig.id}.npz",
            mime="application/octet-stream",
            key=f"{key}.npz",
            on_click="ignore",
        )


def to_csv(data: Mapping[str, NamedArray]) -> bytes:
    """Write arrays as CSV, a row per number with its indices; several arrays become a ZIP of one file each."""
    if len(data) == 1:
        return _csv(*data.values())
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in zip(_file_names(data), data.values(), strict=True):
            archive.writestr(f"{name}.csv", _csv(array))
    return out.getvalue()


def to_npz(data: Mapping[str, NamedArray]) -> bytes:
    """Write arrays as NPZ; the names of the dimensions follow each as <name>.dims."""
    out = io.BytesIO()
    arrays: dict[str, Any] = {}
    for name, array in zip(_file_names(data), data.values(), strict=True):
        arrays[name] = array.values
        arrays[f"{name}.dims"] = np.array(array.dims)
    np.savez_compressed(out, **arrays)
    return out.getvalue()


def _file_names(names: Iterable[str]) -> list[str]:
    """Return a name of a file for each array: the name of a series may come with a file of another program."""
    found: list[str] = []
    for name in names:
        plain = _NO_NAME.sub("_", name) or "_"
        count = sum(other == plain or other.startswith(f"{plain} (") for other in found)
        found.append(f"{plain} ({count + 1})" if count else plain)
    return found


def _csv(array: NamedArray) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*array.dims, "value"])
    writer.writerows((*index, value) for index, value in np.ndenumerate(array.values))
    return out.getvalue().encode()
