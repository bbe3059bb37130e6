"""ICMP errors about packets that were sent, such as "connection refused" and "no route to host".

`making/datagrams.py` makes the kernel queue these errors, and `net/datagram.py` reads them with `pending_errors`.  Only Linux
has such a queue (ip(7), IP_RECVERR).  On other systems the errors of unconnected sockets are lost, as in Emacs.
"""

from __future__ import annotations

import os
import socket
import struct
import sys

from ..core.address import SocketAddress, format_address
from ..core.errors import ProcessError

# The socket module lacks these names.
_IP_RECVERR = 11
_IPV6_RECVERR = 25
_OF_IP = (socket.IPPROTO_IP, _IP_RECVERR)
_OF_IPV6 = (socket.IPPROTO_IPV6, _IPV6_RECVERR)

#: The options by address family; an IPv6 socket may have sent to IPv4 addresses.
_SETTINGS = {socket.AF_INET: (_OF_IP,), socket.AF_INET6: (_OF_IPV6, _OF_IP)}
_HAS_QUEUE = sys.platform == "linux"

#: The beginning of struct sock_extended_err: the error number and the origin of the error.
_EXTENDED_ERROR = struct.Struct("=IB")
_ANCILLARY_SIZE = 512

#: The origin of errors that a system call has reported already (SO_EE_ORIGIN_LOCAL).
_LOCAL = 1

#: The most errors that are read at a time, so that a flood of them does not block the reactor.
_MOST_ERRORS = 64


def queue_errors(sock: socket.socket) -> None:
    """Make the kernel queue the errors of SOCK."""
    if _HAS_QUEUE:
        for level, option in _SETTINGS.get(socket.AddressFamily(sock.family), ()):
            sock.setsockopt(level, option, 1)


def pending_errors(sock: socket.socket) -> list[ProcessError]:
    """Return the queued errors of SOCK, with the addresses that the packets were sent to."""
    found: list[ProcessError] = []
    while _HAS_QUEUE and sock.family in _SETTINGS and len(found) < _MOST_ERRORS:
        try:
            _, ancillary, _, raw = sock.recvmsg(0, _ANCILLARY_SIZE, socket.MSG_ERRQUEUE)
        except OSError:
            # The queue is empty.
            break
        target = format_address(SocketAddress(sock.family, raw))
        for level, kind, data in ancillary:
            if (level, kind) not in (_OF_IP, _OF_IPV6):
                # Another kind of message, for which the socket has an option set.
                continue
            number, origin = _EXTENDED_ERROR.unpack_from(data)
            if origin != _LOCAL:
                found.append(ProcessError(number, os.strerror(number), target))
    return found
