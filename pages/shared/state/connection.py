"""Whether a visitor's connection comes from the server's own machine and through no proxy."""

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

import streamlit as st

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
# What proxies add. uvicorn itself believes X-Forwarded-For from this machine, so that the address is the visitor's.
_FORWARDED = frozenset(
    {"forwarded", "via", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "true-client-ip", "cf-connecting-ip"}
)


def is_local() -> bool:
    """Return whether the connection of the running script comes from this machine and through no proxy.

    A proxy on this machine has a loopback address too. It is known by the headers that proxies add, or by a Host or an
    Origin that is no name of this machine. Without a connection, as in a test, there is nobody else.
    """
    headers = {name.lower(): value for name, value in st.context.headers.items()}
    address = st.context.ip_address  # None: this machine
    return _is_loopback(address) and comes_direct(headers)


def comes_direct(headers: Mapping[str, str]) -> bool:
    """Return whether headers (by lower-case name) are those of a browser that names this machine itself."""
    if any(name in _FORWARDED or name.startswith(("x-forwarded", "x-original-forwarded")) for name in headers):
        return False
    named = [_host_of(f"//{headers['host']}")] if "host" in headers else []
    named += [_host_of(headers["origin"])] if "origin" in headers else []
    return all(name in LOCAL_NAMES for name in named)


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _is_loopback(address: str | None) -> bool:
    try:
        return not isinstance(address, str) or ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
