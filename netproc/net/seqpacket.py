"""The seqpacket transport: a connection of packets over a UNIX socket.

`net/endpoints.py` and `net/listener.py` make it in the place of a `net/transport.py` where the socket is of that
kind; the channels of `net/stream.py` (at run time) run over it unchanged.  One packet read is one `dataReceived`, an empty one
too; one `write` is one packet sent.
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

#: What the kernel needs of the send buffer beside the packet.
_OVERHEAD = 32


class PacketQueue(Pieces):
    """Packets that wait to be sent; each piece is one packet."""

    def drop(self) -> int:
        dropped, self.pending = self.pending, 0
        self.clear()
        return dropped

    def send(self, wire: Wire) -> None:
        while self:
            wire.send(self[0])
            self.popleft()


class SeqpacketTransport(StreamTransport):
    """A connected seqpacket socket."""

    __slots__ = ()

    make_queue = PacketQueue

    def __init__(self, sock: socket.socket, *arguments: Any) -> None:
        super().__init__(sock, *arguments)
        # An empty packet and the end look the same, but only packets bring credentials.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)

    def doRead(self) -> None:
        """A packet has come, or the end."""
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
            # Part of a packet is worse than none.
            self._end(lost_by(packet.problem))
        else:
            DISPATCH.run(self._protocol.dataReceived, packet.data)

    def write(self, data: bytes) -> None:
        """Send DATA as one packet when the event that runs has ended, or as soon as there is room.

        Raises ProcessError(EMSGSIZE) if the socket's send buffer is too small for it.
        """
        if self.connected and len(data) > self._longest():
            raise ProcessError(errno.EMSGSIZE, f"Sending packet: {os.strerror(errno.EMSGSIZE)}")
        super().write(data)

    def _longest(self) -> int:
        return self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) - _OVERHEAD


def transport_type(sock: socket.socket) -> type[StreamTransport]:
    """What to make of SOCK, a connected one."""
    return SeqpacketTransport if sock.type == socket.SOCK_SEQPACKET else PlainTransport
