"""Twisted's own stream transports, which send the output of a turn of the reactor at the end of that turn.

This saves two calls of epoll_ctl and a dispatch for each reply, which is a third of the cost of a small echo.  Sending at
the end of each dispatch, as netproc's transports do, would send the first answer sooner.  But if answers take long, a peer on
the same machine falls asleep between them, and waking it for each answer costs the sender more: twisted.web was slower.

`epoll.py` makes these transports when an application listens, connects or adopts a socket, and `net/dispatch.py` flushes
them.  Everything else is Twisted's: the buffer, producers, TLS, passing descriptors, closing.
"""

from __future__ import annotations

from collections.abc import Iterable
from socket import CMSG_SPACE, SOL_SOCKET, socket
from typing import TYPE_CHECKING, Any

from twisted.internet import tcp, unix
from twisted.internet.main import CONNECTION_LOST
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python import log, sendmsg

from ..net.dispatch import DISPATCH
from ..net.reads import READ_MAX, READ_MIN, next_read_size
from .logcontext import LOG_CONTEXT

#: Room for the ancillary data of a read, as in Twisted.
_MESSAGE_SPACE = CMSG_SPACE(4096)

if TYPE_CHECKING:
    _Base = tcp.Connection
else:
    _Base = object


class _Corked(_Base):
    """A base class that stands before Twisted's connection class."""

    #: The most bytes that Twisted sends at once.
    SEND_LIMIT = READ_MAX

    reactor: Any
    _read_size = READ_MIN
    _flush_due = False
    _watched = False  # the reactor watches for room for output

    def doRead(self) -> Any:
        """Read and deliver input, as one dispatch.

        The size of a read follows the traffic, as in `net/transport.py`: this doubles the speed of bulk transfers.
        """
        size = self._read_size
        try:
            data = self._receive(size)
        except BlockingIOError:
            return None
        except OSError:
            return CONNECTION_LOST
        if len(data) == size or (size > READ_MIN and len(data) * 4 <= size):
            self._read_size = next_read_size(size, len(data))
        return DISPATCH.run(self._dataReceived, data)

    def _receive(self, size: int) -> bytes:
        """Return received data, SIZE bytes at most."""
        raise NotImplementedError

    def startWriting(self) -> None:
        """Send soon: at the end of the turn, or outside of a turn when there is room."""
        if self._flush_due or self._watched:
            return
        # While it connects, being writable means that it is connected.
        if DISPATCH.running and self.connected:
            self._flush_due = True
            DISPATCH.gathered.append(self)
        else:
            self._watched = True
            super().startWriting()

    def stopWriting(self) -> None:
        """Stop sending; usually the reactor was not asked to watch for room."""
        self._flush_due = False
        if self._watched:
            self._watched = False
            super().stopWriting()

    def flush(self) -> None:
        """Send the output of the turn, which has ended."""
        if not self._flush_due:
            return
        LOG_CONTEXT.served = self
        why = self.doWrite()
        if why:
            self.reactor._disconnectSelectable(self, why, False)
        elif self._flush_due:
            # doWrite has not called stopWriting, so there is more to send.
            self._flush_due = False
            self.startWriting()


class _TCP(_Corked):
    """A TCP connection, which switches off Nagle's algorithm for TLS.

    The parts of a TLS handshake are short.  With Nagle's algorithm each would wait for the acknowledgement of the one before,
    and the first answer would be sent 40 ms late.
    """

    def _receive(self, size: int) -> bytes:
        return self.socket.recv(size)

    def startTLS(self, ctx: Any, normal: bool = True) -> None:
        """Start TLS as ITLSTransport says, without Nagle's algorithm."""
        self.setTcpNoDelay(True)
        super().startTLS(ctx, normal)

    def _hurry_tls(self, protocol: Any) -> None:
        """Switch off Nagle's algorithm if PROTOCOL is TLS."""
        if self.connected and isinstance(protocol, TLSMemoryBIOProtocol):
            self.setTcpNoDelay(True)


class _UNIX(_Corked):
    """A connection of UNIX sockets; descriptors that arrive with bytes are passed on before the bytes."""

    _ancillaryLevelSOLSOCKETTypeSCMRIGHTS: Any
    _sendmsgQueue: list[int]  # noqa: N815

    def flush(self) -> None:
        """Send the output of the turn, which has ended.

        Each descriptor is sent with a byte.  If the program has not written enough bytes yet, wait for the next turn: it
        may write them in a timer, as it can with Twisted's transports, which send after the timers.
        """
        size = len(self.dataBuffer) - self.offset + self._tempDataLen
        if self._flush_due and len(self._sendmsgQueue) > size:
            self._flush_due = False
            self.startWriting()
        else:
            super().flush()

    def _receive(self, size: int) -> bytes:
        data, messages, _, _ = self.socket.recvmsg(size, _MESSAGE_SPACE)
        if messages:
            DISPATCH.run(self._take, messages)
        return data

    def _take(self, messages: Iterable[tuple[int, int, bytes]]) -> None:
        for level, kind, what in messages:
            if (level, kind) == (SOL_SOCKET, sendmsg.SCM_RIGHTS):
                self._ancillaryLevelSOLSOCKETTypeSCMRIGHTS(what)
            else:
                log.msg(f"{self.logPrefix()}: a message of level {level}, type {kind} is ignored")


class Server(_TCP, tcp.Server):
    """An accepted TCP connection."""

    def __init__(self, sock: socket, protocol: Any, *arguments: Any) -> None:
        super().__init__(sock, protocol, *arguments)
        self._hurry_tls(protocol)


class Client(_TCP, tcp.Client):
    """A TCP connection to a server."""

    def _connectDone(self) -> None:
        super()._connectDone()
        self._hurry_tls(self.protocol)


class UNIXServer(_UNIX, unix.Server):
    """An accepted connection of a UNIX socket."""


class UNIXClient(_UNIX, unix.Client):
    """A connection to a UNIX socket."""


class Connector(tcp.Connector):
    """Connects over TCP."""

    def _makeTransport(self) -> Client:
        return Client(self.host, self.port, self.bindAddress, self, self.reactor)


class UNIXConnector(unix.Connector):
    """Connects to a UNIX socket."""

    def _makeTransport(self) -> UNIXClient:  # type: ignore[override]
        return UNIXClient(self.address, self, self.reactor, self.checkPID)
