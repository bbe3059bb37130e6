"""Public module for applications: netproc's endpoints, its look-up, and addresses.

It exports names of `net/endpoints.py`, `net/listener.py`, `net/lookup.py`, `core/spec.py` and `core/address.py`.
"""

from __future__ import annotations

from .core.address import SocketAddress, format_network_address, parse_address
from .core.spec import Lookup
from .net.endpoints import ClientEndpoint, ServerEndpoint
from .net.listener import ListenerWatcher
from .net.lookup import resolve

__all__ = [
    "ClientEndpoint",
    "ListenerWatcher",
    "Lookup",
    "ServerEndpoint",
    "SocketAddress",
    "format_network_address",
    "parse_address",
    "resolve",
]
