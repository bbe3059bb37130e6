"""What ICMP has said about packets that were sent: that nobody listens there, that no road leads there.

`net/datagram.py` has the kernel queue these errors and asks for them here.  Only Linux has such a queue (ip(7),
IP_RECVERR); elsewhere the errors of unconnected sockets are lost, as in Emacs.
"""

from __future__ import annotations

import os
import socket
import struct
import sys

from ..core.address import SocketAddress, format_address
from ..core.errors import ProcessError

# The socket module lacks their names.
_IP_RECVERR = 11
_IPV6_RECVERR = 25
_OF_IP = (socket.IPPROTO_IP, _IP_RECVERR)
_OF_IPV6 = (socket.IPPROTO_IPV6, _IPV6_RECVERR)

#: The options by family; an IPv6 socket may have sent to IPv4 addresses.
_SETTINGS = {socket.AF_INET: (_OF_IP,), socket.AF_INET6: (_OF_IPV6, _OF_IP)}
_HAS_QUEUE = sys.platform == "linux"

#: struct sock_extended_err begins with the error number and says where the error comes from.
_EXTENDED_ERROR = struct.Struct("=IB")
_ANCILLARY_SIZE = 512

#: The origin of errors that the call which met them has reported itself (SO_EE_ORIGIN_LOCAL).
_LOCAL = 1

#: So many are read at a time; a flood of them must not hold the reactor up.
_MOST_ERRORS = 64


def queue_errors(sock: socket.socket) -> None:
    """Have the kernel keep the errors of SOCK."""
    if _HAS_QUEUE:
        for level, option in _SETTINGS.get(socket.AddressFamily(sock.family), ()):
            sock.setsockopt(level, option, 1)


def pending_errors(sock: socket.socket) -> list[ProcessError]:
    """The errors that have come for SOCK, with the addresses that the packets were for."""
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
                # Something else that the socket was asked to tell with each packet.
                continue
            number, origin = _EXTENDED_ERROR.unpack_from(data)
            if origin != _LOCAL:
                found.append(ProcessError(number, os.strerror(number), target))
    return found
