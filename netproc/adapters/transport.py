"""A process as a transport for Twisted protocols.

`endpoints.py` makes one for an open process and its protocol.  The transport is the filter of the process: it passes the
input and the end of the connection to the protocol, and sends what the protocol writes.

Where processes and Twisted's transports differ, it behaves like Twisted's.  Output is limited only by a producer.  If a
protocol raises an exception, its connection is closed.  Half-closes are reported only to protocols that provide
IHalfCloseableProtocol.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterable
from typing import Any

from OpenSSL.crypto import X509
from OpenSSL.SSL import Connection
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IHalfCloseableProtocol,
    IHandshakeListener,
    INegotiated,
    IProtocol,
    IPushProducer,
    ISystemHandle,
    ITLSTransport,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import alsoProvides, implementer

from ..core.errors import ProcessError
from ..net.producer import Producing
from ..net.sockets import twisted_address
from ..net.stream import OwnChannel
from ..net.tls.channel import TLSChannel
from ..net.transport import StreamTransport, log_prefix
from ..process.process import NetworkProcess
from ..process.starttls import start_tls_by

log = Logger()


@implementer(ITLSTransport, IPushProducer, IConsumer, ISystemHandle)
class ProcessTransport:
    """The transport of PROTOCOL over PROCESS, which is open.  The filter of PROCESS is True or does nothing yet.

    Over TLS the transport provides INegotiated, and so ISSLTransport, as well.
    """

    connected = True
    disconnecting = False
    disconnected = False

    def __init__(self, process: NetworkProcess, protocol: IProtocol) -> None:
        self._process = process
        #: Assign another protocol to let it receive the input, as with Twisted's transports.
        self.protocol = protocol
        self._producing: Producing | None = None
        self._tls: Connection | None = None
        self._aborted = False
        # Whether abortConnection is running.
        self._aborting = False
        # Whether the peer has ended; whether the end of our output is wanted, has begun, is written.
        self._read_over = False
        self._shut_wanted = False
        self._shut = False
        self._write_over = False
        # Why no output can be written, once that is so.
        self._output_error: ProcessError | None = None

    def connect(self) -> None:
        """Connect the protocol.  No other method of it is called before `begin`."""
        process = self._process
        process.limits = dataclasses.replace(process.limits, send_cap=sys.maxsize)
        process._lifecycle.transport = self
        process.closed.addCallback(self._closed)
        self._look_at_tls()
        transport = self._stream_transport()
        if transport is not None:
            transport.log_prefix = log_prefix(self.protocol)
        self._guard(self.protocol.makeConnection, self)

    def begin(self) -> None:
        """Report the TLS handshake to the protocol, if there was one; from now on pass it the input."""
        if self._tls is not None:
            self._tell_handshake()
        if self.connected:
            self._process.filter = self._received

    def _look_at_tls(self) -> None:
        channel = self._process._output.channel
        if isinstance(channel, TLSChannel):
            self._tls = channel.connection
            alsoProvides(self, INegotiated)

    def _stream_transport(self) -> StreamTransport | None:
        """Return the transport of the socket, or None if netproc did not make it."""
        channel = self._process._output.channel
        below = channel.below if isinstance(channel, TLSChannel) else channel
        return below.transport if isinstance(below, OwnChannel) else None

    # -- called by the process ------------------------------------------------------------------

    def _received(self, process: NetworkProcess, data: bytes) -> None:
        if not self.disconnecting:
            self._guard(self.protocol.dataReceived, data)

    def _guard(self, method: Callable[..., object], *arguments: object) -> None:
        """Call METHOD of the protocol or its producer.

        If it raises an exception, the state of the protocol is unknown, so the connection is closed.
        """
        try:
            method(*arguments)
        except Exception:
            log.failure("The protocol failed; its connection is closed")
            self.abortConnection()

    def _tell_handshake(self) -> None:
        listener = IHandshakeListener(self.protocol, None)
        if listener is not None and not self.disconnecting:
            self._guard(listener.handshakeCompleted)

    def half_closed(self) -> None:
        """The peer has ended its output; called by the process."""
        if self._read_over or self.disconnecting:
            return
        self._read_over = True
        protocol = IHalfCloseableProtocol(self.protocol, None)
        if protocol is None:
            self.loseConnection()
            return
        self._guard(protocol.readConnectionLost)
        self._close_if_over()

    def _close_if_over(self) -> None:
        if self._read_over and self._write_over:
            self.loseConnection()

    def output_lost(self, reason: ProcessError) -> None:
        """No more output can be written, because of REASON; called by the process.

        The process still reads what the peer has sent, and then it ends.  But if the protocol has paused the input, or
        is disconnecting, the connection ends at once, because the protocol may never resume.
        """
        self._output_error = reason
        self._give_up_if_paused()

    def _give_up_if_paused(self) -> None:
        process = self._process
        if self._output_error is not None and (process.stopped or self.disconnecting):
            process._lifecycle.delete(self._output_error)

    def _closed(self, process: NetworkProcess) -> None:
        """The descriptor of PROCESS is closed."""
        if self._aborting:
            process.reactor.callLater(0, self._closed, process)
            return
        self.connected = False
        self.disconnected = True
        producing, self._producing = self._producing, None
        if producing is not None:
            self._guard(producing.stop)
        protocol = self.protocol
        # Otherwise each would keep the other in memory.
        del self.protocol
        process._lifecycle.transport = None
        process.filter = None
        try:
            protocol.connectionLost(Failure(self._reason()))
        except Exception:
            log.failure("The protocol failed when its connection was lost")
        self._tls = None

    def _reason(self) -> Exception:
        process = self._process
        if self._aborted:
            return ConnectionAborted()
        if process.reason is not None:
            lost = ConnectionLost(str(process.reason))
            lost.__cause__ = process.reason
            return lost
        if process.truncated:
            return ConnectionLost("the peer ended TLS without close_notify")
        return ConnectionDone()

    # -- writing --------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send DATA, or drop it if the connection cannot take it; connectionLost reports that."""
        if not isinstance(data, bytes):
            raise TypeError(f"a transport takes bytes, not {type(data).__name__}")
        process = self._process
        if self._aborted or (self._shut_wanted and self._producing is None):
            return
        try:
            process.send(data)
        except ProcessError:
            return
        if self._producing is not None:
            if process.pending > process.limits.high_water:
                self._guard(self._producing.congested)
            if self.disconnecting or self._shut_wanted:
                self._finish_soon()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Write all of DATA."""
        self.write(b"".join(data))

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Pause and resume PRODUCER, so that it writes as fast as the peer reads."""
        if self._producing is not None:
            raise RuntimeError("a producer is registered already")
        if self.disconnected or self._write_over:
            producer.stopProducing()
            return
        self._producing = Producing(producer, streaming, self._when_writable)

    def unregisterProducer(self) -> None:
        """The producer has no more output: close or shut the connection now, if that was waiting for it."""
        if self._producing is not None:
            self._producing.end()
            self._producing = None
            self._finish_soon()

    def _when_writable(self) -> None:
        """Call `_writable` when little output is pending, unless no more output can be written."""
        # One piece in each turn of the reactor, so that other connections have their turns.
        later = self._process.reactor.callLater
        self._process.drain().addCallbacks(lambda _: later(0, self._writable), lambda _: None)

    def _writable(self) -> None:
        if self._producing is not None:
            self._guard(self._producing.writable)
            if self._read_over:
                # Only now: before the close, the producer may write what it has, or unregister.
                self._finish()

    def loseWriteConnection(self) -> None:
        """Shut the writing side after pending output, and after the output of a producer."""
        if not self._shut_wanted:
            self._shut_wanted = True
            self._finish_soon()

    def _shut_write(self) -> None:
        self._shut = True
        try:
            self._process.send_eof()
        except ProcessError:
            # The process has ended, or will soon.
            return
        self._process.drain().addCallbacks(self._tell_soon_that_write_is_over, lambda _: None)

    def _tell_soon_that_write_is_over(self, _: object) -> None:
        # Later: protocols do not expect to be called inside loseWriteConnection.
        self._process.reactor.callLater(0, self._tell_that_write_is_over)

    def _tell_that_write_is_over(self) -> None:
        if self.disconnected or self.disconnecting:
            return
        self._write_over = True
        protocol = IHalfCloseableProtocol(self.protocol, None)
        if protocol is not None:
            self._guard(protocol.writeConnectionLost)
        self._close_if_over()

    # -- reading --------------------------------------------------------------------------------

    def pauseProducing(self) -> None:
        """Read no input until resumed."""
        if self._process.live:
            self._process.stop()
            if self._output_error is not None:
                # Later: the caller is the protocol.
                self._process.reactor.callLater(0, self._give_up_if_paused)

    def resumeProducing(self) -> None:
        """Read input again."""
        if self._process.live:
            self._process.resume()

    def stopProducing(self) -> None:
        """The input is no longer wanted: close the connection."""
        self.loseConnection()

    # -- ending ---------------------------------------------------------------------------------

    def loseConnection(self) -> None:
        """Close after pending output, and after the output of a producer; drop input."""
        if not self.disconnecting and not self.disconnected:
            self.disconnecting = True
            self.resumeProducing()
            self._finish_soon()

    def _finish_soon(self) -> None:
        """Close or shut in the reactor's next turn, so that the caller can write before that."""
        self._process.reactor.callLater(0, self._finish)

    def _finish(self) -> None:
        """Close or shut, if that is wanted and no producer has more output."""
        if self.disconnected or self._producer_has_more:
            return
        if self.disconnecting:
            # Only now: the process has a deadline for its output once it is deleted.
            self._process.drain().addCallbacks(self._close, lambda _: self._process.delete())
        elif self._shut_wanted and not self._shut:
            self._shut_write()

    @property
    def _producer_has_more(self) -> bool:
        return self._producing is not None and self._producing.has_more

    def _close(self, _: object) -> None:
        # The producer may have been paused in the meantime; now it is resumed.
        if not self._producer_has_more:
            self._process.delete()

    def abortConnection(self) -> None:
        """Reset the connection.  After this returns, connectionLost is called, and no other method of the protocol."""
        if self._aborted or self.disconnected:
            return
        self._aborted = self.disconnecting = self._aborting = True
        process = self._process
        process._linger = 0
        process.delete()
        channel = process._output.channel
        if channel is not None:
            # The channel was closing already, so deleting the process did not reset it.
            channel.abort()
        self._aborting = False

    # -- TLS ------------------------------------------------------------------------------------

    def startTLS(self, contextFactory: Any, normal: bool = True) -> None:
        """Start TLS by CONTEXTFACTORY, a Twisted one.  It alone verifies the peer, as with other transports.

        The accepting side is the TLS server; if NORMAL is false, it is the client.
        """
        if self.disconnecting or not self._process.live:
            return
        is_server = (self._process.accepted_by is not None) is bool(normal)
        started = start_tls_by(self._process, contextFactory, is_server)
        self._look_at_tls()
        # If TLS fails the connection ends, and connectionLost is called.
        started.addCallbacks(lambda _: self._tell_handshake(), lambda _: None)

    def getPeerCertificate(self) -> X509 | None:
        """Return the peer's certificate, or None if it sent none or the connection is closed."""
        return None if self._tls is None else self._tls.get_peer_certificate()

    @property
    def negotiatedProtocol(self) -> bytes | None:
        """The protocol that ALPN has chosen, or None."""
        protocol = None if self._tls is None else self._tls.get_alpn_proto_negotiated()
        return protocol or None

    # -- what it is -----------------------------------------------------------------------------

    def getHandle(self) -> Any:
        """Return the pyOpenSSL connection over TLS, otherwise the socket, or None once it is closed."""
        if self._tls is not None:
            return self._tls
        transport = self._stream_transport()
        return None if transport is None else transport.getHandle()

    def getHost(self) -> IAddress:  # type: ignore[override]
        """Return our address."""
        return twisted_address(self._process._contact.local)

    def getPeer(self) -> IAddress:  # type: ignore[override]
        """Return the peer's address."""
        return twisted_address(self._process._contact.remote)

    def getTcpNoDelay(self) -> bool:
        """Whether Nagle's algorithm is off."""
        return bool(self._process.contact("nodelay"))

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Switch Nagle's algorithm off or on."""
        self._set_option("nodelay", enabled)

    def getTcpKeepAlive(self) -> bool:
        """Whether the kernel probes an idle connection."""
        return bool(self._process.contact("keepalive"))

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Let the kernel probe an idle connection, or not."""
        self._set_option("keepalive", enabled)

    def _set_option(self, name: str, enabled: bool) -> None:
        try:
            self._process.set_option(name, bool(enabled))
        except ProcessError:
            # UNIX sockets do not have the option; Twisted's transports for them ignore this, too.
            pass
