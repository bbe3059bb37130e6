"""Make sockets, set their options, bind and connect them; convert addresses between sockets, netproc and Twisted.

`net/connector.py`, `net/endpoints.py` and `making/datagrams.py` make their sockets here.  The network options are those of
`core/options.py`.
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
    """Return a new non-blocking, close-on-exec socket.  Raises OSError if the system has no such sockets."""
    if family < 0:
        # The socket module takes -1 for "any".
        raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
    sock = socket.socket(family, kind)
    sock.setblocking(False)
    return sock


def set_option(sock: socket.socket, keyword: str, value: object) -> None:
    """Set the network option KEYWORD of SOCK to VALUE; see `core.options.OPTIONS`.

    Raises ProcessArgumentError if VALUE is of the wrong kind, and ProcessError if the system refuses it.  Both name the
    option.
    """
    option = options.option(keyword, sock.family)
    packed = options.pack(keyword, value)
    try:
        if isinstance(packed, options.Group):
            _join(sock, packed)
        else:
            sock.setsockopt(option.level, option.number, packed)
    except OSError as error:
        raise from_os_error(error, f"Cannot set network option {keyword}") from error


def _join(sock: socket.socket, group: options.Group) -> None:
    """Join GROUP.  If it names an interface, also send multicast packets through that interface."""
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
    """Set all network options of CHOSEN but linger, which the channel implements (D18)."""
    for keyword, value in chosen.items():
        if keyword != options.LINGER:
            set_option(sock, keyword, value)


def bind(sock: socket.socket, address: SocketAddress) -> None:
    """Bind SOCK to ADDRESS.  Raises ProcessError, which names the address."""
    try:
        if _in_python(address.family):
            sock.bind(address.raw)
        else:
            rawaddress.bind(sock, address)
    except OSError as error:
        raise from_os_error(error, "Cannot bind server socket", format_address(address)) from error


def connect(sock: socket.socket, address: SocketAddress) -> None:
    """Begin to connect SOCK to ADDRESS.  Does not handle OSErrors."""
    if _in_python(address.family):
        sock.connect(address.raw)
    else:
        rawaddress.connect(sock, address)


def is_connected(sock: socket.socket) -> bool:
    """Whether SOCK, which has begun to connect, is connected now."""
    try:
        sock.getpeername()
    except OSError as error:
        # Some address families have no getpeername.
        return error.errno != errno.ENOTCONN
    return True


def is_self_connected(sock: socket.socket) -> bool:
    """Whether the connected SOCK is its own peer.

    This happens if nothing listens on the remote port and the kernel chooses the same port for the local end.
    """
    return sock.family in LOOPBACK and sock.getsockname() == sock.getpeername()


def hang_up(sock: socket.socket) -> OSError | None:
    """Return the error of SOCK after the reactor has reported a hang-up; None if SOCK has not hung up.

    The report can be about an earlier socket with the same number.  Reactors fetch several events at once; the handler of
    the first may close that socket and make this one.
    """
    poller = select.poll()
    try:
        poller.register(sock, 0)  # errors and hang-ups are always reported
    except ValueError:
        return OSError(errno.EBADF, os.strerror(errno.EBADF))
    for _, event in poller.poll(0):
        number = errno.EBADF
        if not event & select.POLLNVAL:
            number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or errno.ECONNRESET
        return OSError(number, os.strerror(number))
    return None


def sender_of(sock: socket.socket) -> Callable[[bytes, Any], object]:
    """Return the function that sends a packet on SOCK.

    It takes the data and the address of the receiver, in the form that the address family of SOCK has in Python, or bytes
    if Python has none.  It does not handle OSErrors.
    """
    if _in_python(sock.family):
        return sock.sendto
    family = sock.family
    return lambda data, raw: rawaddress.sendto(sock, data, SocketAddress(family, raw))


def local_address(sock: socket.socket) -> SocketAddress:
    """Return the address that SOCK is bound to."""
    if _in_python(sock.family):
        return SocketAddress(sock.family, sock.getsockname())
    return rawaddress.local(sock) or SocketAddress(sock.family, b"")


def peer_credentials(sock: socket.socket) -> tuple[int, int, int] | None:
    """Return the process, user and group id of the peer of the UNIX socket SOCK, at the time it connected or listened.

    None for other sockets, and on systems that do not report them.
    """
    if sock.family != socket.AF_UNIX or not hasattr(socket, "SO_PEERCRED"):
        return None
    packed = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    process, user, group = _CREDENTIALS.unpack(packed)
    return process, user, group


def peer_address(family: int, sock: socket.socket, raw: Any) -> SocketAddress:
    """Return the address of the peer of SOCK.  RAW is the address that accept returned, for a socket of FAMILY."""
    if family in rawaddress.IN_PYTHON:
        return SocketAddress(family, raw)
    return rawaddress.remote(sock) or SocketAddress(family, b"")


def _in_python(family: int) -> bool:
    """Whether the socket module has addresses of FAMILY in the form that netproc uses.

    Raises OSError if netproc cannot use FAMILY on this system at all.
    """
    if family in rawaddress.IN_PYTHON:
        return True
    if not rawaddress.SUPPORTED:
        raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
    return False


def twisted_address(address: SocketAddress | None) -> IAddress:
    """Return ADDRESS as Twisted's address object.  For a family that Twisted does not know it is a UNIXAddress."""
    if address is not None and address.family == socket.AF_INET:
        return IPv4Address("TCP", *address.raw)
    if address is not None and address.family == socket.AF_INET6:
        return IPv6Address("TCP", *address.raw)
    raw: Any = address.raw if address is not None else None
    return UNIXAddress(os.fsencode(raw) if raw else None)


def from_twisted_address(address: object) -> SocketAddress | None:
    """Return ADDRESS, a Twisted address object, as a SocketAddress; None for a kind that netproc does not know."""
    if isinstance(address, (IPv4Address, IPv6Address)):
        more = (address.flowInfo, address.scopeID) if isinstance(address, IPv6Address) else ()
        try:
            return inet_address(address.host, address.port, *more)
        except ValueError:
            # The transport knows only the name of its peer.
            return None
    if isinstance(address, UNIXAddress):
        return SocketAddress(socket.AF_UNIX, address.name or "")
    return None
