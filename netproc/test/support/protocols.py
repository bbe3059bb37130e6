"""Protocols that record their calls, and a fixture that connects them by descriptions of endpoints."""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString, serverFromString
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IListeningPort,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.policies import TimeoutFactory, WrappingFactory
from twisted.python.failure import Failure
from zope.interface import implementer
from zope.interface.verify import verifyObject

from netproc.core.address import SocketAddress
from netproc.net.endpoints import ClientEndpoint, ServerEndpoint
from netproc.test.support.base import NetprocTestCase, reactor
from netproc.test.support.certificates import Authority
from netproc.test.support.peers import connect

AUTHORITY = Authority("authority")
LOCALHOST = AUTHORITY.issue("localhost")
OTHER = AUTHORITY.issue("other.example")


class Noting(Protocol):
    """Records received data and the end of its connection."""

    def __init__(self) -> None:
        self.received = b""
        self.lost: list[Failure] = []

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure = None) -> None:
        self.lost.append(reason)


@implementer(IHalfCloseableProtocol)
class HalfCloseable(Noting):
    """A protocol that supports half-closes."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def readConnectionLost(self) -> None:
        self.told.append("read")

    def writeConnectionLost(self) -> None:
        self.told.append("write")


class Kept(Factory):
    """Keeps the protocols that it has made, and counts starts and stops."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind
        self.made: list[Any] = []
        self.running = 0

    def doStart(self) -> None:
        self.running += 1

    def doStop(self) -> None:
        self.running -= 1

    def buildProtocol(self, addr: Any) -> Any:
        protocol = self.kind()
        if protocol is not None:
            self.made.append(protocol)
        return protocol


@implementer(IStreamClientEndpoint, IStreamServerEndpoint)
class Wrapped:
    """ENDPOINT, which wraps each factory in factories of twisted.protocols.policies."""

    def __init__(self, endpoint: Any) -> None:
        self._endpoint = endpoint

    def connect(self, factory: Any) -> Deferred[Any]:
        return self._endpoint.connect(_wrap(factory))

    def listen(self, factory: Any) -> Deferred[Any]:
        return self._endpoint.listen(_wrap(factory))


def _wrap(factory: Any) -> Any:
    wrapping = WrappingFactory(TimeoutFactory(factory, 60))
    wrapping.noisy = False
    return wrapping


class EndpointFixture(NetprocTestCase):
    """A test case with certificate files, servers and clients."""

    async def setUp(self) -> None:
        await super().setUp()
        self.addCleanup(self.delete_all)

    def delete_all(self) -> None:
        for process in list(self.ledger.events):
            process.delete()

    def file(self, *pems: bytes) -> str:
        path = os.path.abspath(self.mktemp())
        with open(path, "wb") as file:
            file.write(b"".join(pems))
        return path

    async def listen(self, description: str, factory: Factory) -> IListeningPort:
        endpoint = serverFromString(reactor, description)
        self.assertTrue(verifyObject(IStreamServerEndpoint, endpoint))
        port = await endpoint.listen(factory)
        self.assertTrue(verifyObject(IListeningPort, port))
        self.addCleanup(port.stopListening)
        return port

    async def connect(self, description: str, factory: Factory) -> Any:
        endpoint = clientFromString(reactor, description)
        self.assertTrue(verifyObject(IStreamClientEndpoint, endpoint))
        return await endpoint.connect(factory)

    async def served(self, kind: Any) -> tuple[Any, socket.socket]:
        """Return a protocol of the given KIND, and the peer that has connected to it."""
        factory = Kept(kind)
        port = await self.listen("netproc:host=local:port=0", factory)
        peer = connect(socket.AF_INET, ("127.0.0.1", port.getHost().port))
        self.addCleanup(peer.close)
        await self.until(lambda: factory.made)
        return factory.made[0], peer


class AnyEndpoints(EndpointFixture):
    """A test case for protocols over endpoints that subclasses choose."""

    def server(self) -> IStreamServerEndpoint:
        raise NotImplementedError

    def client(self, port: int) -> IStreamClientEndpoint:
        raise NotImplementedError

    async def serve(self, factory: Any) -> int:
        """Serve FACTORY, and return the port."""
        port = await self.server().listen(factory)
        self.addCleanup(port.stopListening)
        return int(port.getHost().port)

    def peer(self, port: int) -> socket.socket:
        """Return a socket that is connected to PORT."""
        sock = connect(socket.AF_INET, ("127.0.0.1", port))
        self.addCleanup(sock.close)
        return sock

    async def serve_one(self, kind: Any) -> tuple[Any, socket.socket]:
        """Return a protocol of the given KIND, and its peer."""
        factory = Kept(kind)
        peer = self.peer(await self.serve(factory))
        await self.until(lambda: factory.made)
        return factory.made[0], peer


class TwistedEndpoints(AnyEndpoints):
    """Twisted's own endpoints, which the others are compared with."""

    def server(self) -> IStreamServerEndpoint:
        return serverFromString(reactor, "tcp:0:interface=127.0.0.1")

    def client(self, port: int) -> IStreamClientEndpoint:
        return clientFromString(reactor, f"tcp:127.0.0.1:{port}")


class ProcessEndpoints(AnyEndpoints):
    """Connections that are processes."""

    def server(self) -> IStreamServerEndpoint:
        return serverFromString(reactor, "netproc:0:host=local")

    def client(self, port: int) -> IStreamClientEndpoint:
        return clientFromString(reactor, f"netproc:127.0.0.1:{port}")


class SocketEndpoints(AnyEndpoints):
    """netproc's transports without processes."""

    def server(self) -> IStreamServerEndpoint:
        return ServerEndpoint(reactor=reactor, addresses=[self.address(0)])

    def client(self, port: int) -> IStreamClientEndpoint:
        return ClientEndpoint(reactor=reactor, addresses=[self.address(port)])

    def address(self, port: int) -> SocketAddress:
        return SocketAddress(socket.AF_INET, ("127.0.0.1", port))
