"""Receive one whole packet of a datagram or seqpacket socket.

`net/datagram.py` and `net/seqpacket.py` call these functions.  All sockets share one large buffer.  The kernel cuts a packet
that does not fit into it, and reports that.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

from ..core.errors import ProcessError
from ..core.limits import KIB
from . import rawaddress

#: Packets of UNIX sockets can be larger than the 64 KiB of an IP packet.
_BUFFER = bytearray(1024 * KIB)
_VIEW = memoryview(_BUFFER)
_LONGEST_OF_IP = 64 * KIB

# Room for one struct ucred and nothing else.  The kernel puts the credentials first.  Descriptors that the peer sends with
# the packet do not fit, so the kernel closes them.  With more room we would receive them.
_CREDENTIALS_ROOM = socket.CMSG_SPACE(struct.calcsize("@iII"))


class Packet(NamedTuple):
    """A received packet; its sender, in the form that the address family has in Python; and the error if it was cut."""

    data: bytes
    sender: Any
    problem: ProcessError | None


def receiver_of(sock: socket.socket) -> Callable[[socket.socket], tuple[bytes, Any, Any]]:
    """Return the function that receives the next packet of SOCK, as a Packet or a tuple of the same items.

    The function does not handle OSErrors.
    """
    if sock.family in rawaddress.IN_PYTHON:
        return _receive_ip if sock.family != socket.AF_UNIX else receive_packet
    return _receive_raw


def _receive_ip(sock: socket.socket) -> tuple[bytes, Any, None]:
    """Receive a packet of an IP socket, which always fits."""
    return *sock.recvfrom(_LONGEST_OF_IP), None


def receive_packet(sock: socket.socket) -> Packet:
    """Receive a packet of a UNIX socket."""
    size, _, flags, sender = sock.recvmsg_into([_BUFFER])
    return Packet(bytes(_VIEW[:size]), sender, _cut(size) if flags & socket.MSG_TRUNC else None)


def receive_message(sock: socket.socket) -> Packet | None:
    """Receive a packet of a seqpacket connection; return None at the end of the connection.

    SO_PASSCRED must be on, because only the credentials distinguish an empty packet from the end.
    """
    size, credentials, flags, _ = sock.recvmsg_into([_BUFFER], _CREDENTIALS_ROOM)
    if not size and not credentials:
        return None
    return Packet(bytes(_VIEW[:size]), None, _cut(size) if flags & socket.MSG_TRUNC else None)


def _receive_raw(sock: socket.socket) -> Packet:
    size, address = rawaddress.recvfrom(sock, _BUFFER)
    problem = _cut(len(_BUFFER)) if size > len(_BUFFER) else None
    return Packet(bytes(_VIEW[:size]), address.raw if address is not None else None, problem)


def _cut(size: int) -> ProcessError:
    return ProcessError(errno.EMSGSIZE, f"a packet was cut to {size} bytes")
