"""The seqpacket transport: a connection of packets over a UNIX socket.

`net/endpoints.py` and `net/listener.py` call `transport_type` and so make this transport for seqpacket sockets, and that of
`net/upgrade.py` for all others.  The channels of `net/stream.py` (at run time) work over both.  Each packet that is read
causes one call of `dataReceived`, also an empty packet.  Each `write` sends one packet.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

from ..core.errors import ProcessError
from .channel import Pieces
from .dispatch import DISPATCH
from .packetbuffer import receive_message
from .sendqueue import Wire
from .transport import StreamTransport, lost_by
from .upgrade import PlainTransport

#: The bytes that the kernel needs in the send buffer besides the packet.
_OVERHEAD = 32


class PacketQueue(Pieces):
    """Packets that wait to be sent; each piece is one packet."""

    def send(self, wire: Wire) -> None:
        while self:
            wire.send(self[0])
            self.popleft()


class SeqpacketTransport(StreamTransport):
    """The transport of one connected seqpacket socket."""

    __slots__ = ()

    make_queue = PacketQueue

    def __init__(self, sock: socket.socket, *arguments: Any) -> None:
        super().__init__(sock, *arguments)
        # An empty packet and the end of the input look the same, but only packets have credentials.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)

    def doRead(self) -> None:
        """Read and deliver one packet, or the end of the input."""
        if self.paused or self.disconnecting or self.eof or not self.connected:
            return
        try:
            packet = receive_message(self._socket)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(lost_by(self.error or error))
            return
        if packet is None:
            self._peer_ended()
        elif packet.problem is not None:
            # Never deliver a part of a packet.
            self._end(lost_by(packet.problem))
        else:
            DISPATCH.run(self._protocol.dataReceived, packet.data)

    def write(self, data: bytes) -> None:
        """Send DATA as one packet when the running dispatch ends, or as soon as there is room.

        Raises ProcessError(EMSGSIZE) if DATA does not fit into the send buffer of the socket.
        """
        if self.connected and len(data) > self._longest():
            raise ProcessError(errno.EMSGSIZE, f"Sending packet: {os.strerror(errno.EMSGSIZE)}")
        super().write(data)

    def _longest(self) -> int:
        return self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) - _OVERHEAD


def transport_type(sock: socket.socket) -> type[StreamTransport]:
    """Return the class of transports for SOCK, or for the connections that SOCK accepts."""
    return SeqpacketTransport if sock.type == socket.SOCK_SEQPACKET else PlainTransport
