"""The address of the benchmark page: the run that is shown, the one beside it, and the choices of the next one."""

import streamlit as st

from pages.compare.benchmark import settings_codec
from pages.shared.state import session

PAGE = "benchmark"
REFUSED = f"{PAGE}.refused"  # the error of the last file
BESIDE = "beside"  # the run that is drawn over the first


def show(run_id: str) -> None:
    """Write a run into the address, without what belonged to another one: chosen rows, a run that is this one now."""
    st.query_params["run"] = run_id
    st.query_params.pop("rows", None)
    st.session_state.pop(REFUSED, None)
    if st.query_params.get(BESIDE) == run_id:
        st.query_params.pop(BESIDE)


def forget() -> None:
    """Remove the run from the address, with what belonged to it."""
    for name in ("run", "rows"):
        st.query_params.pop(name, None)


def of_plan() -> str:
    """Return the address of the page with the present choices and no run."""
    chosen = {
        name: st.session_state[key] for name in settings_codec.NAMES if (key := f"{PAGE}.{name}") in st.session_state
    }
    return session.current().permalink(plan=settings_codec.to_query(chosen))
