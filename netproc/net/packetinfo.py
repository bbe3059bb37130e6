"""UDP servers on all interfaces: answer each client from the address that the client sent to.

`making/datagrams.py` calls `ask_for_destinations` for a server on a wildcard address.  `net/datagram.py` then sends and
receives through `Answers`.  Otherwise the kernel would choose the source address of an answer, and a client that accepts
packets only from the address it sent to would drop the answer.

Linux reports the destination address of each packet, and lets the sender of an answer set its source address: ip(7),
IP_PKTINFO, and ipv6(7), IPV6_PKTINFO.  The latter also works for IPv4 clients of an IPv6 server.
"""

from __future__ import annotations

import errno
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

#: A control message: level, type and data.
Message: TypeAlias = tuple[int, int, bytes]

# The socket module lacks its name.
_IP_PKTINFO = 8

#: struct in_pktinfo: the interface, our address, and the destination in the header of the packet.
_PKTINFO = struct.Struct("@I4s4s")
#: struct in6_pktinfo: the destination, and the interface.
_PKTINFO6 = struct.Struct("@16sI")

_ANY = bytes(4)
_ANY6 = bytes(16)

#: Room for the control messages of a packet, in bytes.  An inherited socket may have asked for other messages too.
_ANCILLARY_SIZE = 512
_LONGEST_PACKET = 64 * 1024

#: The number of clients for which the source address is remembered: those that sent last.  Other clients are answered from
#: the address that the kernel chooses.
MOST_CLIENTS = 1024

#: The errors for a source address that is not ours: a group or broadcast address that a packet was sent to, or an address
#: that was removed from its interface.
_NO_SOURCE = frozenset({errno.EINVAL, errno.EADDRNOTAVAIL, errno.ENETUNREACH})


def _source(data: bytes) -> bytes | None:
    """Return the data that makes the kernel send from the address in the IPv4 packet information DATA, if there is one."""
    _, ours, _ = _PKTINFO.unpack(data)
    # No interface is given, so the routes decide.
    return _PKTINFO.pack(0, ours, _ANY) if ours != _ANY else None


def _source6(data: bytes) -> bytes | None:
    """Return the same for IPv6."""
    destination, _ = _PKTINFO6.unpack(data)
    return _PKTINFO6.pack(destination, 0) if destination != _ANY6 else None


class _Setting(NamedTuple):
    """How an address family reports destinations: the option, the type of the messages, and how to answer them."""

    level: int
    option: int
    kind: int
    source: Callable[[bytes], bytes | None]


_SETTINGS = {
    socket.AF_INET: _Setting(socket.IPPROTO_IP, _IP_PKTINFO, _IP_PKTINFO, _source),
    socket.AF_INET6: _Setting(
        socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, socket.IPV6_PKTINFO, _source6
    ),
}


def _setting(sock: socket.socket) -> _Setting | None:
    if sys.platform != "linux":
        return None
    return _SETTINGS.get(socket.AddressFamily(sock.family))


def ask_for_destinations(sock: socket.socket) -> None:
    """Make the kernel report the destination address of each packet to SOCK."""
    setting = _setting(sock)
    if setting is not None:
        sock.setsockopt(setting.level, setting.option, 1)


def answers_of(sock: socket.socket) -> Answers | None:
    """Return the Answers for SOCK if the kernel reports the destinations of its packets, else None."""
    setting = _setting(sock)
    if setting is None or not sock.getsockopt(setting.level, setting.option):
        return None
    return Answers(sock, setting)


class Answers:
    """Sends to each client from the address that the client sent to last."""

    def __init__(self, sock: socket.socket, setting: _Setting) -> None:
        self._socket = sock
        self._setting = setting
        # By the address of the client: the control message with the source address.
        self._sources: dict[Any, list[Message]] = {}

    def receive(self, sock: socket.socket) -> tuple[bytes, Any, None]:
        """Receive the next packet of SOCK: its data, its sender and None.  Does not handle OSErrors."""
        data, messages, _, sender = sock.recvmsg(_LONGEST_PACKET, _ANCILLARY_SIZE)
        self._sources.pop(sender, None)
        for level, kind, content in messages:
            if level == self._setting.level and kind == self._setting.kind:
                self._remember(sender, self._setting.source(content))
        return data, sender, None

    def _remember(self, client: Any, source: bytes | None) -> None:
        if source is not None:
            self._sources[client] = [(self._setting.level, self._setting.kind, source)]
            if len(self._sources) > MOST_CLIENTS:
                del self._sources[next(iter(self._sources))]

    def send(self, data: bytes, client: Any) -> None:
        """Send DATA to CLIENT as one packet.  Does not handle OSErrors."""
        source = self._sources.get(client)
        if source is not None:
            try:
                self._socket.sendmsg([data], source, 0, client)
                return
            except OSError as error:
                if error.errno not in _NO_SOURCE:
                    raise
                del self._sources[client]
        self._socket.sendto(data, client)
