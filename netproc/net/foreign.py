"""The channel over a transport that is not netproc's, and the endpoints that make such transports.

A foreign endpoint is any Twisted endpoint but netproc's own.  `making/make.py` checks the one that the program gave, and
`making/client.py` and `making/server.py` let it build ForeignChannels.  These close like the channels of `net/stream.py`.

Output passes through a queue in the channel, because only then it can be counted and bounded.  The transport receives no
more than it asks for.  If a transport cannot do what a process asks of it, the call raises ProcessError(EOPNOTSUPP).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import clientFromString, serverFromString
from twisted.internet.error import TimeoutError as TwistedTimeoutError
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IHandshakeListener,
    IListeningPort,
    IPushProducer,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import Interface, alsoProvides, implementer

from ..core.errors import ProcessArgumentError, ProcessError, from_os_error
from ..core.escape import error_text, shown
from ..core.limits import DEFAULT_LIMITS, KIB
from .channel import Pieces
from .interfaces import INetprocReactor
from .sockets import from_twisted_address
from .stream import StreamChannel

log = Logger()

#: Output is written in pieces of this size, in bytes, so that the transport can pause it early.
_PIECE = 64 * KIB


def _cannot(what: str) -> ProcessError:
    return ProcessError(errno.EOPNOTSUPP, f"the transport of this endpoint cannot {what}")


def _layers(transport: object) -> list[object]:
    """Return TRANSPORT and the transports below it; the transport of the socket is the last.

    Wrapping factories (twisted.protocols.policies, "haproxy:") and Twisted's TLS put their protocols in between.  Such a
    protocol seems to have every attribute of the transport below it.
    """
    layers = [transport]
    while isinstance(layers[-1], ProtocolWrapper):
        layers.append(layers[-1].transport)
    return layers


def _pass_on(outer: object, interface: type[Interface], channel: ForeignChannel) -> None:
    """Let OUTER, the outermost of the protocols around CHANNEL, pass on the calls of INTERFACE.

    Twisted's wrappers do not do that.  Those of its client endpoints take over one interface of the protocol only, and
    those of wrapping factories none.
    """
    if outer is not channel and not interface.providedBy(outer):
        for name in interface:
            setattr(outer, name, getattr(channel, name))
        alsoProvides(outer, interface)


@implementer(IHandshakeListener, IPushProducer)
class ForeignChannel(StreamChannel):
    """The channel over any ITransport."""

    #: The output that the transport has not received yet.
    output: Pieces

    _high = DEFAULT_LIMITS.high_water
    _low = DEFAULT_LIMITS.low_water
    _tell_writable = False
    _full = False
    _shut_wanted = False
    #: Whether the transport does TLS itself, so that it cannot be used before its handshake.
    does_tls = False
    _secure: Callable[[], None] | None = None

    def connectionMade(self) -> None:
        transport = self.transport
        assert transport is not None
        self.output = Pieces()
        self.local = from_twisted_address(transport.getHost())
        self.remote = from_twisted_address(transport.getPeer())
        layers = _layers(transport)
        self._socket_transport = layers[-1]
        tls = next((layer for layer in layers if isinstance(layer, TLSMemoryBIOProtocol)), None)
        self.does_tls = tls is not None
        self._half_closes = tls is None and hasattr(self._socket_transport, "loseWriteConnection")
        if hasattr(transport, "registerProducer"):
            transport.registerProducer(self, True)
        if tls is not None:
            _pass_on(tls.wrappedProtocol, IHandshakeListener, self)
        elif self._half_closes:
            outermost = getattr(self._socket_transport, "protocol", None) or self
            _pass_on(outermost, IHalfCloseableProtocol, self)
        self._begin()

    def when_secure(self, then: Callable[[], None]) -> None:
        """Call THEN when the TLS handshake of the transport is complete."""
        self._secure = then

    def handshakeCompleted(self) -> None:
        secure, self._secure = self._secure, None
        if secure is not None:
            secure()

    # -- output -------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        if self._closing:
            return
        for at in range(0, len(data), _PIECE):
            self.output.append(data[at : at + _PIECE])
        self._write_queued()
        if self.output.pending > self._high:
            self.receiver.congested()

    def _write_queued(self) -> None:
        """Write queued output until the transport calls pauseProducing."""
        transport = self.transport
        assert transport is not None
        while self.output and not self._full:
            transport.write(self.output.popleft())

    def pauseProducing(self) -> None:
        """Write no more: the transport has enough (IPushProducer)."""
        self._full = True

    def resumeProducing(self) -> None:
        """Write again: the transport wants more (IPushProducer)."""
        if getattr(self._socket_transport, "disconnecting", False):
            # Twisted's TLS closes the transport when the peer sends close_notify, and then takes no more output.
            self._unregister()
            return
        self._full = False
        self._write_queued()
        self._tell_if_writable()
        if not self.output:
            self._output_written()

    def _output_written(self) -> None:
        """Close or shut as was asked for, now that the transport has all output."""
        if self._closing:
            self._end_output()
        elif self._shut_wanted:
            self._shut_now()

    def stopProducing(self) -> None:
        """Write no more: the transport has ended (IPushProducer)."""
        self._full = True

    def when_writable(self) -> None:
        self._tell_writable = True
        if not self._full:
            # The transport has all output, and may never ask for more.
            self._reactor.callLater(0, self._tell_if_writable)

    def _tell_if_writable(self) -> None:
        if self._tell_writable and self.output.pending < self._low and not self._gone:
            self._tell_writable = False
            self.receiver.writable()

    def set_marks(self, high: int, low: int) -> None:
        self._high, self._low = high, low

    # -- calls that some transports lack -------------------------------------------------------

    def pause(self) -> None:
        """Pause the transport if it can be paused; input that it still reads waits in the process."""
        if hasattr(self.transport, "pauseProducing"):
            super().pause()

    def resume(self) -> None:
        if hasattr(self.transport, "resumeProducing"):
            super().resume()

    def check_pausable(self) -> None:
        if not hasattr(self.transport, "pauseProducing"):
            raise _cannot("stop reading")

    def write_eof(self) -> None:
        if not self._half_closes:
            raise _cannot("shut one side only")
        super().write_eof()

    def set_option(self, name: str, value: object) -> None:
        raise _cannot(f"set the option {name}")

    # -- closing ------------------------------------------------------------------------------

    def _flush(self) -> None:
        if hasattr(self.transport, "resumeProducing"):
            self.transport.resumeProducing()  # type: ignore[union-attr]
        if not self.output:
            self._end_output()

    def _end_output(self) -> None:
        """Shut or close the transport, which then sends its output first."""
        if self._write_shut:
            self.writeConnectionLost()
        elif self._half_closes and not self._peer_ended:
            self._shut_now()
        else:
            self._unregister()
            self.transport.loseConnection()  # type: ignore[union-attr]

    def _shut_write(self) -> None:
        self._shut_wanted = True
        if not self.output:
            self._shut_now()

    def _shut_now(self) -> None:
        self._unregister()
        super()._shut_write()

    def _unregister(self) -> None:
        # A transport does not close while it has a producer.
        if hasattr(self.transport, "unregisterProducer"):
            self.transport.unregisterProducer()  # type: ignore[union-attr]

    def _abort_transport(self) -> None:
        self._stop_waiting()
        transport = self.transport
        assert transport is not None
        if hasattr(transport, "abortConnection"):
            transport.abortConnection()
        else:
            transport.loseConnection()

    def _count_unsent(self) -> None:
        self.unsent = self.output.pending


class ForeignPort:
    """The Port over the listening port of a foreign endpoint."""

    def __init__(self, port: IListeningPort) -> None:
        self._port = port
        self.local = from_twisted_address(port.getHost())

    def pause(self) -> None:
        self._call("pauseProducing")

    def resume(self) -> None:
        self._call("resumeProducing")

    def _call(self, name: str) -> None:
        method = getattr(self._port, name, None)
        if method is None:
            raise _cannot("stop accepting")
        method()

    def close(self, gone: Callable[[], None]) -> None:
        stopped = maybeDeferred(self._port.stopListening)
        stopped.addErrback(lambda failure: log.failure("Cannot stop listening", failure))
        stopped.addBoth(lambda _: gone())

    def set_option(self, name: str, value: object) -> None:
        raise _cannot(f"set the option {name}")


# -- endpoints --------------------------------------------------------------------------------


def client_endpoint(endpoint: object, reactor: INetprocReactor) -> IStreamClientEndpoint:
    """Return ENDPOINT, a client endpoint or the description of one as for clientFromString.

    Raises ProcessArgumentError if it is neither.
    """
    if isinstance(endpoint, str):
        endpoint = _described(clientFromString, reactor, endpoint)
    if not IStreamClientEndpoint.providedBy(endpoint):
        raise ProcessArgumentError("endpoint", f"{shown(endpoint)} is not an endpoint for clients")
    return endpoint


def server_endpoint(endpoint: object, reactor: INetprocReactor) -> IStreamServerEndpoint:
    """Return ENDPOINT, a server endpoint or the description of one as for serverFromString.

    Raises ProcessArgumentError if it is neither.
    """
    if isinstance(endpoint, str):
        endpoint = _described(serverFromString, reactor, endpoint)
    if not IStreamServerEndpoint.providedBy(endpoint):
        raise ProcessArgumentError("endpoint", f"{shown(endpoint)} is not an endpoint for servers")
    return endpoint


def _described(
    parse: Callable[[INetprocReactor, str], object], reactor: INetprocReactor, description: str
) -> object:
    try:
        return parse(reactor, description)
    except Exception as error:
        # The parsers can be plugins of any package, and raise any exception.
        raise ProcessArgumentError(
            "endpoint", f"{shown(description)}: {error_text(error)}"
        ) from error


def network_error(error: BaseException, what: str) -> ProcessError:
    """Return the ProcessError for ERROR, with which a foreign endpoint failed.  WHAT begins its message."""
    cause = getattr(error, "osError", None) or getattr(error, "socketError", None) or error
    if isinstance(error, TwistedTimeoutError):
        cause = errno.ETIMEDOUT
    if isinstance(cause, int):
        # Twisted's ConnectError has only the number.
        cause = OSError(cause, os.strerror(cause))
    if isinstance(cause, OSError):
        return from_os_error(cause, what)
    return ProcessError(None, f"{what}: {error}")
