"""Twisted's own stream transports, with what a turn of the reactor wrote sent when that turn ends.

That spares two epoll_ctl and a dispatch for each reply, a third of what a small echo costs.  Sending when the dispatch
ends, as netproc's transports do, would answer the first sooner, but where an answer takes long a peer on the same machine
falls asleep meanwhile, and waking it for each costs the sender more than is gained: twisted.web was slower by it.

`epoll.py` makes them where an application listens, connects or hands over a socket; `net/dispatch.py` flushes
them.  Everything else is Twisted's: the buffer, producers, TLS, descriptors that are passed on, closing.
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

#: Room for what comes along with bytes, as Twisted has it.
_MESSAGE_SPACE = CMSG_SPACE(4096)

if TYPE_CHECKING:
    _Base = tcp.Connection
else:
    _Base = object


class _Corked(_Base):
    """Comes before a connection of Twisted's among the bases."""

    #: Twisted sends no more at once.
    SEND_LIMIT = READ_MAX

    reactor: Any
    _read_size = READ_MIN
    _flush_due = False
    _watched = False  # the reactor watches for room for output

    def doRead(self) -> Any:
        """Read and deliver input, as one dispatch.

        Reads follow the traffic, as in `net/transport.py`, which doubles the speed of bulk.
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
        """What has come, SIZE bytes at most."""
        raise NotImplementedError

    def startWriting(self) -> None:
        """Send soon: when the turn has ended, or else when there is room."""
        if self._flush_due or self._watched:
            return
        # To be writable means something else while it connects.
        if DISPATCH.running and self.connected:
            self._flush_due = True
            DISPATCH.gathered.append(self)
        else:
            self._watched = True
            super().startWriting()

    def stopWriting(self) -> None:
        """There is nothing to send; mostly the reactor never knew that there was."""
        self._flush_due = False
        if self._watched:
            self._watched = False
            super().stopWriting()

    def flush(self) -> None:
        """The turn has ended."""
        if not self._flush_due:
            return
        LOG_CONTEXT.served = self
        why = self.doWrite()
        if why:
            self.reactor._disconnectSelectable(self, why, False)
        elif self._flush_due:
            # Nothing said that all has been sent.
            self._flush_due = False
            self.startWriting()


class _TCP(_Corked):
    """The parts of a TLS handshake, which are short and awaited, do not wait for each other: under Nagle's
    algorithm the first answer would come 40 ms late.
    """

    def _receive(self, size: int) -> bytes:
        return self.socket.recv(size)

    def startTLS(self, ctx: Any, normal: bool = True) -> None:
        """See ITLSTransport."""
        self.setTcpNoDelay(True)
        super().startTLS(ctx, normal)

    def _hurry_tls(self, protocol: Any) -> None:
        """PROTOCOL, which may be TLS, has been found."""
        if self.connected and isinstance(protocol, TLSMemoryBIOProtocol):
            self.setTcpNoDelay(True)


class _UNIX(_Corked):
    """Descriptors may come along with bytes, and are told first."""

    _ancillaryLevelSOLSOCKETTypeSCMRIGHTS: Any
    _sendmsgQueue: list[int]  # noqa: N815

    def flush(self) -> None:
        """The turn has ended.

        Each descriptor needs a byte to go with.  If the program has not written these yet, it may do so in a timer, as it
        can with Twisted's own transports: those send in the next turn, after the timers.
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
