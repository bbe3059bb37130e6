"""Receive one whole packet, of a datagram or a seqpacket socket.

`net/datagram.py` and `net/seqpacket.py` call it.  One large buffer serves all: a packet that does not fit is
cut by the kernel, and says so.
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

#: UNIX sockets may have more room than the 64 KiB of an IP packet.
_BUFFER = bytearray(1024 * KIB)
_VIEW = memoryview(_BUFFER)
_LONGEST_OF_IP = 64 * KIB

# Room for one struct ucred, and for nothing else.  The kernel puts it first.  Descriptors that the peer sends along do not
# fit, so the kernel closes them; with more room it would give them to us.
_CREDENTIALS_ROOM = socket.CMSG_SPACE(struct.calcsize("@iII"))


class Packet(NamedTuple):
    """What has come, from whom (in the shape of the family's addresses), and what is wrong with it."""

    data: bytes
    sender: Any
    problem: ProcessError | None


def receiver_of(sock: socket.socket) -> Callable[[socket.socket], tuple[bytes, Any, Any]]:
    """What receives the next Packet of SOCK, or the same as a tuple; OSErrors are the caller's."""
    if sock.family in rawaddress.IN_PYTHON:
        return _receive_ip if sock.family != socket.AF_UNIX else receive_packet
    return _receive_raw


def _receive_ip(sock: socket.socket) -> tuple[bytes, Any, None]:
    """A packet of IP, which always fits."""
    return *sock.recvfrom(_LONGEST_OF_IP), None


def receive_packet(sock: socket.socket) -> Packet:
    """A packet of a UNIX socket."""
    size, _, flags, sender = sock.recvmsg_into([_BUFFER])
    return Packet(bytes(_VIEW[:size]), sender, _cut(size) if flags & socket.MSG_TRUNC else None)


def receive_message(sock: socket.socket) -> Packet | None:
    """A packet of a seqpacket connection, None at its end; they differ in the credentials that each
    packet brings once SO_PASSCRED is on.
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
