"""The gallery as one HTML file that needs no network: canvas pictures are drawn, charts are told as data."""

import base64
import html
import json
from collections.abc import Iterable, Iterator, Mapping
from string import Template
from typing import Any, cast

import numpy as np

from models.records.trace import NamedArray
from viz import hero, mechanism
from viz.canvas import CanvasSpec, script, styles
from viz.figure import Figure
from viz.finder.spec import Finder
from viz.look.plotly import PlotSpec
from viz.look.theme import Theme
from viz.look.vega import VegaSpec
from viz.ranking import Ranking

VALUES = 24  # of an array that are written out

PAGE = Template("""<!DOCTYPE html>
<html lang="$lang"><head><meta charset="utf-8"><title>Contextscope: all figures</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body { margin: 0 auto; padding: 24px 16px; max-width: 960px; background: $ground; color: $ink; font-family: $font }
section { margin: 0 0 32px; padding: 16px; background: $card; border: 1px solid $hairline; border-radius: 12px }
h2 { margin: 0; font-size: 18px } p { color: $muted; font-size: 14px } code, td, pre { font: 12px $mono }
td { padding: 2px 12px 2px 0; vertical-align: top; overflow-wrap: anywhere } pre { overflow: auto; max-height: 320px }
.host { position: relative }
$styles
</style></head><body>
<h1>All figures</h1>
<p>$count figures of sample records, computed from formulas.</p>
$sections
<script type="application/octet-stream" id="canvas">$canvas</script>
<script type="application/octet-stream" id="hero">$hero</script>
<script type="application/octet-stream" id="mechanism">$mechanism</script>
<script type="module">
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const modules = {};
for (const name of ["canvas", "hero", "mechanism"]) {
  const source = new TextDecoder().decode(bytes(document.getElementById(name).textContent));
  modules[name] = await import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
}
for (const host of document.querySelectorAll(".host")) {
  const data = bytes(host.querySelector("script").textContent);
  modules[host.dataset.component].default({ data, parentElement: host, setTriggerValue: () => {} });
}
</script></body></html>
""")


def page(figures: Iterable[Figure], names: Mapping[str, str], *, theme: Theme, lang: str) -> str:
    """Write all figures as HTML, with their names by id."""
    figures = list(figures)
    look = {name: getattr(theme, name) for name in ("ground", "card", "hairline", "ink", "muted", "font", "mono")}
    return PAGE.substitute(
        look,
        lang=lang,
        styles=f"{styles()}\n{hero.styles()}\n{mechanism.styles()}",
        count=len(figures),
        sections="\n".join(_section(one, names.get(one.id, one.id)) for one in figures),
        canvas=_base64(script().encode()),
        hero=_base64(hero.script().encode()),
        mechanism=_base64(mechanism.script().encode()),
    )


def _section(figure: Figure, name: str) -> str:
    note = f"<p>{html.escape(figure.note)}</p>" if figure.note else ""
    title = f"<h2>{html.escape(name)} <code>{html.escape(figure.id)}</code></h2>"
    drawn = figure.body
    if isinstance(drawn, CanvasSpec | hero.HeroSpec | mechanism.MechanismSpec):
        body = _drawn(drawn)
    else:
        body = _rows(figure) if isinstance(drawn, Finder | Ranking) else _chart(figure)
    return f'<section id="{html.escape(figure.id)}">{title}<p>{html.escape(figure.alt)}</p>{body}{note}</section>'


def _drawn(spec: CanvasSpec | hero.HeroSpec | mechanism.MechanismSpec) -> str:
    kinds = {CanvasSpec: "canvas", hero.HeroSpec: "hero", mechanism.MechanismSpec: "mechanism"}
    payload, kind = _base64(spec.payload()), kinds[type(spec)]
    held = f'<script type="application/octet-stream">{payload}</script>'
    return f'<div class="host" data-component="{kind}"><div class="root"></div>{held}</div>'


def _chart(figure: Figure) -> str:
    """Tell a chart: its arrays and its specification. Vega and plotly themselves would add megabytes to the page."""
    body = cast("VegaSpec | PlotSpec", figure.body)
    spec, kind = body.to_dict(), "plotly" if isinstance(body, PlotSpec) else "Vega-Lite"
    text = html.escape(json.dumps(spec, ensure_ascii=False, indent=1, default=str))
    return f"{_rows(figure)}<details><summary>{kind}</summary><pre>{text}</pre></details>"


def _rows(figure: Figure) -> str:
    """Write the arrays of a figure as a table."""
    rows = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in _told(figure.data))
    return f"<table>{rows}</table>"


def _told(data: Mapping[str, NamedArray]) -> Iterator[tuple[str, str, str]]:
    for name, array in data.items():
        values: Any = array.values.ravel()
        first = ", ".join(f"{value:.4g}" for value in values[:VALUES])
        shape = " × ".join(f"{size} {dim}" for dim, size in array.sizes.items())
        yield name, shape, first + (", …" if np.size(values) > VALUES else "")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
