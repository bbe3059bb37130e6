"""Make a socket, set its options, bind it; addresses between sockets, netproc and Twisted.

`net/connector.py` and `net/endpoints.py` ask for sockets; options come from `core/options.py`.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Mapping
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress

from ..core import options
from ..core.address import SocketAddress, text
from ..core.errors import ProcessError, from_os_error


def make_socket(family: int, kind: int = socket.SOCK_STREAM) -> socket.socket:
    """A non-blocking, close-on-exec socket; OSError where the system has no such thing."""
    if family < 0:
        # The socket module takes -1 for "any".
        raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
    sock = socket.socket(family, kind)
    sock.setblocking(False)
    return sock


def set_option(sock: socket.socket, keyword: str, value: object) -> None:
    """Set one of `core.options.OPTIONS` on SOCK.

    Raises ProcessArgumentError for a value of the wrong kind and ProcessError when the system
    refuses; both name the option.
    """
    option = options.OPTIONS[keyword]
    packed = options.pack(keyword, value)
    try:
        sock.setsockopt(option.level, option.number, packed)
    except OSError as error:
        raise from_os_error(error, f"Cannot set network option {keyword}") from error


def set_options(sock: socket.socket, chosen: Mapping[str, object]) -> None:
    """Set all of CHOSEN but linger, which the channel does (D18)."""
    for keyword, value in chosen.items():
        if keyword != options.LINGER:
            set_option(sock, keyword, value)


def bind(sock: socket.socket, address: SocketAddress) -> None:
    """Bind SOCK; raises ProcessError with the address."""
    try:
        sock.bind(address.raw)
    except TypeError:
        raise unsupported(address) from None
    except OSError as error:
        raise from_os_error(error, "Cannot bind server socket", text(address)) from error


def unsupported(address: SocketAddress) -> ProcessError:
    """For a family whose addresses the socket module cannot write."""
    what = os.strerror(errno.EAFNOSUPPORT)
    return ProcessError(errno.EAFNOSUPPORT, what, text(address))


def local_address(sock: socket.socket) -> SocketAddress:
    """The address that SOCK is bound to."""
    return SocketAddress(sock.family, sock.getsockname())


def twisted_address(address: SocketAddress | None) -> IAddress:
    """Twisted's form of ADDRESS."""
    if address is not None and address.family == socket.AF_INET:
        return IPv4Address("TCP", *address.raw)
    if address is not None and address.family == socket.AF_INET6:
        return IPv6Address("TCP", *address.raw)
    raw: Any = address.raw if address is not None else None
    return UNIXAddress(os.fsencode(raw) if raw else None)


def from_twisted_address(address: object) -> SocketAddress | None:
    """The address of a foreign transport, None for a kind that netproc does not know."""
    if isinstance(address, IPv4Address):
        return SocketAddress(socket.AF_INET, (address.host, address.port))
    if isinstance(address, IPv6Address):
        raw = (address.host, address.port, address.flowInfo, address.scopeID)
        return SocketAddress(socket.AF_INET6, raw)
    if isinstance(address, UNIXAddress):
        return SocketAddress(socket.AF_UNIX, address.name or "")
    return None
