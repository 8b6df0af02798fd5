"""Visit the benchmark page inside its frame, as a reader does."""

from opening import unopened

PLAN_OPEN = {"benchmark.settings": True}  # the settings and the table of the plan are unfolded


def opened(lang="en", *, state=None, **query):
    at = unopened("benchmark")
    for name, value in (state or {}).items():
        at.session_state[name] = value
    for name, value in ({"lang": lang} | query).items():
        at.query_params[name] = value
    return calm(at.run())


def calm(at):
    assert [error.value for error in (*at.exception, *at.error)] == []
    return at


def texts(at):
    return " | ".join(
        element.value for kind in (at.text, at.caption, at.warning, at.info, at.markdown) for element in kind
    )
