"""Whether a run of the script was caused by the browser's Back or Forward."""

from streamlit.runtime.scriptrunner import get_script_run_ctx


def is_step() -> bool:
    """Return whether the browser asked for this run because the visitor went back or forward in its history.

    Streamlit knows this and hands it to widgets that are bound to the address; there is no public name for it.
    """
    return bool(getattr(get_script_run_ctx(suppress_warning=True), "is_history_navigation", False))
