"""Find the number of a JSON text at which its reader stopped: 1_000 and full-width digits are none."""

import json
import re

_KEY = re.compile(r'"((?:[^"\\]|\\.)*)"\s*:')
_ODD = re.compile(r"[-+.]?\d[^\s,\]}]*(?=[\s,\]}])|[-+.]?(?:nan|inf)\w*", re.IGNORECASE)


def odd_number(text: str, error: json.JSONDecodeError) -> tuple[str, str] | None:
    """Return the last key before the place of an error and the number there; None where no number stands there.

    A number that the text ends with is none of these: the text is cut.
    """
    line = text[text.rfind("\n", 0, error.pos) + 1 :]
    before = line[: error.pos - (len(text) - len(line))]
    start = max(before.rfind(sign) for sign in "[:,") + 1
    found = _ODD.match(line, start + len(line[start:]) - len(line[start:].lstrip()))
    keys = _KEY.findall(before)
    return (keys[-1], found[0]) if found and keys else None
