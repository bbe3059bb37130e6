"""Stream channels: Twisted protocols towards the transport, channels towards the process.

An endpoint builds a channel for each connection with the ChannelFactory that `making/client.py` or `making/server.py`
gives it.  StreamChannel implements the Channel of `net/channel.py` for any transport, and closes it in order.  OwnChannel
is for the transport of `net/transport.py`; `net/foreign.py` has the subclass for all others.

A channel closes a connection in four steps.  It sends the pending output, until a deadline at most, and shuts the writing
side.  Then it discards input for a short time, until the peer ends its output too, and closes the descriptor.  If the peer
has ended its output before, the third step is left out.
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
    """Return the error that FAILURE, of `connectionLost`, stands for; None if the peer closed the connection in order."""
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
    """The channel of one connection over any transport.

    CONNECTED is called with the channel when it has a transport, and hands it to a receiver.
    """

    receiver: Receiver  # deleted when the connection has ended
    output: Output
    local: SocketAddress | None = None
    remote: SocketAddress | None = None
    unsent = 0
    failure: ProcessError | None = None
    truncated = False

    #: Whether sending the pending output can take longer than this dispatch.
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
        self._connected = connected

    # -- called by the transport --------------------------------------------------------------

    def _begin(self) -> None:
        """Get a receiver, now that there is a transport."""
        connected = self._connected
        del self._connected
        connected(self)

    def hand_to(self, receiver: Receiver) -> None:
        if self._gone:
            return
        self.receiver = receiver
        if not self._closing:
            # The transport calls the receiver without a call in between, for each piece of input.
            self.dataReceived = receiver.data  # type: ignore[method-assign,assignment]

    def readConnectionLost(self) -> None:
        """Report the end of the peer's output, or close if we have been waiting for it."""
        self._peer_ended = True
        if not self._closing:
            self.receiver.eof()
        elif self._write_shut:
            self._close_transport()

    def writeConnectionLost(self) -> None:
        """Go on with closing: the pending output is sent and the writing side shut."""
        self._write_shut = True
        if not self._closing:
            return
        if self._peer_ended:
            self._close_transport()
        else:
            self._wait(self._linger, self._close_transport)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Report the end of the connection: the descriptor is closed."""
        self._stop_waiting()
        self._count_unsent()
        ended = reason_of(reason) if self._reactor.running else ProcessError(None, STOPPED)
        self.dataReceived = _discard  # type: ignore[method-assign]
        receiver = vars(self).pop("receiver", None)  # no reference cycle
        self._gone = True
        if receiver is None:
            return  # the channel was never handed to a receiver
        if self._closing:
            self.failure = self.failure or (ended if self.unsent else None)
            receiver.gone()
        else:
            self._closing = True
            receiver.lost(ended)

    # -- called by the receiver ---------------------------------------------------------------

    @abstractmethod
    def write(self, data: bytes) -> None: ...

    @abstractmethod
    def when_writable(self) -> None: ...

    @abstractmethod
    def set_marks(self, high: int, low: int) -> None: ...

    def peer_credentials(self) -> tuple[int, int, int] | None:
        return None

    @abstractmethod
    def set_option(self, name: str, value: object) -> None: ...

    def socket_for_tls(self) -> socket.socket | None:
        """Return the socket if TLS may read and write it without this channel, else None."""
        return None

    def check_pausable(self) -> None:
        """Do nothing: netproc's own transport can always be paused."""

    def pause(self) -> None:
        if not self._closing:
            self.transport.pauseProducing()  # type: ignore[union-attr]

    def resume(self) -> None:
        if not self._closing:
            self.transport.resumeProducing()  # type: ignore[union-attr]

    def write_eof(self) -> None:
        if not self._closing:
            self._shut_write()

    def close(self, flush: float, linger: float) -> None:
        if self._closing:
            return
        self._closing = True
        self._linger = linger
        self.dataReceived = _discard  # type: ignore[method-assign]
        if self._flush_takes_time:
            self._wait(flush, self._flush_too_late)
        self._flush()

    def abort(self) -> None:
        if not self._gone:
            self._closing = True
            self._abort_transport()

    # -- closing ------------------------------------------------------------------------------

    def _flush(self) -> None:
        """Send the pending output.  The transport then shuts or closes without another call."""
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
        """Set `unsent`, after the transport has ended."""

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
    """The channel over netproc's own transport, which queues and counts the output."""

    transport: StreamTransport

    def makeConnection(self, transport: StreamTransport) -> None:
        self.connected = 1
        self.transport = transport
        self.local, self.remote = transport.local, transport.remote
        self.output = transport.queue
        transport.watcher = self
        self._begin()

    @property
    def _flush_takes_time(self) -> bool:  # type: ignore[override]
        # TLS sends a close_notify, for which the kernel may have no room.
        return self.output.pending > 0 or self.transport.is_secure

    def write(self, data: bytes) -> None:
        self.transport.write(data)

    def when_writable(self) -> None:
        self.transport.when_writable()

    def set_option(self, name: str, value: object) -> None:
        sockets.set_option(self.transport.getHandle(), name, value)

    def socket_for_tls(self) -> socket.socket | None:
        """Return the socket, or None if the writing side is shut or clear text is still pending after a flush."""
        transport = self.transport
        if self.output.pending:
            transport.flush()
        idle = not self.output.pending and not transport.write_shut
        return transport.getHandle() if idle else None

    def peer_credentials(self) -> tuple[int, int, int] | None:
        return sockets.peer_credentials(self.transport.getHandle())

    def set_marks(self, high: int, low: int) -> None:
        self.transport.high_water, self.transport.low_water = high, low

    def congested(self) -> None:
        """Pass the report of the transport on."""
        self.receiver.congested()

    def writable(self) -> None:
        """Pass the report of the transport on."""
        self.receiver.writable()

    def output_failed(self, error: OSError) -> None:
        """Pass the report of the transport on; reading goes on."""
        self._count_unsent()
        self.receiver.output_lost(from_os_error(error, BROKEN))
        self.writeConnectionLost()

    def _count_unsent(self) -> None:
        self.unsent = self.transport.unsent


class ChannelFactory(Factory):
    """Builds the channels of one client or server process by calling BUILD."""

    noisy = False
    #: Whether `buildProtocol` uses the peer's address; see `net/listener.py`.
    wants_address = False

    def __init__(self, build: Callable[[], StreamChannel]) -> None:
        self._build = build

    def buildProtocol(self, addr: IAddress | None) -> StreamChannel:
        return self._build()


def _discard(data: bytes) -> None:
    """Discard DATA, the input of a connection that is being closed."""
