"""Stream protocols and factories: Twisted's callbacks on one side, a channel on the other.

Endpoints build StreamChannels with a ChannelFactory; `making/client.py` and `making/server.py` say what becomes of each; the process asks
the channel and is told by it (`net/channel.py`).  StreamChannel closes any connection in order, OwnChannel
is for the transport of `net/transport.py`, `net/foreign.py` has the one for all others.

Closing goes: flush, at most until a deadline; shut the writing side; throw input away until the peer
ends too, for a short time; close.  If the peer has ended already there is nothing to wait for
behind the flush.
"""

from __future__ import annotations

import errno
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress, IDelayedCall, IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from ..core.address import SocketAddress
from ..core.errors import ProcessError, from_os_error
from . import sockets
from .channel import Output, Receiver
from .interfaces import INetprocReactor
from .transport import StreamTransport

BROKEN = "connection broken"
STOPPED = f"{BROKEN}: the reactor has stopped"


def reason_of(failure: Failure) -> ProcessError | None:
    """Why a transport ended: None if the peer closed it in order."""
    error: BaseException | None = failure.value
    if isinstance(error, ConnectionDone):
        return None
    while error is not None:
        if isinstance(error, ProcessError):
            return error
        if isinstance(error, OSError):
            return from_os_error(error, BROKEN)
        error = error.__cause__
    return ProcessError(None, f"{BROKEN}: {failure.getErrorMessage()}")


@implementer(IHalfCloseableProtocol)
class StreamChannel(Protocol, ABC):
    """One connection; the base of both channels."""

    receiver: Receiver  # until it is gone
    output: Output
    local: SocketAddress | None = None
    remote: SocketAddress | None = None
    unsent = 0
    failure: ProcessError | None = None
    truncated = False

    #: Can writing what is pending take longer than this event?
    _flush_takes_time = True
    _timer: IDelayedCall | None = None
    _linger = 0.0
    _closing = False
    _peer_ended = False
    _write_shut = False
    _gone = False

    def __init__(
        self, reactor: INetprocReactor, connected: Callable[[StreamChannel], None]
    ) -> None:
        self._reactor = reactor
        # Called when there is a transport; it hands the channel to a receiver.
        self._connected = connected

    # -- told by the transport ----------------------------------------------------------------

    def _begin(self) -> None:
        """There is a transport: let a receiver be found."""
        connected = self._connected
        del self._connected
        connected(self)

    def hand_to(self, receiver: Receiver) -> None:
        """See Channel."""
        if self._gone:
            return
        self.receiver = receiver
        if not self._closing:
            # Straight to the receiver: this is called for everything that comes.
            self.dataReceived = receiver.data  # type: ignore[method-assign,assignment]

    def readConnectionLost(self) -> None:
        """The peer will send no more."""
        self._peer_ended = True
        if not self._closing:
            self.receiver.eof()
        elif self._write_shut:
            self._close_transport()

    def writeConnectionLost(self) -> None:
        """What was pending is written and the writing side shut."""
        self._write_shut = True
        if not self._closing:
            return
        if self._peer_ended:
            self._close_transport()
        else:
            self._wait(self._linger, self._close_transport)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The descriptor is gone."""
        self._stop_waiting()
        self._count_unsent()
        ended = reason_of(reason) if self._reactor.running else ProcessError(None, STOPPED)
        self.dataReceived = _discard  # type: ignore[method-assign]
        receiver = vars(self).pop("receiver", None)  # the two would keep each other
        self._gone = True
        if receiver is None:
            return  # it was not wanted
        if self._closing:
            self.failure = self.failure or (ended if self.unsent else None)
            receiver.gone()
        else:
            self._closing = True
            receiver.lost(ended)

    # -- asked by the receiver ----------------------------------------------------------------

    @abstractmethod
    def write(self, data: bytes) -> None:
        """See Channel."""

    @abstractmethod
    def when_writable(self) -> None:
        """See Channel."""

    @abstractmethod
    def set_marks(self, high: int, low: int) -> None:
        """See Channel."""

    def peer_credentials(self) -> tuple[int, int, int] | None:
        """See Channel."""
        return None

    @abstractmethod
    def set_option(self, name: str, value: object) -> None:
        """See Channel."""

    def socket_for_tls(self) -> socket.socket | None:
        """The socket, if TLS may read and write it by itself."""
        return None

    def check_pausable(self) -> None:
        """See Channel."""

    def pause(self) -> None:
        """See Channel."""
        if not self._closing:
            self.transport.pauseProducing()  # type: ignore[union-attr]

    def resume(self) -> None:
        """See Channel."""
        if not self._closing:
            self.transport.resumeProducing()  # type: ignore[union-attr]

    def write_eof(self) -> None:
        """See Channel."""
        if not self._closing:
            self._shut_write()

    def close(self, flush: float, linger: float) -> None:
        """See Channel."""
        if self._closing:
            return
        self._closing = True
        self._linger = linger
        self.dataReceived = _discard  # type: ignore[method-assign]
        if self._flush_takes_time:
            self._wait(flush, self._flush_too_late)
        self._flush()

    def abort(self) -> None:
        """See Channel."""
        if not self._gone:
            self._closing = True
            self._abort_transport()

    # -- closing ------------------------------------------------------------------------------

    def _flush(self) -> None:
        """Write what is pending; the transport then shuts or closes by itself."""
        transport = self.transport
        assert transport is not None
        if self._peer_ended and not self._write_shut:
            transport.loseConnection()
            return
        transport.resumeProducing()  # type: ignore[attr-defined]
        if self._write_shut:
            self.writeConnectionLost()
        else:
            self._shut_write()

    def _shut_write(self) -> None:
        self.transport.loseWriteConnection()  # type: ignore[union-attr]

    def _flush_too_late(self) -> None:
        self.failure = ProcessError(errno.ETIMEDOUT, f"{BROKEN}: the peer does not read")
        self._abort_transport()

    def _close_transport(self) -> None:
        self._stop_waiting()
        assert self.transport is not None
        self.transport.loseConnection()

    def _abort_transport(self) -> None:
        self._stop_waiting()
        self.transport.abortConnection()  # type: ignore[union-attr]

    def _count_unsent(self) -> None:
        """Set `unsent`: the transport has ended."""

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        self._stop_waiting()
        self._timer = self._reactor.callLater(seconds, self._time_is_up, then)

    def _time_is_up(self, then: Callable[[], None]) -> None:
        self._timer = None
        then()

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class OwnChannel(StreamChannel):
    """Over netproc's own transport, which queues, counts and tells."""

    transport: StreamTransport

    def makeConnection(self, transport: StreamTransport) -> None:
        """The transport is there."""
        self.connected = 1
        self.transport = transport
        self.local, self.remote = transport.local, transport.remote
        self.output = transport.queue
        transport.watcher = self
        self._begin()

    @property
    def _flush_takes_time(self) -> bool:  # type: ignore[override]
        # TLS has a last word, and the kernel may have no room for it.
        return self.output.pending > 0 or self.transport.is_secure

    def write(self, data: bytes) -> None:
        """See Channel."""
        self.transport.write(data)

    def when_writable(self) -> None:
        """See Channel."""
        self.transport.when_writable()

    def set_option(self, name: str, value: object) -> None:
        """See Channel."""
        sockets.set_option(self.transport.getHandle(), name, value)

    def socket_for_tls(self) -> socket.socket | None:
        """See StreamChannel; not if something in clear text waits, since the peer does not read."""
        transport = self.transport
        if self.output.pending:
            transport.flush()
        idle = not self.output.pending and not transport.write_shut
        return transport.getHandle() if idle else None

    def peer_credentials(self) -> tuple[int, int, int] | None:
        """See Channel."""
        return sockets.peer_credentials(self.transport.getHandle())

    def set_marks(self, high: int, low: int) -> None:
        """See Channel."""
        self.transport.high_water, self.transport.low_water = high, low

    def congested(self) -> None:
        """Told by the transport."""
        self.receiver.congested()

    def writable(self) -> None:
        """Told by the transport."""
        self.receiver.writable()

    def output_failed(self, error: OSError) -> None:
        """Told by the transport; reading goes on."""
        self._count_unsent()
        self.receiver.output_lost(from_os_error(error, BROKEN))
        self.writeConnectionLost()

    def _count_unsent(self) -> None:
        self.unsent = self.transport.unsent


class ChannelFactory(Factory):
    """Builds the channels of one client or server process."""

    noisy = False
    #: Twisted's form of the peer's address is not looked at.
    wants_address = False

    def __init__(self, build: Callable[[], StreamChannel]) -> None:
        self._build = build

    def buildProtocol(self, addr: IAddress | None) -> StreamChannel:
        """Return a new channel."""
        return self._build()


def _discard(data: bytes) -> None:
    """Input of a connection that is closing."""
