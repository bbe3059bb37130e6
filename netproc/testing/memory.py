"""Connections in memory: endpoints without sockets, that behave as TCP does where a program can notice.

`MemoryNetwork` makes the endpoints; give them to `make_network_process(endpoint=…)`, or to any Twisted factory.  Each
direction of a connection has a buffer of 64 KiB, as the kernel's sockets have one, so that a peer that does not read stops the
sender; a peer can end its sending side alone; closing with input that was not read resets the connection.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.error import (
    CannotListenError,
    ConnectionAborted,
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,
)
from twisted.internet.interfaces import (
    IConsumer,
    IHalfCloseableProtocol,
    IListeningPort,
    IProtocolFactory,
    IPushProducer,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
    ITCPTransport,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from ..core.limits import KIB
from ..net.interfaces import INetprocReactor, default_reactor

#: Bytes that one direction of a connection holds between the sender and the receiver.
_CAPACITY = 64 * KIB

#: Bytes that one call of dataReceived gets at most.
_MOST_AT_ONCE = 64 * KIB

#: The port of the first client; the ports of servers count from 1.
_FIRST_CLIENT = 49152


class MemoryNetwork:
    """A network of one server: connect to it with `client_endpoint` after something listens with `server_endpoint`.

    :param reactor: schedules the deliveries, each in a turn of its own; the installed one by default.
    """

    def __init__(self, reactor: INetprocReactor | None = None) -> None:
        self._reactor = reactor or default_reactor()
        self._port: _Port | None = None
        self._clients = 0

    def server_endpoint(self) -> IStreamServerEndpoint:
        """Return an endpoint to listen with; only one may listen at a time."""
        return _ServerEndpoint(self)

    def client_endpoint(self) -> IStreamClientEndpoint:
        """Return an endpoint that connects to the server."""
        return _ClientEndpoint(self)

    def _listen(self, factory: IProtocolFactory) -> _Port:
        address = IPv4Address("TCP", "127.0.0.1", 1)
        if self._port is not None:
            raise CannotListenError(address.host, address.port, OSError("already listening"))
        self._port = _Port(self, factory, address)
        return self._port

    def _connect(self, factory: IProtocolFactory) -> Any:
        """Return the protocol of a new connection."""
        port = self._port
        if port is None:
            raise ConnectionRefusedError("nothing listens")
        self._clients += 1
        address = IPv4Address("TCP", "127.0.0.1", _FIRST_CLIENT + self._clients)
        protocol = factory.buildProtocol(port.address)
        if protocol is None:
            raise ConnectionAborted("the factory builds no protocol")
        client = _Transport(self._reactor, address, port.address)
        server = _Transport(self._reactor, port.address, address)
        client.peer, server.peer = server, client
        port.accept(server)
        client.begin(protocol)
        return protocol


@implementer(IStreamServerEndpoint)
class _ServerEndpoint:
    def __init__(self, network: MemoryNetwork) -> None:
        self._network = network

    def listen(self, factory: IProtocolFactory) -> Deferred[IListeningPort]:
        listening: Deferred[IListeningPort] = Deferred()
        try:
            port = self._network._listen(factory)
        except CannotListenError:
            return fail()
        factory.doStart()
        listening.callback(port)
        return listening


@implementer(IStreamClientEndpoint)
class _ClientEndpoint:
    def __init__(self, network: MemoryNetwork) -> None:
        self._network = network

    def connect(self, factory: IProtocolFactory) -> Deferred[Any]:
        connecting: Deferred[Any] = Deferred(lambda attempt: attempt.errback(CancelledError()))
        self._network._reactor.callLater(0, self._try, factory, connecting)
        return connecting

    def _try(self, factory: IProtocolFactory, connecting: Deferred[Any]) -> None:
        if connecting.called:
            return
        try:
            protocol = self._network._connect(factory)
        except (ConnectionRefusedError, ConnectionAborted):
            connecting.errback()
        else:
            connecting.callback(protocol)


@implementer(IListeningPort, IPushProducer)
class _Port:
    """The listening end; what was not accepted yet waits in it."""

    def __init__(
        self, network: MemoryNetwork, factory: IProtocolFactory, address: IPv4Address
    ) -> None:
        self.address = address
        self._network = network
        self._factory = factory
        self._backlog: deque[_Transport] = deque()
        self._paused = False

    def startListening(self) -> None:
        """Do nothing: it listens from the beginning."""

    def stopListening(self) -> None:
        """Listen no more; connections that were not accepted are reset."""
        self._paused = True
        self._network._port = None
        while self._backlog:
            self._backlog.popleft().abortConnection()
        self._factory.doStop()

    def getHost(self) -> IPv4Address:
        """Return where it listens."""
        return self.address

    def accept(self, transport: _Transport) -> None:
        """Take the server's end of a new connection."""
        self._backlog.append(transport)
        self._network._reactor.callLater(0, self._accept_one)

    def _accept_one(self) -> None:
        if self._paused or not self._backlog:
            return
        transport = self._backlog.popleft()
        protocol = self._factory.buildProtocol(transport.getPeer())
        if protocol is None:
            transport.abortConnection()
        else:
            transport.begin(protocol)

    def pauseProducing(self) -> None:
        """Accept nothing until `resumeProducing`."""
        self._paused = True

    def stopProducing(self) -> None:
        """Accept nothing any more."""
        self._paused = True

    def resumeProducing(self) -> None:
        """Accept again."""
        self._paused = False
        for _ in self._backlog:
            self._network._reactor.callLater(0, self._accept_one)


class _Direction:
    """What one end has sent and the other end has not read."""

    def __init__(self) -> None:
        self.pieces: deque[bytes] = deque()
        self.size = 0
        #: Whether the sender has sent everything and said so.
        self.ended = False
        #: Whether the connection was reset after these pieces.
        self.is_reset = False

    def put(self, data: bytes) -> bytes:
        """Take what there is room for, and return the rest."""
        taken, rest = data[: _CAPACITY - self.size], data[_CAPACITY - self.size :]
        if taken:
            self.pieces.append(taken)
            self.size += len(taken)
        return rest

    def take(self) -> bytes:
        """Return the next piece."""
        data = self.pieces.popleft()
        self.size -= len(data)
        return data


@implementer(ITCPTransport, IConsumer, IPushProducer)
class _Transport:
    """One end of a connection."""

    disconnecting = False
    connected = True

    def __init__(self, reactor: INetprocReactor, local: IPv4Address, remote: IPv4Address) -> None:
        self._reactor = reactor
        self._local, self._remote = local, remote
        self.peer: _Transport
        self._protocol: Any = None
        self._input = _Direction()
        self._unsent: deque[bytes] = deque()
        self._unsent_size = 0
        self._paused = False
        self._scheduled = False
        self._eof_told = False
        # Whether the sending side is to be shut once everything is sent, and whether it is.
        self._shutting = self._shut = False
        self._producer: Any = None
        self._streams = False
        self._producer_paused = False

    def begin(self, protocol: Any) -> None:
        """Connect the protocol; what the peer has sent already follows in a later turn."""
        self._protocol = protocol
        protocol.makeConnection(self)
        self._schedule()

    # -- one turn -------------------------------------------------------------------------------

    def _schedule(self) -> None:
        if not self._scheduled and self.connected:
            self._scheduled = True
            self._reactor.callLater(0, self._turn)

    def _turn(self) -> None:
        """Do what a reactor does with a socket that is ready: read once, write what there is room for."""
        self._scheduled = False
        if self.connected and not self._paused and self._protocol is not None:
            self._read()
        if self.connected:
            self._write_out()

    def _read(self) -> None:
        given = self._input
        if given.pieces:
            data = given.take()
            self.peer._schedule()
            if given.pieces or given.ended or given.is_reset:
                self._schedule()
            self._protocol.dataReceived(data)
        elif given.is_reset:
            self._lose(ConnectionLost("reset by the peer"))
        elif given.ended and not self._eof_told:
            self._eof_told = True
            if IHalfCloseableProtocol.providedBy(self._protocol):
                self._protocol.readConnectionLost()
            else:
                self._lose(ConnectionDone())

    def _write_out(self) -> None:
        to = self.peer._input
        if self._input.is_reset:
            if self._unsent:
                # As a socket that notices the reset when it writes.
                self._lose(ConnectionLost("reset by the peer"))
            return
        while self._unsent:
            data = self._unsent.popleft()
            rest = to.put(data)
            self._unsent_size -= len(data) - len(rest)
            if len(rest) < len(data):
                self.peer._schedule()
            if rest:
                self._unsent.appendleft(rest)
                return
        self._output_written()

    def _output_written(self) -> None:
        if self._producer is not None and (self._producer_paused or not self._streams):
            self._producer_paused = False
            self._producer.resumeProducing()
        elif self.disconnecting:
            self._close()
        elif self._shutting and not self._shut:
            self._shut = True
            self.peer._input.ended = True
            self.peer._schedule()
            if IHalfCloseableProtocol.providedBy(self._protocol):
                self._protocol.writeConnectionLost()

    def _close(self) -> None:
        if self._input.size:
            self._reset_peer()
        self._lose(ConnectionDone())

    def _reset_peer(self) -> None:
        self.peer._input.is_reset = True
        self.peer._schedule()

    def _lose(self, reason: Exception) -> None:
        self.connected = False
        self.disconnecting = True
        self.peer._input.ended = True
        self.peer._schedule()
        if self.peer.connected and not self.peer._shut and self.peer._unsent:
            self._reset_peer()
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.stopProducing()
        if self._protocol is not None:
            self._protocol.connectionLost(Failure(reason))

    # -- asked by the protocol ------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send DATA, in a later turn."""
        if not self.connected or self.disconnecting or self._shutting or not data:
            return
        self._unsent.append(bytes(data))
        self._unsent_size += len(data)
        if self._streams and self._unsent_size > _CAPACITY and not self._producer_paused:
            self._producer_paused = True
            self._producer.pauseProducing()
        self._schedule()

    def writeSequence(self, data: Any) -> None:
        """Send the pieces of DATA."""
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        """Close after everything was sent and the producer, if there is one, has unregistered."""
        if self.connected and not self.disconnecting:
            self.disconnecting = True
            self._schedule()

    def loseWriteConnection(self) -> None:
        """End the sending side after everything was sent."""
        self._shutting = True
        self._schedule()

    def abortConnection(self) -> None:
        """Close at once; the peer's connection is reset."""
        if self.connected:
            self._unsent.clear()
            self._reset_peer()
            self._lose(ConnectionAborted())

    def getPeer(self) -> IPv4Address:
        """Return the address of the other end."""
        return self._remote

    def getHost(self) -> IPv4Address:
        """Return the address of this end."""
        return self._local

    def getTcpNoDelay(self) -> bool:
        """Whether small pieces are sent at once: always."""
        return True

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Do nothing."""

    def getTcpKeepAlive(self) -> bool:
        """Whether silence is probed: there is no need to."""
        return False

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Do nothing."""

    # -- flow control ---------------------------------------------------------------------------

    def pauseProducing(self) -> None:
        """Read nothing until `resumeProducing`."""
        self._paused = True

    def stopProducing(self) -> None:
        """Close."""
        self.loseConnection()

    def resumeProducing(self) -> None:
        """Read again."""
        self._paused = False
        self._schedule()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Let PRODUCER pause while more than 64 KiB wait, or, if it is not STREAMING, ask it whenever nothing waits."""
        if self._producer is not None:
            raise RuntimeError("a producer is registered already")
        if not self.connected:
            producer.stopProducing()
            return
        self._producer, self._streams = producer, streaming
        self._producer_paused = False
        if not streaming:
            producer.resumeProducing()

    def unregisterProducer(self) -> None:
        """Forget the producer."""
        self._producer, self._streams, self._producer_paused = None, False, False
        self._schedule()
