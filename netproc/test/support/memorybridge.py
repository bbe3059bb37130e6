"""Joins plain sockets to the memory network, so that tests with blocking peers can run over it.

Each bridge passes on bytes, half-closes and resets in both directions.  A side that does not take more stops the reading of
the other side.
"""

from __future__ import annotations

import socket
from typing import Any, cast

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, IListeningPort
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from netproc.test.support.base import reactor
from netproc.test.support.peers import connect
from netproc.testing import MemoryNetwork


@implementer(IHalfCloseableProtocol)
class Side(Protocol):
    """One side of a bridge."""

    transport: Any
    other: Side
    peer_ended = False
    write_shut = False

    def connectionMade(self) -> None:
        self.transport.pauseProducing()

    def dataReceived(self, data: bytes) -> None:
        self.other.transport.write(data)

    def readConnectionLost(self) -> None:
        self.peer_ended = True
        # A producer that is paused would keep the transport from shutting.
        self.other.transport.unregisterProducer()
        self.other.transport.loseWriteConnection()
        self.close_if_both_ended()

    def writeConnectionLost(self) -> None:
        self.write_shut = True
        self.close_if_both_ended()

    def close_if_both_ended(self) -> None:
        if self.peer_ended and self.write_shut:
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not reason.check(ConnectionDone):
            self.other.transport.abortConnection()


def join(one: Side, another: Side) -> None:
    """Let two connected sides pass on what they receive."""
    for side, other in ((one, another), (another, one)):
        side.other = other
        side.transport.registerProducer(other.transport, True)
        other.transport.resumeProducing()


def adopt(sock: socket.socket) -> Side:
    """Return a side over SOCK."""
    side = Side()
    with sock:
        sock.setblocking(False)
        cast(Any, reactor).adoptStreamConnection(
            sock.fileno(), sock.family, Factory.forProtocol(lambda: side)
        )
    return side


def raw_client(network: MemoryNetwork) -> socket.socket:
    """Return a plain socket that is connected to the server of NETWORK."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sock = connect(socket.AF_INET, listener.getsockname())
        real = adopt(listener.accept()[0])
    connecting = network.client_endpoint().connect(Factory.forProtocol(Side))
    connecting.addCallback(lambda entered: join(cast(Side, entered), real))
    connecting.addErrback(lambda _: real.transport.abortConnection())
    return sock


def raw_server(network: MemoryNetwork, listener: socket.socket) -> IListeningPort:
    """Make a server of NETWORK, and connect each of its connections to LISTENER, a plain socket."""

    class Entrance(Side):
        def connectionMade(self) -> None:
            super().connectionMade()
            join(self, adopt(connect(socket.AF_INET, listener.getsockname())))

    listening = network.server_endpoint().listen(Factory.forProtocol(Entrance))
    return cast(IListeningPort, listening.result)
