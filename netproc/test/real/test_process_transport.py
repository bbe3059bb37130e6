"""A process as the transport of a Twisted protocol."""

from __future__ import annotations

import contextlib
import socket
from io import BytesIO
from typing import Any

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IConsumer,
    IPushProducer,
    ISSLTransport,
    ISystemHandle,
    ITLSTransport,
)
from twisted.protocols.basic import FileSender
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from netproc import ProcessError
from netproc.test.support.fixtures import MB
from netproc.test.support.peers import in_thread, read_all, reset
from netproc.test.support.protocols import (
    AUTHORITY,
    LOCALHOST,
    EndpointFixture,
    HalfCloseable,
    Kept,
    Noting,
)


class TransportTests(EndpointFixture):
    """The interfaces and calls of the transport."""

    async def test_interfaces(self) -> None:
        protocol, _ = await self.served(Noting)
        for interface in (ITLSTransport, IConsumer, IPushProducer, ISystemHandle):
            self.assertTrue(verifyObject(interface, protocol.transport))
        handle = protocol.transport.getHandle()
        self.assertEqual(("127.0.0.1", protocol.transport.getHost().port), handle.getsockname())
        self.assertFalse(ISSLTransport.providedBy(protocol.transport))
        self.assertRaises(TypeError, protocol.transport.write, "text")

    async def test_half_close_both_ways(self) -> None:
        protocol, peer = await self.served(HalfCloseable)
        peer.sendall(b"request")
        peer.shutdown(socket.SHUT_WR)
        await self.until(lambda: protocol.told == ["read"])
        self.assertEqual(b"request", protocol.received)
        protocol.transport.pauseProducing()
        protocol.transport.resumeProducing()
        protocol.transport.write(b"x" * MB)
        protocol.transport.loseWriteConnection()
        protocol.transport.write(b"too late")
        self.assertEqual(b"x" * MB, await in_thread(read_all, peer))
        await self.until(lambda: protocol.lost)
        protocol.lost[0].trap(ConnectionDone)
        self.assertEqual(["read", "write"], protocol.told)

    async def test_half_close_by_us(self) -> None:
        protocol, peer = await self.served(HalfCloseable)
        protocol.transport.write(b"question")
        protocol.transport.loseWriteConnection()
        self.assertEqual([], protocol.told)
        self.assertEqual(b"question", await in_thread(read_all, peer))
        await self.until(lambda: protocol.told == ["write"])
        peer.sendall(b"answer")
        await self.until(lambda: protocol.received == b"answer")
        peer.close()
        await self.until(lambda: protocol.lost)
        self.assertEqual(["write", "read"], protocol.told)

    async def test_half_close_over_tls(self) -> None:
        key, certificate = (self.file(pem) for pem in LOCALHOST)
        factory = Kept(HalfCloseable)
        port = await self.listen(f"netproc:0:tls-key={key}:tls-cert={certificate}", factory)
        client = await self.connect(
            f"netproc:localhost:{port.getHost().port}:tls-trust={self.file(AUTHORITY.pem)}",
            Kept(HalfCloseable),
        )
        client.transport.write(b"request")
        client.transport.loseWriteConnection()
        await self.until(lambda: factory.made and factory.made[0].told == ["read"])
        server = factory.made[0]
        self.assertEqual(b"request", server.received)
        server.transport.write(b"reply")
        server.transport.loseConnection()
        await self.until(lambda: client.lost and server.lost)
        self.assertEqual((b"reply", ["write", "read"]), (client.received, client.told))
        self.assertEqual(["read"], server.told)

    async def test_an_end_that_the_protocol_does_not_ask_for(self) -> None:
        """A peer that has half-closed receives all data that was written."""

        class Replying(Noting):
            def dataReceived(self, data: bytes) -> None:
                self.transport.write(b"x" * MB)

        protocol, peer = await self.served(Replying)
        peer.sendall(b"request")
        peer.shutdown(socket.SHUT_WR)
        self.assertEqual(b"x" * MB, await in_thread(read_all, peer))
        await self.until(lambda: protocol.lost)
        protocol.lost[0].trap(ConnectionDone)

    async def test_abort(self) -> None:
        class Aborting(Noting):
            def dataReceived(self, data: bytes) -> None:
                super().dataReceived(data)
                self.transport.abortConnection()
                self.lost_at_once = bool(self.lost)

        protocol, peer = await self.served(Aborting)
        peer.sendall(b"x")
        await self.until(lambda: protocol.lost)
        protocol.lost[0].trap(ConnectionAborted)
        self.assertFalse(protocol.lost_at_once)
        self.assertRaises(ConnectionResetError, peer.recv, 1)

    async def test_abort_while_it_closes(self) -> None:
        protocol, _ = await self.served(Noting)
        protocol.transport.write(b"x" * 20 * MB)
        protocol.transport.loseConnection()
        protocol.transport.write(b"too late")
        await self.nothing_happens([], lambda: protocol.lost)
        protocol.transport.abortConnection()
        protocol.transport.abortConnection()
        await self.until(lambda: protocol.lost)
        protocol.lost[0].trap(ConnectionAborted)

    async def test_a_reset(self) -> None:
        protocol, peer = await self.served(Noting)
        reset(peer)
        await self.until(lambda: protocol.lost)
        protocol.lost[0].trap(ConnectionLost)
        self.assertIsInstance(protocol.lost[0].value.__cause__, ProcessError)

    async def test_an_exception_closes(self) -> None:
        class Failing(Noting):
            def dataReceived(self, data: bytes) -> None:
                raise ZeroDivisionError

        protocol, peer = await self.served(Failing)
        peer.sendall(b"x")
        await self.until(lambda: protocol.lost)
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))

    async def test_an_exception_at_the_end(self) -> None:
        class Failing(Noting):
            def connectionLost(self, reason: Failure = None) -> None:
                super().connectionLost(reason)
                raise ZeroDivisionError

        protocol, peer = await self.served(Failing)
        peer.close()
        await self.until(lambda: protocol.lost)
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))
        protocol.transport.write(b"too late")
        protocol.transport.loseWriteConnection()
        protocol.transport.loseConnection()
        self.assertEqual(1, len(protocol.lost))

    async def test_pausing(self) -> None:
        protocol, peer = await self.served(Noting)
        protocol.transport.pauseProducing()
        peer.sendall(b"x")
        peer.shutdown(socket.SHUT_WR)
        await self.nothing_happens((b"", []), lambda: (protocol.received, protocol.lost))
        protocol.transport.resumeProducing()
        await self.until(lambda: protocol.lost)
        self.assertEqual(b"x", protocol.received)

    async def test_stop_producing(self) -> None:
        protocol, peer = await self.served(Noting)
        protocol.transport.stopProducing()
        self.assertEqual(b"", await in_thread(peer.recv, 1))

    async def test_what_comes_while_it_closes_is_thrown_away(self) -> None:
        protocol, peer = await self.served(Noting)
        protocol.transport.write(b"x" * 20 * MB)
        protocol.transport.loseConnection()
        peer.sendall(b"y" * 100_000)
        peer.shutdown(socket.SHUT_WR)
        self.assertEqual(20 * MB, len(await in_thread(read_all, peer)))
        await self.until(lambda: protocol.lost)
        self.assertEqual(b"", protocol.received)


class Streaming:
    """A push producer, which writes until it is paused."""

    def __init__(self, transport: Any, amount: int) -> None:
        self.transport = transport
        self.left = amount
        self.most = 0
        self.events: list[str] = []

    def start(self) -> None:
        self.transport.registerProducer(self, True)
        self.resumeProducing()

    def resumeProducing(self) -> None:
        self.events.append("resume")
        while self.left and self.events[-1] == "resume":
            self.left -= 50_000
            self.transport.write(b"x" * 50_000)
        if not self.left:
            self.transport.unregisterProducer()

    def pauseProducing(self) -> None:
        self.events.append("pause")

    def stopProducing(self) -> None:
        self.events.append("stop")


class Pulled(Streaming):
    """A pull producer, which writes when it is asked."""

    def start(self) -> None:
        self.transport.registerProducer(self, False)

    def resumeProducing(self) -> None:
        self.events.append("resume")
        self.left -= 50_000
        self.transport.write(b"x" * 50_000)
        if not self.left:
            self.transport.unregisterProducer()


class SendingFile(Noting):
    """Sends a file when a request arrives, and then a last line."""

    def dataReceived(self, data: bytes) -> None:
        sent = FileSender().beginFileTransfer(BytesIO(b"x" * MB), self.transport)
        sent.addCallback(lambda _: self.transport.write(b"bye"))


def divide() -> None:
    raise ZeroDivisionError


class ProducerTests(EndpointFixture):
    async def check_producer(self, kind: Any) -> None:
        protocol, peer = await self.served(Noting)
        producer = kind(protocol.transport, 10 * MB)
        producer.start()
        protocol.transport.loseConnection()
        await self.until_quiet(lambda: producer.left)
        self.assertGreater(producer.left, 0)
        self.assertEqual([], protocol.lost)
        self.assertEqual(10 * MB, len(await in_thread(read_all, peer)))
        peer.close()
        await self.until(lambda: protocol.lost)
        protocol.lost[0].trap(ConnectionDone)
        self.assertNotIn("stop", producer.events)

    async def test_streaming(self) -> None:
        await self.check_producer(Streaming)

    async def test_pull(self) -> None:
        await self.check_producer(Pulled)

    async def test_the_peer_goes(self) -> None:
        for kind in (Streaming, Pulled):
            protocol, peer = await self.served(Noting)
            producer = kind(protocol.transport, 10 * MB)
            producer.start()
            await self.until_quiet(lambda producer=producer: producer.left)
            reset(peer)
            await self.until(lambda protocol=protocol: protocol.lost)
            self.assertEqual("stop", producer.events[-1])
            late = Streaming(protocol.transport, MB)
            late.transport.registerProducer(late, True)
            self.assertEqual(["stop"], late.events)

    async def test_one_that_raises_loses_the_connection(self) -> None:
        for kind in (Streaming, Pulled):
            protocol, peer = await self.served(Noting)
            producer = kind(protocol.transport, 10 * MB)
            producer.start()
            await self.until_quiet(lambda producer=producer: producer.left)
            producer.resumeProducing = divide
            with contextlib.suppress(ConnectionError):
                await in_thread(read_all, peer)
            await self.until(lambda protocol=protocol: protocol.lost)
            protocol.lost[0].trap(ConnectionAborted)
            self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))

    async def test_unregistered_before_it_is_asked(self) -> None:
        protocol, peer = await self.served(Noting)
        producer = Pulled(protocol.transport, MB)
        producer.start()
        protocol.transport.unregisterProducer()
        protocol.transport.loseConnection()
        self.assertEqual(b"", await in_thread(read_all, peer))
        self.assertEqual([], producer.events)

    async def test_what_is_written_behind_the_last_piece(self) -> None:
        """The client has half-closed, so the connection ends after the producer is done."""
        protocol, peer = await self.served(SendingFile)
        peer.sendall(b"request")
        peer.shutdown(socket.SHUT_WR)
        reply = await in_thread(read_all, peer)
        self.assertEqual((MB + 3, b"bye"), (len(reply), reply[-3:]))
        await self.until(lambda: protocol.lost)

    async def test_one_at_a_time(self) -> None:
        protocol, _ = await self.served(Noting)
        producer = Streaming(protocol.transport, MB)
        protocol.transport.registerProducer(producer, True)
        with self.assertRaises(RuntimeError):
            protocol.transport.registerProducer(producer, True)

    async def test_half_close_waits_for_the_producer(self) -> None:
        protocol, peer = await self.served(HalfCloseable)
        producer = Streaming(protocol.transport, 5 * MB)
        producer.start()
        protocol.transport.loseWriteConnection()
        self.assertEqual(5 * MB, len(await in_thread(read_all, peer)))
        await self.until(lambda: protocol.told == ["write"])

    async def test_the_end_of_the_writing_side_is_told_once(self) -> None:
        protocol, peer = await self.served(HalfCloseable)
        protocol.transport.loseWriteConnection()
        protocol.transport.unregisterProducer()
        protocol.transport.registerProducer(Streaming(protocol.transport, 0), True)
        protocol.transport.unregisterProducer()
        self.assertEqual(b"", await in_thread(read_all, peer))
        peer.close()
        await self.until(lambda: protocol.lost)
        self.assertEqual(["write", "read"], protocol.told)
