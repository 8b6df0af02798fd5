"""One pass over a text against the same text token by token with the cache: logits, their difference, both times."""

from typing import Any

import numpy as np

from models.records.steps import StepRun
from models.records.trace import ModelTrace, NamedArray
from viz.figure import Figure, figure
from viz.look.labels import Translate, seconds, short
from viz.look.plotly import PlotSpec, PlotTable, Trace, behaviour, escaped, plotted, written
from viz.look.theme import Theme
from viz.trace.channels import Floats

PANELS = (150, 80, 120)  # pixels of the three plots
TOP, BETWEEN, FOOT = 40, 46, 84  # pixels: above the first, between two, below the last


@figure("token_steps", of="asked")
def token_steps(run: StepRun, trace: ModelTrace, *, theme: Theme, t: Translate) -> Figure:
    """Draw the logit of the token that came next from one pass and token by token, their difference, and both times.

    The difference is the largest of the vocabulary, relative to the largest logit of that place. The time token by
    token is summed up along the text; that of one pass over all of it is a level line.
    """
    logits = np.asarray(trace.logits.values, np.float64)
    wanted = np.array([*(token.id for token in trace.tokens[1:]), int(logits[-1].argmax())])
    whole = logits[np.arange(len(wanted)), wanted]
    serial = np.asarray(run.next_logit.values, np.float64)
    apart = np.asarray(run.difference.values, np.float64) / np.asarray(run.scale.values, np.float64)
    spent = np.cumsum(np.asarray(run.step_seconds.values, np.float64))
    data = {
        "one_pass": NamedArray(whole, ("token",)),
        "token_by_token": NamedArray(serial, ("token",)),
        "difference": NamedArray(apart, ("token",)),
        "seconds": NamedArray(spent, ("token",)),
        "pass_seconds": NamedArray(np.array([run.pass_seconds]), ("once",)),
    }
    alt = t("viz.token_steps.alt", tokens=len(wanted))
    body = _picture(trace, (whole, serial, apart, spent), run.pass_seconds, theme, t)
    finding = t(
        "viz.token_steps.finding",
        difference=f"{apart.max():.1e}",
        once=seconds(run.pass_seconds),
        steps=seconds(float(spent[-1])),
        tokens=len(wanted),
    )
    return Figure("token_steps", body, data, alt, t("viz.token_steps.note"), finding)


def _picture(
    trace: ModelTrace, lines: tuple[Floats, Floats, Floats, Floats], once: float, theme: Theme, t: Translate
) -> PlotSpec:
    """Draw three plots above each other. lines: logits of one pass and of steps, their difference, seconds so far."""
    whole, serial, apart, spent = lines
    color, place = theme.color(trace.architecture), list(range(len(whole)))
    said = [escaped(f"{token.index} · {token.label}") for token in trace.tokens]
    shown: dict[str, Any] = {"type": "scatter", "x": place, "customdata": said}
    hover = "%{customdata}<br>%{y}<extra></extra>"
    line = {"color": theme.muted, "width": 2}
    traces: list[Trace] = [
        shown | {"y": whole.tolist(), "mode": "lines", "line": line, "meta": "one_pass", "showlegend": True,
                 "name": t("viz.token_steps.one_pass"), "yaxis": "y", "hovertemplate": hover},
        shown | {"y": serial.tolist(), "mode": "markers", "meta": "token_by_token", "showlegend": True,
                 "marker": {"color": color, "size": 6, "symbol": "circle-open", "line": {"width": 1.5}},
                 "name": t("viz.token_steps.steps"), "yaxis": "y", "hovertemplate": hover},
        shown | {"y": apart.tolist(), "mode": "markers", "meta": "difference", "showlegend": False,
                 "marker": {"color": color, "size": 5}, "yaxis": "y2", "hovertemplate": hover},
        shown | {"y": (1000 * spent).tolist(), "mode": "lines", "meta": "seconds", "showlegend": False,
                 "line": {"color": color, "width": 2}, "yaxis": "y3", "hovertemplate": hover},
        shown | {"y": [1000 * once] * len(place), "mode": "lines", "meta": "pass_seconds", "showlegend": False,
                 "line": line | {"dash": "6px,4px"}, "yaxis": "y3", "hovertemplate": hover},
    ]  # fmt: skip
    inner = sum(PANELS) + BETWEEN * (len(PANELS) - 1)
    tops = [sum(PANELS[:n]) + BETWEEN * n for n in range(len(PANELS))]
    domains = [[1 - (top + height) / inner, 1 - top / inner] for top, height in zip(tops, PANELS, strict=True)]
    axis = {"showgrid": True, "gridcolor": theme.hairline, "zeroline": False, "nticks": 5}
    layout: dict[str, Any] = {
        "xaxis": {"anchor": "y3", "range": [-0.5, len(place) - 0.5], "title": {"text": t("viz.token_steps.token")}},
        "yaxis": axis | {"domain": domains[0]},
        "yaxis2": axis | {"domain": domains[1], "exponentformat": "e", "rangemode": "tozero", "nticks": 3},
        "yaxis3": axis | {"domain": domains[2], "rangemode": "tozero"},
        "hovermode": "closest",
        "margin": {"l": 62, "r": 12, "t": TOP, "b": FOOT},
        "legend": {"y": -FOOT / inner},
        "annotations": [
            written(t(f"viz.token_steps.{name}"), theme, x=0, xanchor="left", xshift=-56, y=domain[1], yanchor="bottom",
                    yshift=6)
            for name, domain in zip(("panel_logit", "panel_difference", "panel_time"), domains, strict=True)
        ],
    }  # fmt: skip
    rows = [
        (f"{token.index} · {token.label}", *(short(float(one[n])) for one in (whole, serial)), f"{apart[n]:.1e}",
         seconds(float(spent[n])))
        for n, token in enumerate(trace.tokens)
    ]  # fmt: skip
    names = ("token", "one_pass", "steps", "panel_difference", "panel_time")
    table = PlotTable(tuple(t(f"viz.token_steps.{name}") for name in names), tuple(rows))
    height = TOP + inner + FOOT
    return plotted(traces, layout, table, theme=theme, t=t, height=height, config=behaviour(t))
