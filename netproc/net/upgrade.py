"""TLS on a stream transport, for protocols that call `startTLS`.

`net/seqpacket.py` chooses this transport for streams.  The TLS is Twisted's own: processes, which have netproc's TLS, do
not use it.
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
    """A stream transport that can do TLS later."""

    __slots__ = ()

    def startTLS(self, contextFactory: Any, normal: bool = True) -> None:
        """Go on with TLS by CONTEXTFACTORY, one of Twisted's.

        The accepting side is the server; the other way round if NORMAL is false.
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
        # From here on what the protocol asks of its transport is asked of TLS.
        self.__class__ = SecureTransport
        tls.makeConnection(_Below(self))
        if producing is not None:
            self.registerProducer(producing.producer, producing.streaming)


@implementer(INegotiated)
class SecureTransport(PlainTransport):  # type: ignore[override]
    """The same once it does TLS; its protocol is TLS, and that one's the protocol that called `startTLS`."""

    __slots__ = ()

    protocol: TLSMemoryBIOProtocol

    def write(self, data: bytes) -> None:
        """Encrypt DATA and send it."""
        if self.connected:
            self.protocol.write(data)

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Write all of DATA."""
        self.write(b"".join(data))

    def registerProducer(self, producer: object, streaming: bool) -> None:
        """Let PRODUCER write as fast as the peer reads."""
        if self.connected:
            self.protocol.registerProducer(producer, streaming)
        else:
            super().registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        """The producer has no more."""
        if self.connected:
            self.protocol.unregisterProducer()

    def loseConnection(self) -> None:
        """Say close_notify behind what is queued, and close."""
        if self.connected and not self.disconnecting:
            self.protocol.loseConnection()

    def getHandle(self) -> Any:
        """The connection of pyOpenSSL, None once it is closed."""
        return self.protocol.getHandle() if self.connected else None

    def getPeerCertificate(self) -> X509 | None:
        """The peer's certificate, None if it has shown none or the connection is gone."""
        handle = self.getHandle()
        return None if handle is None else handle.get_peer_certificate()

    @property
    def negotiatedProtocol(self) -> bytes | None:
        """What ALPN has settled, None if nothing."""
        return self.protocol.negotiatedProtocol if self.connected else None


class _Below:
    """What TLS writes to: TRANSPORT, a SecureTransport, without its TLS."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport

    def __getattr__(self, name: str) -> Any:
        return getattr(super(SecureTransport, self._transport), name)
