"""Scripts and styles of our components, which a browser fetches once; a component that is sent says where they are."""

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import cache, partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from models.machine.paths import ASSETS
from viz import hero, mechanism, ranking
from viz.canvas.source import bar_script, bar_styles, script, styles
from viz.finder import source as finder

Source = tuple[Callable[[], str], Callable[[], str]]
_KEEP = "public, max-age=31536000, immutable"  # the address changes with the script
_LOADER = """// Fetch the script of the component, which is the same for all of its kind.
const at = new URL("assets/script/{name}.js?v={version}", window.__streamlit?.BACKEND_BASE_URL ?? document.baseURI);
const {{ default: draw, dress }} = await import(at);
export default (component) => {{
  dress(component.parentElement);
  return draw(component);
}};
"""
_DRESS = """
export function dress(host) {
  const rules = STYLES;
  if (!rules || host.querySelector(":scope > style.own")) return;
  const style = document.createElement("style");
  style.className = "own";
  style.textContent = rules;
  host.prepend(style);
}
"""


def _document() -> str:
    return (ASSETS / "style" / "document.js").read_text(encoding="utf-8")


SCRIPTS: Mapping[str, Source] = {
    "canvas": (script, styles),
    "reading": (bar_script, bar_styles),
    "hero": (hero.script, hero.styles),
    "mechanism": (mechanism.script, mechanism.styles),
    "finder": (finder.script, finder.styles),
    "ranking": (ranking.script, ranking.styles),
    "document": (_document, str),
}


@cache
def loader(name: str) -> str:
    """Return the short script that Streamlit sends along with every component of a kind."""
    return _LOADER.format(name=name, version=_version(name))


def routes() -> list[Route]:
    """Return a route for each script, below /assets."""
    return [Route(f"/{name}.js", partial(_answer, name)) for name in SCRIPTS]


async def _answer(name: str, request: Request) -> Response:
    keep = _KEEP if request.query_params.get("v") == _version(name) else "no-cache"
    return Response(_source(name), media_type="text/javascript; charset=utf-8", headers={"cache-control": keep})


@cache
def _source(name: str) -> str:
    """Return the script of a component together with its styles."""
    code, look = SCRIPTS[name]
    return f"{code()}{_DRESS.replace('STYLES', json.dumps(look()))}"


@cache
def _version(name: str) -> str:
    return hashlib.blake2s(_source(name).encode(), digest_size=6).hexdigest()
