"""netproc's endpoints work with any Twisted protocol (net/endpoints.py, net/transport.py)."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from zope.interface import implementer
from zope.interface.verify import verifyObject

from netproc import ProcessArgumentError, ProcessError
from netproc.core.address import SocketAddress
from netproc.net.endpoints import ClientEndpoint, ServerEndpoint
from netproc.net.transport import StreamTransport
from netproc.test.support.base import NetprocTestCase, reactor
from netproc.test.support.fixtures import MB
from netproc.test.support.peers import (
    accept,
    connect,
    in_thread,
    listen_backlog,
    read_all,
    read_exactly,
    request_and_half_close,
    reset,
    unread,
)

LOOPBACK = SocketAddress(socket.AF_INET, ("127.0.0.1", 0))


class Upper(LineReceiver):
    """A protocol as users of Twisted write it."""

    transport: StreamTransport

    def lineReceived(self, line: bytes) -> None:
        self.sendLine(line.upper())
        if line == b"quit":
            self.transport.loseConnection()


class Noting(Protocol):
    """Records its calls."""

    def __init__(self) -> None:
        self.received = b""
        self.lost: list[Any] = []
        self.made: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        self.made.callback(None)

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure = None) -> None:
        self.lost.append(reason.type)


@implementer(IHalfCloseableProtocol)
class HalfClosing(Noting):
    ended = 0
    shut = 0

    def readConnectionLost(self) -> None:
        self.ended += 1

    def writeConnectionLost(self) -> None:
        self.shut += 1


class CountingFactory(Factory):
    noisy = False

    def __init__(self, protocol: Protocol) -> None:
        self.instance = protocol
        self.starts: list[int] = []

    def doStart(self) -> None:
        self.starts.append(1)

    def doStop(self) -> None:
        self.starts.append(-1)

    def buildProtocol(self, addr: object) -> Protocol:
        self.address = addr
        return self.instance


class EndpointFixture(NetprocTestCase):
    def listen(self, protocol: type[Protocol] | Protocol) -> int:
        """Serve PROTOCOL and return the port."""
        if isinstance(protocol, Protocol):
            factory: Factory = CountingFactory(protocol)
        else:
            factory = Factory.forProtocol(protocol)
            factory.noisy = False
        endpoint = ServerEndpoint(reactor=reactor, addresses=[LOOPBACK])
        port = self.successResultOf(endpoint.listen(factory))
        self.addCleanup(port.stopListening)
        return port.getHost().port

    async def pair(self, protocol: Any) -> tuple[Any, socket.socket]:
        """Return a served protocol and its peer."""
        port = self.listen(protocol)
        peer = await in_thread(connect, socket.AF_INET, ("127.0.0.1", port))
        self.addCleanup(peer.close)
        await protocol.made
        return protocol, peer

    async def lost(self, protocol: Noting) -> str:
        await self.until(lambda: protocol.lost)
        return protocol.lost[0].__name__


class EndpointTests(EndpointFixture):
    async def test_a_line_protocol(self) -> None:
        peer = connect(socket.AF_INET, ("127.0.0.1", self.listen(Upper)))
        peer.sendall(b"one\r\ntwo\r\nquit\r\n")
        self.assertEqual(b"ONE\r\nTWO\r\nQUIT\r\n", await in_thread(read_all, peer))
        peer.close()

    async def test_a_plain_protocol_keeps_its_reply_at_a_half_close(self) -> None:
        class Echo(Protocol):
            transport: StreamTransport

            def dataReceived(self, data: bytes) -> None:
                self.transport.write(data)

        port = self.listen(Echo)
        for request in (b"x", b"x" * 3 * MB):
            peer = connect(socket.AF_INET, ("127.0.0.1", port))
            reply = await in_thread(request_and_half_close, peer, request)
            self.assertEqual(len(request), len(reply))

    async def test_it_does_what_its_interfaces_say(self) -> None:
        protocol, peer = await self.pair(Noting())
        transport = protocol.transport
        from twisted.internet.interfaces import ITCPTransport

        verifyObject(ITCPTransport, transport)
        self.assertEqual("127.0.0.1", transport.getHost().host)
        self.assertEqual(peer.getsockname()[1], transport.getPeer().port)
        for get, set_ in (
            (transport.getTcpNoDelay, transport.setTcpNoDelay),
            (transport.getTcpKeepAlive, transport.setTcpKeepAlive),
        ):
            self.assertFalse(get())
            set_(True)
            self.assertTrue(get())
        self.assertEqual(transport.fileno(), transport.getHandle().fileno())
        self.assertEqual("Noting", transport.logPrefix())
        transport.loseConnection()
        transport.loseConnection()
        self.assertTrue(transport.disconnecting)
        self.assertEqual("ConnectionDone", await self.lost(protocol))
        transport.write(b"too late")
        transport.loseConnection()
        transport.abortConnection()
        transport.pauseProducing()
        transport.resumeProducing()
        transport.connectionLost(Failure(Exception()))
        self.assertEqual(1, len(protocol.lost))
        self.assertEqual("Noting", transport.logPrefix())

    async def test_write_sequence_and_lose(self) -> None:
        protocol, peer = await self.pair(Noting())
        protocol.transport.writeSequence([b"a", b"", b"b" * 5 * MB, b"c"])
        protocol.transport.loseConnection()
        received = await in_thread(read_all, peer)
        self.assertEqual((5 * MB + 2, b"c"), (len(received), received[-1:]))
        await self.lost(protocol)

    async def test_abort(self) -> None:
        protocol, peer = await self.pair(Noting())
        protocol.transport.write(b"x" * 5 * MB)
        protocol.transport.abortConnection()
        self.assertEqual([], protocol.lost)
        self.assertEqual("ConnectionAborted", await self.lost(protocol))
        self.assertRaises(ConnectionResetError, lambda: [peer.recv(1 << 20) for _ in range(100)])

    async def test_a_reset_by_the_peer(self) -> None:
        protocol, peer = await self.pair(Noting())
        reset(peer)
        self.assertEqual("ConnectionLost", await self.lost(protocol))

    async def test_half_closes(self) -> None:
        protocol, peer = await self.pair(HalfClosing())
        peer.sendall(b"x")
        peer.shutdown(socket.SHUT_WR)
        await self.until(lambda: protocol.ended)
        self.assertEqual((b"x", []), (protocol.received, protocol.lost))
        protocol.transport.write(b"reply")
        protocol.transport.loseWriteConnection()
        protocol.transport.loseWriteConnection()
        self.assertEqual(b"reply", await in_thread(read_all, peer))
        self.assertEqual((1, 1), (protocol.ended, protocol.shut))
        protocol.transport.loseConnection()
        await self.lost(protocol)

    async def test_pausing(self) -> None:
        protocol, peer = await self.pair(Noting())
        protocol.transport.pauseProducing()
        protocol.transport.pauseProducing()
        peer.sendall(b"x")
        await self.nothing_happens(b"", lambda: protocol.received)
        protocol.transport.resumeProducing()
        await self.until(lambda: protocol.received == b"x")
        protocol.transport.stopProducing()
        await self.lost(protocol)

    async def test_a_reset_while_paused_with_output_pending(self) -> None:
        protocol, peer = await self.pair(Noting())
        protocol.transport.pauseProducing()
        protocol.transport.write(b"x" * 20 * MB)
        await self.turn()
        peer.sendall(b"unread")
        reset(peer)
        self.assertEqual("ConnectionLost", await self.lost(protocol))
        self.assertEqual(b"", protocol.received)

    async def test_nothing_is_told_behind_lose_connection(self) -> None:
        class Refusing(Noting):
            def connectionMade(self) -> None:
                super().connectionMade()
                self.transport.write(b"x" * 20 * MB)
                self.transport.loseConnection()

        protocol = Refusing()
        with connect(socket.AF_INET, ("127.0.0.1", self.listen(protocol))) as peer:
            peer.sendall(b"early")
            # The listener reads right after it has accepted.
            await protocol.made
            await self.turn()
            self.assertEqual(b"", protocol.received)
        await self.lost(protocol)

    async def test_an_end_that_comes_with_the_connection_is_told_once(self) -> None:
        """If the listener accepts several connections together, it looks at each of them twice."""
        factory = Factory.forProtocol(HalfClosing)
        factory.noisy = False
        made: list[HalfClosing] = []
        factory.buildProtocol = lambda address: made.append(HalfClosing()) or made[-1]
        endpoint = ServerEndpoint(reactor=reactor, addresses=[LOOPBACK])
        port = self.successResultOf(endpoint.listen(factory))
        self.addCleanup(port.stopListening)
        for _ in range(2):
            peer = connect(socket.AF_INET, ("127.0.0.1", port.getHost().port))
            self.addCleanup(peer.close)
            peer.shutdown(socket.SHUT_WR)
        await self.until(lambda: len(made) == 2 and all(protocol.ended for protocol in made))
        self.assertEqual([1, 1], [protocol.ended for protocol in made])
        for protocol in made:
            protocol.transport.loseConnection()
            await self.lost(protocol)

    async def test_reads_follow_the_traffic(self) -> None:
        protocol, peer = await self.pair(Noting())
        sizes = [protocol.transport._read_size]
        protocol.dataReceived = lambda data: sizes.append(protocol.transport._read_size)
        protocol.transport.pauseProducing()
        sock = protocol.transport.getHandle()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 200_000)
        sending = in_thread(peer.sendall, b"x" * 4 * MB)
        # Reads of 4, 16 and 64 KiB are then full, so the next one has the largest size.
        await self.until(lambda: unread(sock) >= 84 * 1024)
        protocol.transport.resumeProducing()
        await sending
        await self.until(lambda: 256 * 1024 in sizes)
        for _ in range(8):
            before = len(sizes)
            peer.sendall(b"x")
            await self.until(lambda before=before: len(sizes) > before)
        self.assertEqual(4096, protocol.transport._read_size)
        protocol.transport.loseConnection()
        await self.lost(protocol)

    async def test_a_protocol_that_raises_loses_its_connection_only(self) -> None:
        class Raising(Noting):
            def dataReceived(self, data: bytes) -> None:
                raise ZeroDivisionError

        protocol, peer = await self.pair(Raising())
        peer.sendall(b"x")
        self.assertEqual("ZeroDivisionError", await self.lost(protocol))
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))

    async def test_factories_are_started_and_stopped(self) -> None:
        server_factory = CountingFactory(Noting())
        endpoint = ServerEndpoint(reactor=reactor, addresses=[LOOPBACK])
        port = self.successResultOf(endpoint.listen(server_factory))
        self.assertEqual([1], server_factory.starts)
        address = SocketAddress(socket.AF_INET, ("127.0.0.1", port.getHost().port))
        client = ClientEndpoint(reactor=reactor, addresses=[address])
        verifyObject(IStreamClientEndpoint, client)
        factory = CountingFactory(Noting())
        protocol = await client.connect(factory)
        self.assertIs(factory.instance, protocol)
        self.assertIsInstance(protocol.transport, StreamTransport)
        self.assertEqual([1], factory.starts)
        protocol.transport.loseConnection()
        await self.lost(protocol)
        await self.lost(server_factory.instance)
        self.assertEqual([1, -1], factory.starts)
        await port.stopListening()
        self.assertEqual([1, -1], server_factory.starts)
        await self.failure_of(client.connect(factory), ProcessError)
        self.assertEqual([1, -1, 1, -1], factory.starts)

    def test_the_backlog_is_as_long_as_the_kernel_allows(self) -> None:
        endpoint = ServerEndpoint(reactor=reactor, addresses=[LOOPBACK])
        port = self.successResultOf(endpoint.listen(CountingFactory(Noting())))
        self.addCleanup(port.stopListening)
        limit = int(Path("/proc/sys/net/core/somaxconn").read_text())
        self.assertEqual(limit, listen_backlog(port._socket))

    def test_no_addresses(self) -> None:
        for endpoint in (ClientEndpoint, ServerEndpoint):
            made = endpoint(reactor=reactor, addresses=[])
            use = made.connect if endpoint is ClientEndpoint else made.listen
            self.failureResultOf(use(CountingFactory(Noting())), ProcessArgumentError)

    async def test_what_raises_closes_the_connection_of_a_client(self) -> None:
        class Failing(Noting):
            def connectionMade(self) -> None:
                raise ZeroDivisionError

        with socket.create_server(("127.0.0.1", 0)) as listener:
            address = SocketAddress(socket.AF_INET, listener.getsockname())
            endpoint = ClientEndpoint(reactor=reactor, addresses=[address])
            factory = CountingFactory(Failing())
            await self.failure_of(endpoint.connect(factory), ZeroDivisionError)
            self.assertEqual("ConnectionAborted", await self.lost(factory.instance))
            self.assertEqual([1, -1], factory.starts)
            peer = await in_thread(accept, listener)
            self.assertRaises(ConnectionResetError, peer.recv, 1)
            peer.close()
            self.patch(CountingFactory, "buildProtocol", lambda factory, address: 1 / 0)
            await self.failure_of(endpoint.connect(factory), ZeroDivisionError)
            with await in_thread(accept, listener) as peer:
                self.assertEqual(b"", await in_thread(peer.recv, 1))
            self.assertEqual([1, -1, 1, -1], factory.starts)

    async def test_a_client_factory_that_wants_no_protocol(self) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        address = SocketAddress(socket.AF_INET, listener.getsockname())
        factory = CountingFactory(None)
        connecting = ClientEndpoint(reactor=reactor, addresses=[address]).connect(factory)
        await self.failure_of(connecting, ProcessError)


class Producer:
    """A producer of a given number of bytes."""

    def __init__(self, transport: Any, total: int, streaming: bool) -> None:
        self.transport = transport
        self.left = total
        self.streaming = streaming
        self.paused = False
        self.calls: list[str] = []
        transport.registerProducer(self, streaming)
        if streaming:
            self._produce()

    def _produce(self) -> None:
        while self.left and not self.paused:
            self._write()

    def _write(self) -> None:
        size = min(self.left, 50_000)
        self.left -= size
        self.transport.write(b"x" * size)
        if not self.left:
            self.transport.unregisterProducer()

    def resumeProducing(self) -> None:
        self.calls.append("resume")
        self.paused = False
        if self.streaming:
            self._produce()
        elif self.left:
            self._write()

    def pauseProducing(self) -> None:
        self.calls.append("pause")
        self.paused = True

    def stopProducing(self) -> None:
        self.calls.append("stop")


class ProducerTests(EndpointFixture):
    async def produce(self, streaming: bool) -> None:
        protocol, peer = await self.pair(Noting())
        producer = Producer(protocol.transport, 20 * MB, streaming)
        protocol.transport.loseConnection()
        self.assertEqual(20 * MB, len(await in_thread(read_all, peer)))
        self.assertGreater(len(producer.calls), 2)
        await self.lost(protocol)

    async def test_a_push_producer_is_paused_and_finishes_before_the_close(self) -> None:
        await self.produce(True)

    async def test_a_pull_producer(self) -> None:
        await self.produce(False)

    async def test_one_at_a_time(self) -> None:
        protocol, _ = await self.pair(Noting())
        Producer(protocol.transport, 20 * MB, True)
        self.assertRaises(RuntimeError, Producer, protocol.transport, 1, True)
        protocol.transport.abortConnection()
        await self.lost(protocol)

    async def test_it_is_stopped_with_the_connection(self) -> None:
        protocol, peer = await self.pair(Noting())
        producer = Producer(protocol.transport, 20 * MB, True)
        await self.turn()
        reset(peer)
        await self.lost(protocol)
        self.assertEqual("stop", producer.calls[-1])
        late = Producer(protocol.transport, 0, False)
        self.assertEqual(["stop"], late.calls)

    async def test_unregistering_with_nothing_pending(self) -> None:
        protocol, peer = await self.pair(Noting())
        Producer(protocol.transport, 1, True)
        protocol.transport.loseConnection()
        self.assertEqual(b"x", await in_thread(read_exactly, peer, 2))
        await self.lost(protocol)
