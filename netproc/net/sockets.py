"""Make a socket, set its options, bind it; addresses between sockets, netproc and Twisted.

`net/connector.py` and `net/endpoints.py` ask for sockets; options come from `core/options.py`.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress

from ..core import options
from ..core.address import LOOPBACK, SocketAddress, format_address, inet_address
from ..core.errors import from_os_error
from . import rawaddress

_IPV6_SIZE = 16
_ANY = bytes(4)

#: struct ucred
_CREDENTIALS = struct.Struct("@iII")


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
    option = options.option(keyword, sock.family)
    packed = option.pack(keyword, value)
    try:
        if isinstance(packed, options.Group):
            _join(sock, packed)
        else:
            sock.setsockopt(option.level, option.number, packed)
    except OSError as error:
        raise from_os_error(error, f"Cannot set network option {keyword}") from error


def _join(sock: socket.socket, group: options.Group) -> None:
    """Join GROUP, and send by its interface too if it has one."""
    index = socket.if_nametoindex(os.fsdecode(group.interface)) if group.interface else 0
    packed = struct.pack("@i", index)
    if (sock.family == socket.AF_INET6) != (len(group.address) == _IPV6_SIZE):
        raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
    if sock.family == socket.AF_INET6:
        level, sending = socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF
        # struct ipv6_mreq
        sock.setsockopt(level, socket.IPV6_JOIN_GROUP, group.address + packed)
        interface = packed
    else:
        level, sending = socket.IPPROTO_IP, socket.IP_MULTICAST_IF
        # struct ip_mreqn
        sock.setsockopt(level, socket.IP_ADD_MEMBERSHIP, group.address + _ANY + packed)
        interface = _ANY + _ANY + packed
    if index:
        sock.setsockopt(level, sending, interface)


def set_options(sock: socket.socket, chosen: Mapping[str, object]) -> None:
    """Set all of CHOSEN but linger, which the channel does (D18)."""
    for keyword, value in chosen.items():
        if keyword != options.LINGER:
            set_option(sock, keyword, value)


def bind(sock: socket.socket, address: SocketAddress) -> None:
    """Bind SOCK; raises ProcessError with the address."""
    try:
        if _in_python(address.family):
            sock.bind(address.raw)
        else:
            rawaddress.bind(sock, address)
    except OSError as error:
        raise from_os_error(error, "Cannot bind server socket", format_address(address)) from error


def connect(sock: socket.socket, address: SocketAddress) -> None:
    """Begin to connect SOCK; OSErrors are the caller's."""
    if _in_python(address.family):
        sock.connect(address.raw)
    else:
        rawaddress.connect(sock, address)


def is_connected(sock: socket.socket) -> bool:
    """Whether SOCK, which was to connect, is connected now."""
    try:
        sock.getpeername()
    except OSError as error:
        # Some families cannot say.
        return error.errno != errno.ENOTCONN
    return True


def is_self_connected(sock: socket.socket) -> bool:
    """Whether the connected SOCK is its own peer.

    The kernel does that when nothing listens on the remote port and it chooses the same port for the local end.
    """
    return sock.family in LOOPBACK and sock.getsockname() == sock.getpeername()


def hang_up(sock: socket.socket) -> OSError | None:
    """The error that is behind a hang-up which the reactor reports for SOCK; None if SOCK has not hung up.

    The report may be about a socket that had the same number: reactors fetch several events at once, and one of them
    may close that socket and make this one.
    """
    poller = select.poll()
    try:
        poller.register(sock, 0)  # errors and hang-ups are always told
    except ValueError:
        return OSError(errno.EBADF, os.strerror(errno.EBADF))
    for _, event in poller.poll(0):
        number = errno.EBADF
        if not event & select.POLLNVAL:
            number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or errno.ECONNRESET
        return OSError(number, os.strerror(number))
    return None


def sender_of(sock: socket.socket) -> Callable[[bytes, Any], object]:
    """What sends a packet to an address, in the shape of the family of SOCK; OSErrors are the
    caller's.
    """
    if _in_python(sock.family):
        return sock.sendto
    family = sock.family
    return lambda data, raw: rawaddress.sendto(sock, data, SocketAddress(family, raw))


def local_address(sock: socket.socket) -> SocketAddress:
    """The address that SOCK is bound to."""
    if _in_python(sock.family):
        return SocketAddress(sock.family, sock.getsockname())
    return rawaddress.local(sock) or SocketAddress(sock.family, b"")


def peer_credentials(sock: socket.socket) -> tuple[int, int, int] | None:
    """Process, user and group id of who connected the UNIX socket SOCK, or listened for it.

    None for other sockets, and where the system does not tell.
    """
    if sock.family != socket.AF_UNIX or not hasattr(socket, "SO_PEERCRED"):
        return None
    packed = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    process, user, group = _CREDENTIALS.unpack(packed)
    return process, user, group


def peer_address(family: int, sock: socket.socket, raw: Any) -> SocketAddress:
    """The address of the peer of SOCK, which accept of a socket of FAMILY has given as RAW."""
    if family in rawaddress.IN_PYTHON:
        return SocketAddress(family, raw)
    return rawaddress.remote(sock) or SocketAddress(family, b"")


def _in_python(family: int) -> bool:
    """Does the socket module have addresses of FAMILY in the form that we have?"""
    if family in rawaddress.IN_PYTHON:
        return True
    if not rawaddress.SUPPORTED:
        raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
    return False


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
    if isinstance(address, (IPv4Address, IPv6Address)):
        more = (address.flowInfo, address.scopeID) if isinstance(address, IPv6Address) else ()
        try:
            return inet_address(address.host, address.port, *more)
        except ValueError:
            # A transport that knows the name of its peer only.
            return None
    if isinstance(address, UNIXAddress):
        return SocketAddress(socket.AF_UNIX, address.name or "")
    return None
