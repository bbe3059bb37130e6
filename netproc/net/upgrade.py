"""TLS on a stream transport, for protocols that call `startTLS`.

`net/seqpacket.py` chooses this transport for streams.  The TLS is Twisted's own, for other protocols than netproc's.
Processes do not use it: they have netproc's TLS.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from OpenSSL.crypto import X509
from twisted.internet.interfaces import INegotiated, ITLSTransport
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from zope.interface import implementer

from .producer import Producing
from .transport import StreamTransport


@implementer(ITLSTransport)
class PlainTransport(StreamTransport):  # type: ignore[override]
    """A stream transport that can switch to TLS later."""

    __slots__ = ()

    def startTLS(self, contextFactory: Any, normal: bool = True) -> None:
        """Switch to TLS with CONTEXTFACTORY, a Twisted context factory.

        The side that accepted the connection is the TLS server.  If NORMAL is false, it is the TLS client.
        """
        if not self.connected:
            return
        factory = TLSMemoryBIOFactory(contextFactory, self.is_client is bool(normal), None)  # type: ignore[arg-type]
        # The protocol knows its transport already.
        tls = factory.protocol(factory, self.protocol, False)
        producing = self.watcher if isinstance(self.watcher, Producing) else None
        if producing is not None:
            self.unregisterProducer()
        self.protocol = tls
        # From now on the protocol calls the methods of SecureTransport, which pass through TLS.
        self.__class__ = SecureTransport
        tls.makeConnection(_Below(self))
        if producing is not None:
            self.registerProducer(producing.producer, producing.streaming)


@implementer(INegotiated)
class SecureTransport(PlainTransport):  # type: ignore[override]
    """A stream transport with TLS.

    Its protocol is Twisted's TLS protocol, which wraps the protocol that called `startTLS`.
    """

    __slots__ = ()

    protocol: TLSMemoryBIOProtocol

    def write(self, data: bytes) -> None:
        if self.connected:
            self.protocol.write(data)

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def registerProducer(self, producer: object, streaming: bool) -> None:
        if self.connected:
            self.protocol.registerProducer(producer, streaming)
        else:
            super().registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        if self.connected:
            self.protocol.unregisterProducer()

    def loseConnection(self) -> None:
        """Send close_notify after the queued output, and close."""
        if self.connected and not self.disconnecting:
            self.protocol.loseConnection()

    def getHandle(self) -> Any:
        """Return the pyOpenSSL connection, None after the transport was closed."""
        return self.protocol.getHandle() if self.connected else None

    def getPeerCertificate(self) -> X509 | None:
        """Return the peer's certificate; None if it has sent none or the connection has ended."""
        handle = self.getHandle()
        return None if handle is None else handle.get_peer_certificate()

    @property
    def negotiatedProtocol(self) -> bytes | None:
        """The protocol that ALPN has chosen, None if there is none."""
        return self.protocol.negotiatedProtocol if self.connected else None


class _Below:
    """The transport below TLS: the methods that TRANSPORT, a SecureTransport, has without TLS."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport

    def __getattr__(self, name: str) -> Any:
        return getattr(super(SecureTransport, self._transport), name)
