"""Render a run as a Markdown table or as one self-contained HTML page."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from html import escape
from types import MappingProxyType

from models import units
from models.bench.judge.statistics import spread
from models.bench.report.svg import Point, chart, legend
from models.looks import looks
from models.records.measurement import Measurement
from models.records.run import Run, fingerprint

Words = Callable[..., str]
_STYLE = """
:root { color-scheme: light dark; --ink: #1B1F24; --muted: #5C6570; --card: #FFFFFF; --hairline: #E4E4DF }
@media (prefers-color-scheme: dark) { :root { --ink: #E9ECEF; --muted: #9AA5B1; --card: #171C22; --hairline: #29313A } }
body { margin: 2rem auto; max-width: 84rem; padding: 0 1.25rem; color: var(--ink); background: var(--card);
  font: 15px/1.5 system-ui, sans-serif; overflow-wrap: anywhere }
h1 { font-size: 1.5rem; margin: 0 0 1rem } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.25rem; margin: 0 } dd { margin: 0 }
dt, .note, figcaption { color: var(--muted) } .wide { overflow-x: auto }
table { font-size: 14px; border-collapse: collapse; width: 100%; overflow-wrap: normal }
td { font-variant-numeric: tabular-nums }
th, td { padding: .35rem .6rem; border-bottom: 1px solid var(--hairline); text-align: left; vertical-align: top }
th { font-weight: 600 } td.n, th.n { text-align: right; white-space: nowrap }
.charts { display: flex; flex-wrap: wrap; gap: 1.5rem } figure { flex: 1 1 22rem; margin: 0; min-width: 0 }
svg { width: 100%; height: auto; display: block } svg text { font: 12px system-ui, sans-serif; fill: var(--muted) }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.25rem; margin: 1.25rem 0 .5rem } .legend svg { width: 28px }
.legend span { display: inline-flex; align-items: center; gap: .4rem }
.grid { stroke: var(--hairline) } .line { fill: none; stroke-width: 2 } .dot { stroke: none } .bar { stroke-width: 1.5 }
"""
_NUMBERS = ("context", "batch", "prefill", "decode", "rate", "cache", "peak", "parity")
_SETTINGS = ("size", "batch", "device", "dtype")  # said once where they are the same in all rows
_COLUMNS = ("architecture", "source", "context", *_SETTINGS, "state", *_NUMBERS[2:], "reason")
_NOTHING: Mapping[str, object] = MappingProxyType({})
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|~#&$])")


def markdown(run: Run, words: Words) -> str:
    """Write a run as Markdown: what it is, its rows as a table, and what ran where."""
    head, body, shared = _table(run, words)
    rule = ["--:" if column in _NUMBERS else "---" for column in head]
    facts = [f"- {_md(name)}: {_md(value)}" for name, value in [*_facts(run, words), *shared]]
    lines = [f"# {_md(_title(run, words))}", "", *facts]
    lines += ["", words("store.report.note"), ""]
    lines += [_pipes(map(_md, head.values())), _pipes(rule), *(_pipes(map(_md, row)) for row in body)]
    for key, pairs in (("code", _code(run, words)), ("environment", _environment(run))):
        lines += ["", f"## {words(f'store.report.{key}')}", "", *(f"- {_md(a)}: {_md(b)}" for a, b in pairs)]
    return "\n".join(lines) + "\n"


def html(run: Run, words: Words) -> str:
    """Write a run as one page: no script, nothing loaded from anywhere, every text escaped."""
    head, body, shared = _table(run, words)
    kinds = [' class="n"' if column in _NUMBERS else "" for column in head]
    cells = "".join(
        f'<th scope="col"{kind}>{escape(name)}</th>' for name, kind in zip(head.values(), kinds, strict=True)
    )
    rows = "".join(
        "<tr>" + "".join(f"<td{kind}>{escape(text)}</td>" for text, kind in zip(row, kinds, strict=True)) + "</tr>\n"
        for row in body
    )
    title = escape(_title(run, words))
    return f"""<!DOCTYPE html>
<html lang="{escape(words("store.report.lang"))}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{_colors()}{_STYLE}</style>
</head>
<body>
<h1>{title}</h1>
{_pairs([*_facts(run, words), *shared])}
{_charts(run, words)}
<h2>{escape(words("store.report.rows"))}</h2>
<p class="note">{escape(words("store.report.note"))}</p>
<div class="wide"><table><thead><tr>{cells}</tr></thead><tbody>
{rows}</tbody></table></div>
<h2>{escape(words("store.report.code"))}</h2>
{_pairs(_code(run, words))}
<h2>{escape(words("store.report.environment"))}</h2>
{_pairs(_environment(run))}
</body>
</html>
"""


def _title(run: Run, words: Words) -> str:
    return run.title or words("store.report.title")


def _facts(run: Run, words: Words) -> list[tuple[str, str]]:
    measured = sum(row.measured for row in run.current)
    origin = words("store.report.recorded") if run.recorded else words("store.report.imported") if run.imported else ""
    ended = words(f"store.report.{run.ended if run.ended in ('done', 'cancelled') else 'open'}")
    facts = {
        "when": _when(run.created_ns),
        "machine": str(run.environment.get("host_cpu") or ""),
        "ended": f"{ended} ({origin})" if origin else ended,
        "rows": words("store.report.count", measured=measured, total=max(len(run.cells), len(run.current))),
        "protocol": ", ".join(sorted({str(row.protocol_version) for row in run.current if row.protocol_version})),
        "id": run.run_id,
        "fingerprint": fingerprint(run),
    }
    return [(words(f"store.report.{name}"), text) for name, text in facts.items() if text]


def _when(ns: int) -> str:
    """Write a time; "" for 0, where a file has none."""
    return datetime.fromtimestamp(ns / 1e9, tz=UTC).strftime("%Y-%m-%d %H:%M UTC") if ns else ""


def _table(run: Run, words: Words) -> tuple[dict[str, str], list[list[str]], list[tuple[str, str]]]:
    """Return headings by column, the rows as text, and what is the same in all rows; empty columns are left out."""
    rows = [_cells(row, words) for row in sorted(run.current, key=lambda row: (row.context, row.batch))]
    headings = {name: words(f"store.report.columns.{name}") for name in _COLUMNS}
    found = {name: {row[name] for row in rows} for name in _COLUMNS}
    shared = [name for name in _SETTINGS if len(found[name]) == 1]
    kept = [name for name in _COLUMNS if name not in shared and found[name] != {""}]
    facts = [(headings[name], next(iter(found[name]))) for name in shared]
    return {name: headings[name] for name in kept}, [[row[name] for name in kept] for row in rows], facts


def _cells(row: Measurement, words: Words) -> dict[str, str]:
    return {
        "architecture": _name(row.architecture, words),
        "source": row.source,
        "size": row.size,
        "context": units.count(row.context),
        "batch": units.count(row.batch),
        "device": str(row.environment.get("device_name") or row.device),
        "dtype": row.dtype,
        "state": row.state,
        "prefill": _time(row.prefill_ms_samples, row.ttft_ms_med if row.tool else None),
        "decode": _time(row.decode_ms_samples, row.tpot_ms_med if row.tool else None),
        "rate": "" if row.decode_tokens_per_s is None else f"{row.decode_tokens_per_s:,.1f}",
        "cache": "" if row.cache_bytes is None else units.size(row.cache_bytes),
        "peak": "" if row.peak_bytes is None else units.size(row.peak_bytes),
        "parity": "" if row.parity_max_rel is None else f"{row.parity_max_rel:.0e}",
        "reason": _reason(row, words),
    }


def _time(samples: tuple[float, ...], middle: float | None) -> str:
    """Write the median of samples with its quartiles; where there are none, a middle time that a file stated."""
    if not samples:
        return units.number(middle) if middle else ""
    found = spread(samples)
    return f"{units.number(found.median)} ({units.number(found.low)}–{units.number(found.high)})"


def _colors() -> str:
    """Declare the colour of every architecture as a CSS variable, for light and for dark."""

    def rules(mode: str) -> str:
        return ":root { " + "; ".join(f"--{key}: {look.colors[mode]}" for key, look in looks().items()) + " }"

    return f"\n{rules('light')}\n@media (prefers-color-scheme: dark) {{ {rules('dark')} }}"


def _name(architecture: str, words: Words) -> str:
    return words(f"nav.{architecture}") if architecture in looks() else architecture


def _reason(row: Measurement, words: Words) -> str:
    """Say why a row has no times; "" where it has."""
    if row.timed:
        return ""
    return _word(words, "viz.state.untimed", "no steady round") if row.measured else _why(row, words)


def _why(row: Measurement, words: Words) -> str:
    return _word(words, row.reason_key, row.reason, row.reason_values) if row.reason_key else row.reason


def _word(words: Words, key: str, otherwise: str, values: Mapping[str, object] = _NOTHING) -> str:
    """Return the sentence of a key and values that came with the run; both may be unknown to this version."""
    try:
        found = words(key, **values)
    except (LookupError, TypeError, ValueError):
        return otherwise
    return otherwise if found == key else found


def _code(run: Run, words: Words) -> list[tuple[str, str]]:
    """List per architecture which code ran for which function."""
    found: dict[str, dict[str, None]] = {}
    for row in run.current:
        told = "; ".join(f"{function}: {code}" for function, code in row.implementation.items())
        if told:
            found.setdefault(_name(row.architecture, words), {})[told] = None
    return [(name, " / ".join(texts)) for name, texts in found.items()]


def _environment(run: Run) -> list[tuple[str, str]]:
    return [(str(name), str(value)) for name, value in run.environment.items() if value not in ("", None)]


def _charts(run: Run, words: Words) -> str:
    """Draw time and bytes against context length, a line per model and way of measuring it."""
    groups: dict[tuple[object, ...], list[Measurement]] = {}
    for row in sorted(run.current, key=lambda row: row.context):
        if row.measured:
            alike = (row.architecture, row.source, row.size, row.batch, row.device, row.dtype, row.view, row.attention)
            groups.setdefault((*alike, row.kernels), []).append(row)
    times = [(rows[0].architecture, [_steps(row) for row in rows if row.decode_ms_samples]) for rows in groups.values()]
    sizes = [(rows[0].architecture, [_cache_bytes(row) for row in rows if row.cache_bytes]) for rows in groups.values()]
    figures = ""
    for key, unit, lines in (("decode_chart", "ms", times), ("cache_chart", "bytes", sizes)):
        drawn = [(name, points) for name, points in lines if points]
        if drawn:
            picture = chart(drawn, x=words("store.report.tokens"), y=words(f"store.report.{unit}"))
            figures += f"<figure>{picture}<figcaption>{escape(words(f'store.report.{key}'))}</figcaption></figure>"
    if not figures:
        return f'<p class="note">{escape(words("store.report.none"))}</p>'
    names = {rows[0].architecture: _name(rows[0].architecture, words) for rows in groups.values()}
    return f'{legend(names)}<div class="charts">{figures}</div>'


def _steps(row: Measurement) -> Point:
    found = spread(row.decode_ms_samples)
    return float(row.context), found.median, found.low, found.high


def _cache_bytes(row: Measurement) -> Point:
    size = float(row.cache_bytes or 0)
    return float(row.context), size, size, size


def _pairs(pairs: Iterable[tuple[str, str]]) -> str:
    return "<dl>" + "".join(f"<dt>{escape(a)}</dt><dd>{escape(b)}</dd>" for a, b in pairs) + "</dl>"


def _pipes(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _md(text: str) -> str:
    """Escape what Markdown and HTML would read as more than text, on one line."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))
