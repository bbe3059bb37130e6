"""Twisted's own protocols get the same events over netproc's endpoints as over "tcp:"."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols import portforward
from twisted.python import log
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site
from zope.interface import implementer

from netproc.test.support.base import reactor
from netproc.test.support.peers import fill, in_thread, line, read_all, read_exactly, reset
from netproc.test.support.protocols import (
    Kept,
    Noting,
    ProcessEndpoints,
    SocketEndpoints,
    TwistedEndpoints,
)


class Poll(Resource):
    """Answers "/quick"; any other request waits until its client leaves."""

    isLeaf = True  # noqa: N815

    def __init__(self) -> None:
        super().__init__()
        self.polls = 0
        self.gone = 0

    def render_GET(self, request: Request) -> Any:
        if request.path == b"/quick":
            return b"ok"
        self.polls += 1
        request.notifyFinish().addErrback(self._left)
        return NOT_DONE_YET

    def _left(self, failure: Failure) -> None:
        self.gone += 1


class Echo(Noting):
    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        self.transport.write(data)


@implementer(IPushProducer)
class WritesLast(Protocol):
    """Closes while its producer is paused; the producer writes its last data some time after it is resumed."""

    paused = False

    def dataReceived(self, data: bytes) -> None:
        self.transport.registerProducer(self, True)
        self.transport.write(b"x" * 8_000_000)

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        if self.paused:
            self.paused = False
            reactor.callLater(0.01, self.finish)

    def stopProducing(self) -> None:
        pass

    def finish(self) -> None:
        self.transport.write(b"last")
        self.transport.unregisterProducer()


class Aborts(Protocol):
    """Resets the connection, and goes on writing."""

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(b"before")
        self.transport.abortConnection()
        self.transport.write(b"after")


class PausesLate(Protocol):
    """Writes more than the kernel takes, and then pauses its input."""

    heard = b""
    lost = False

    def dataReceived(self, data: bytes) -> None:
        self.heard += data
        if self.heard == data:
            self.transport.write(b"x" * 8_000_000)
        else:
            self.transport.pauseProducing()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = True


class PacedEcho(Echo):
    """Reads nothing while the peer does not read."""

    paused = False

    def connectionMade(self) -> None:
        self.transport.registerProducer(self, True)

    def pauseProducing(self) -> None:
        self.paused = True
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        self.transport.resumeProducing()

    def stopProducing(self) -> None:
        pass


class Logging(Noting):
    """Writes a line to the log for what it receives."""

    def logPrefix(self) -> str:
        return "Somebody"

    def dataReceived(self, data: bytes) -> None:
        log.msg("heard", mine=True)
        super().dataReceived(data)


class Connecting:
    """A reactor for a forwarder; its clients connect with the endpoint of the test."""

    def __init__(self, test: Any) -> None:
        self._test = test

    def connectTCP(self, host: str, port: int, factory: Any) -> None:
        self._test.client(port).connect(factory)


class ProtocolContract:
    """The events of Twisted's protocols and programs."""

    async def test_a_keep_alive_client_leaves(self) -> None:
        peer = self.peer(await self.serve(Site(Poll())))
        peer.sendall(b"GET /quick HTTP/1.1\r\nHost: x\r\n\r\n")
        await in_thread(line, peer, b"ok")
        peer.shutdown(socket.SHUT_WR)
        self.assertEqual(b"", await in_thread(read_all, peer))

    async def test_the_client_of_a_long_poll_leaves(self) -> None:
        for leave in (socket.socket.close, reset):
            poll = Poll()
            peer = self.peer(await self.serve(Site(poll)))
            peer.sendall(b"GET /poll HTTP/1.1\r\nHost: x\r\n\r\n")
            await self.until(lambda poll=poll: poll.polls)
            leave(peer)
            await self.until(lambda poll=poll: poll.gone)

    async def forwarded(self) -> tuple[Any, socket.socket]:
        """A client, a forwarder and a server."""
        backend = Kept(Echo)
        factory = portforward.ProxyFactory("127.0.0.1", await self.serve(backend))

        class Server(portforward.ProxyServer):
            reactor = Connecting(self)

        factory.protocol = Server
        peer = self.peer(await self.serve(factory))
        peer.sendall(b"hello")
        self.assertEqual(b"hello", await in_thread(read_exactly, peer, 5))
        return backend.made[0], peer

    async def test_a_forwarder_passes_the_end_of_the_client_on(self) -> None:
        for leave in (socket.socket.close, reset):
            server, peer = await self.forwarded()
            leave(peer)
            await self.until(lambda server=server: server.lost)

    async def test_a_forwarder_passes_the_end_of_the_server_on(self) -> None:
        server, peer = await self.forwarded()
        server.transport.loseConnection()
        self.assertEqual(b"", await in_thread(read_all, peer))

    async def test_a_reset_while_paused(self) -> None:
        protocol, peer = await self.serve_one(PacedEcho)
        peer.setblocking(False)
        await self.until(lambda: fill(peer) or protocol.paused)
        reset(peer)
        await self.until(lambda: protocol.lost)

    async def test_a_paused_producer_has_the_last_word(self) -> None:
        protocol, peer = await self.serve_one(WritesLast)
        peer.sendall(b"x")
        await self.until(lambda: protocol.paused)
        protocol.transport.loseConnection()
        data = await in_thread(read_all, peer)
        self.assertEqual((8_000_004, b"last"), (len(data), data[-4:]))

    async def test_an_abort_sends_nothing(self) -> None:
        # The first piece comes with the connection, or later.
        for later in (False, True):
            factory = Kept(Aborts)
            peer = self.peer(await self.serve(factory))
            if later:
                await self.until(lambda factory=factory: factory.made)
            peer.sendall(b"x")
            await self.failure_of(in_thread(peer.recv, 1), ConnectionResetError)

    async def test_only_bytes_are_written(self) -> None:
        protocol, _peer = await self.serve_one(Noting)
        for wrong in ("text", None, 5):
            self.assertRaises(TypeError, protocol.transport.write, wrong)

    async def test_a_pause_after_a_reset(self) -> None:
        """The reset arrives before the protocol receives the input that makes it pause."""
        protocol, peer = await self.serve_one(PausesLate)
        peer.sendall(b"a")
        await self.until(lambda: protocol.heard)
        peer.sendall(b"b")
        reset(peer)
        await self.until(lambda: protocol.lost)

    async def test_the_lines_of_a_protocol_in_the_log(self) -> None:
        systems: list[str] = []

        def observe(event: Any) -> None:
            if event.get("mine"):
                systems.append(event["system"])

        log.addObserver(observe)
        self.addCleanup(log.removeObserver, observe)
        port = await self.serve(Kept(Logging))
        # The first piece comes with the connection, the second one later.
        peer = self.peer(port)
        for count in (1, 2):
            peer.sendall(b"x")
            await self.until(lambda count=count: len(systems) == count)
        self.assertEqual([True, True], ["Somebody" in system for system in systems])


class TwistedTests(TwistedEndpoints, ProtocolContract):
    """Over Twisted's endpoints."""


class ProcessTests(ProcessEndpoints, ProtocolContract):
    """Over processes."""


class SocketTests(SocketEndpoints, ProtocolContract):
    """Over netproc's sockets."""
