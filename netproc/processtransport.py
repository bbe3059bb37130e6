"""A process as a transport of Twisted's, for protocols that know nothing of processes.

`processendpoints.py` hands in a process that is open, with the protocol for it; this is the filter of the process, tells
the protocol what comes and how it ends, and sends what the protocol writes.

It keeps to what Twisted's own transports do where a process would do otherwise: output is not bounded but by a
producer, a protocol that raises loses its connection, and only who asks for half-closes gets them.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterable

from OpenSSL.crypto import FILETYPE_PEM, X509, load_certificate
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IAddress,
    IHalfCloseableProtocol,
    INegotiated,
    IProtocol,
    IPushProducer,
    ITCPTransport,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from .core.errors import ProcessError
from .net.sockets import twisted_address
from .net.tls.channel import TLSChannel
from .process import NetworkProcess
from .producing import Producing

log = Logger()


def start_protocol(process: NetworkProcess, protocol: IProtocol) -> None:
    """Connect PROTOCOL to PROCESS, which is open and whose filter has not been given anything yet."""
    is_tls = isinstance(process.sending.channel, TLSChannel)
    kind = TLSProcessTransport if is_tls else ProcessTransport
    kind(process, protocol).start()


@implementer(ITCPTransport, IPushProducer)
class ProcessTransport:
    """The transport of one protocol."""

    disconnecting = False
    disconnected = False

    def __init__(self, process: NetworkProcess, protocol: IProtocol) -> None:
        self._process = process
        self._protocol = protocol
        self._producing: Producing | None = None
        self._aborted = False
        # Of the two directions: has the peer ended, and have we?
        self._read_over = False
        self._shut_wanted = False
        self._write_over = False

    def start(self) -> None:
        """Tell the protocol that it is connected; then it hears what comes."""
        process = self._process
        process.limits = dataclasses.replace(process.limits, send_cap=sys.maxsize)
        process.life.half_closed = self._peer_ended
        process.closed.addCallback(self._closed)
        self._guard(self._protocol.makeConnection, self)
        process.filter = self._received

    # -- told by the process --------------------------------------------------------------------

    def _received(self, process: NetworkProcess, data: bytes) -> None:
        if not self.disconnecting:
            self._guard(self._protocol.dataReceived, data)

    def _guard(self, told: Callable[..., object], *arguments: object) -> bool:
        """Tell the protocol something; False if that fails: then nobody knows what state it is in."""
        try:
            told(*arguments)
        except Exception:
            log.failure("The protocol failed; its connection is closed")
            self.abortConnection()
            return False
        return True

    def _peer_ended(self) -> None:
        """The peer sends no more."""
        if self._read_over or self.disconnecting:
            return
        self._read_over = True
        protocol = IHalfCloseableProtocol(self._protocol, None)
        if protocol is None:
            self.loseConnection()
            return
        self._guard(protocol.readConnectionLost)
        self._close_if_over()

    def _close_if_over(self) -> None:
        if self._read_over and self._write_over:
            self.loseConnection()

    def _closed(self, process: NetworkProcess) -> None:
        """The descriptor is gone."""
        self.disconnected = True
        self._forget_producer()
        protocol = self._protocol
        # They would keep each other.
        del self._protocol
        process.life.half_closed = None
        process.filter = None
        try:
            protocol.connectionLost(Failure(self._reason()))
        except Exception:
            log.failure("The protocol failed when its connection was lost")

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
        """Send DATA; what cannot be sent any more is dropped, and connectionLost tells."""
        if isinstance(data, str):
            raise TypeError("a transport takes bytes, not str")
        if (self.disconnecting or self._shut_wanted) and self._producing is None:
            return
        try:
            self._process.send(data)
        except ProcessError:
            return
        if self._producing is not None:
            self._producing.written()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Write all of DATA."""
        self.write(b"".join(data))

    def registerProducer(self, producer: object, streaming: bool) -> None:
        """Let PRODUCER write as fast as the peer reads."""
        if self._producing is not None:
            raise RuntimeError("a producer is registered already")
        if self.disconnected or self._write_over:
            producer.stopProducing()  # type: ignore[attr-defined]
            return
        self._producing = Producing(self._process, producer, streaming, self._guard)

    def unregisterProducer(self) -> None:
        """The producer has no more; what waited for that is done now."""
        if self._producing is not None:
            self._producing.end()
            self._producing = None
        if self.disconnecting:
            self._close()
        elif self._shut_wanted:
            self._shut_write()

    def _forget_producer(self) -> None:
        producing, self._producing = self._producing, None
        if producing is not None:
            producing.end()
            self._guard(producing.producer.stopProducing)

    def loseWriteConnection(self) -> None:
        """Shut the writing side, behind what is pending and what a producer has."""
        if not self._shut_wanted:
            self._shut_wanted = True
            if self._producing is None:
                self._shut_write()

    def _shut_write(self) -> None:
        try:
            self._process.send_eof()
        except ProcessError:
            # It has ended, or will soon.
            return
        written = self._process.drain()
        written.addCallbacks(self._tell_soon_that_write_is_over, lambda _: None)

    def _tell_soon_that_write_is_over(self, _: object) -> None:
        # Not from within loseWriteConnection: protocols do not expect that.
        self._process.reactor.callLater(0, self._tell_that_write_is_over)

    def _tell_that_write_is_over(self) -> None:
        if self.disconnected or self.disconnecting:
            return
        self._write_over = True
        protocol = IHalfCloseableProtocol(self._protocol, None)
        if protocol is not None:
            self._guard(protocol.writeConnectionLost)
        self._close_if_over()

    # -- reading --------------------------------------------------------------------------------

    def pauseProducing(self) -> None:
        """Read nothing until resumed."""
        if self._process.live:
            self._process.stop()

    def resumeProducing(self) -> None:
        """Read again."""
        if self._process.live:
            self._process.resume()

    def stopProducing(self) -> None:
        """Nobody wants the input any more."""
        self.loseConnection()

    # -- ending ---------------------------------------------------------------------------------

    def loseConnection(self) -> None:
        """Close, behind what is pending and what a producer has; what comes is thrown away."""
        if not self.disconnecting and not self.disconnected:
            self.disconnecting = True
            self.resumeProducing()
            if self._producing is None:
                self._close()

    def _close(self) -> None:
        # The process's own deadline for writing is for what is left then.
        self._process.drain().addBoth(lambda _: self._process.delete())

    def abortConnection(self) -> None:
        """Close by a reset; the protocol hears of it, and of nothing else, in the reactor's next turn."""
        if not self._aborted and not self.disconnected:
            self._aborted = self.disconnecting = True
            self._process.reactor.callLater(0, self._abort)

    def _abort(self) -> None:
        process = self._process
        process.linger = 0
        process.delete()
        channel = process.sending.channel
        if channel is not None:
            # It was closing already.
            channel.abort()

    # -- what it is -----------------------------------------------------------------------------

    def getHost(self) -> IAddress:  # type: ignore[override]
        """Our address."""
        return twisted_address(self._process.shown.local)

    def getPeer(self) -> IAddress:  # type: ignore[override]
        """The peer's address."""
        return twisted_address(self._process.shown.remote)

    def getTcpNoDelay(self) -> bool:
        """Is Nagle's algorithm off?"""
        return bool(self._process.contact("nodelay"))

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Switch Nagle's algorithm off or on."""
        self._set_option("nodelay", enabled)

    def getTcpKeepAlive(self) -> bool:
        """Does the kernel probe an idle connection?"""
        return bool(self._process.contact("keepalive"))

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Let the kernel probe an idle connection, or not."""
        self._set_option("keepalive", enabled)

    def _set_option(self, name: str, enabled: bool) -> None:
        try:
            self._process.set_option(name, bool(enabled))
        except ProcessError:
            # UNIX sockets have no such thing, and Twisted's transports for them keep silent too.
            pass


@implementer(INegotiated)
class TLSProcessTransport(ProcessTransport):  # type: ignore[override]
    """The same over TLS."""

    def getPeerCertificate(self) -> X509 | None:
        """The peer's certificate, None if it has shown none or the connection is gone."""
        described = (self._process.peer_status() or {}).get("certificate")
        if not isinstance(described, dict):
            return None
        return load_certificate(FILETYPE_PEM, described["pem"].encode())

    @property
    def negotiatedProtocol(self) -> bytes | None:
        """What ALPN has settled, None if nothing."""
        protocol = (self._process.peer_status() or {}).get("alpn")
        return protocol if isinstance(protocol, bytes) else None
