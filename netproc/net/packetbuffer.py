"""Receive one whole packet, of a datagram or a seqpacket socket.

`net/datagram.py` and `net/seqpacket.py` call it.  One large buffer serves all: a packet that does not fit is
cut by the kernel, and says so.
"""

from __future__ import annotations

import errno
import socket
from typing import Any, NamedTuple

from ..core.address import SocketAddress
from ..core.errors import ProcessError
from ..core.limits import KIB
from . import rawaddress

#: No datagram of IP is longer than 64 KiB; UNIX sockets may have more room.
_BUFFER = bytearray(1024 * KIB)
_VIEW = memoryview(_BUFFER)


class Packet(NamedTuple):
    """What has come, from whom (None for a nameless UNIX socket), and what is wrong with it."""

    data: bytes
    address: SocketAddress | None
    #: The credentials and descriptors that came with it; empty at the end of a seqpacket connection.
    ancillary: list[Any]
    problem: ProcessError | None


def receive_packet(sock: socket.socket, ancillary_size: int = 0) -> Packet:
    """The next packet of SOCK; OSErrors are the caller's."""
    if sock.family not in rawaddress.IN_PYTHON:
        return _receive_raw(sock)
    size, ancillary, flags, raw = sock.recvmsg_into([_BUFFER], ancillary_size)
    problem = _cut(size) if flags & socket.MSG_TRUNC else None
    address = SocketAddress(sock.family, raw) if raw is not None else None
    return Packet(bytes(_VIEW[:size]), address, ancillary, problem)


def _receive_raw(sock: socket.socket) -> Packet:
    size, address = rawaddress.recvfrom(sock, _BUFFER)
    problem = _cut(len(_BUFFER)) if size > len(_BUFFER) else None
    return Packet(bytes(_VIEW[:size]), address, [], problem)


def _cut(size: int) -> ProcessError:
    return ProcessError(errno.EMSGSIZE, f"a packet was cut to {size} bytes")
