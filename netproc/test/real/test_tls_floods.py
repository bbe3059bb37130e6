"""TLS peers that keep netproc busy: how much work it does in one turn, and how much memory it uses."""

from __future__ import annotations

import array
import fcntl
import socket
import termios
from typing import Any

from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from netproc import NetworkProcess
from netproc.net.tls import contexts
from netproc.net.tls.memory import MOST_ANSWERS, MemoryTLSChannel
from netproc.net.tls.onsocket import MOST_SENT, Wire
from netproc.net.tls.records import MOST_RECORDS
from netproc.test.support import tlsstandin
from netproc.test.support.fixtures import MB, Recorder, UnixFixture
from netproc.test.support.floods import HELLO_REQUEST, KeyUpdates, Renegotiation
from netproc.test.support.tlsstandin import AUTHORITY

PIECE = 1 << 18


def unread_bytes(sock: socket.socket) -> int:
    """Return how many bytes the kernel holds for SOCK."""
    found = array.array("i", [0])
    fcntl.ioctl(sock, termios.FIONREAD, found)
    return found[0]


class FloodContract:
    """The test is a client of TLS."""

    security: Any
    #: The answers to this many requests fill the buffers of the kernel and of netproc.
    questions = 20_000

    async def setUp(self) -> None:
        await super().setUp()
        self.patch(contexts, "security", self.security)
        self.heard = Recorder()
        self.updates = KeyUpdates()
        self.rest = b""

    async def connected(self) -> NetworkProcess:
        server = await self.server(filter=self.heard, tls_parameters=AUTHORITY.server)
        self.peer = self.raw_client(server)
        self.addCleanup(self.peer.close)
        self.peer.setblocking(False)
        self.engine = SSL.Connection(self.updates.context)
        self.engine.set_connect_state()
        await self.until(self.shake_hands)
        return await self.connection(server)

    def shake_hands(self) -> bool:
        """Continue the handshake; return whether it is done."""
        self.read()
        try:
            self.engine.do_handshake()
        except SSL.WantReadError:
            pass
        try:
            self.rest += self.engine.bio_read(PIECE)
        except SSL.WantReadError:
            pass
        self.write()
        return self.engine.get_finished() is not None

    def read(self) -> None:
        try:
            if data := self.peer.recv(PIECE):
                self.engine.bio_write(data)
        except BlockingIOError:
            pass

    def write(self) -> None:
        try:
            self.rest = self.rest[self.peer.send(self.rest) :]
        except BlockingIOError:
            pass

    async def test_answers_that_the_peer_does_not_read(self) -> None:
        process = await self.connected()
        transport = process._lifecycle.channel._below.transport
        self.rest = self.updates.records(self.questions, ask=True) + self.updates.data(b"end")
        await self.until(lambda: (self.write(), transport.paused)[1])
        for _ in range(100):
            await self.turn()
            self.write()
        self.assertTrue(transport.paused)
        self.assertLess(process.pending, 2 * MOST_ANSWERS)
        self.assertEqual("open", process.status)
        await self.until(lambda: (self.write(), self.read(), self.heard.pieces)[2])
        self.assertEqual((b"end", 0), (self.heard.data, process.pending))

    async def test_drain_waits_for_what_is_not_encrypted(self) -> None:
        process = await self.connected()
        process.send(b"x" * 8 * MB)
        drained = process.drain()
        self.assertGreater(process.pending, 7 * MB)
        await self.until(lambda: (self.read(), drained.called)[1])
        self.assertLess(process.pending, process.limits.low_water)


class SocketTests(FloodContract, UnixFixture):
    """OpenSSL on the socket, which is a UNIX socket because its buffer is small and does not grow."""

    security = staticmethod(tlsstandin.security)
    # Each answer is a separate message in the kernel, and takes more room there.
    questions = 4_000

    async def test_a_request_for_another_handshake_in_many_records(self) -> None:
        flood = Renegotiation()
        self.updates.context = flood.context
        process = await self.connected()
        transport = process._lifecycle.channel._below.transport
        records = flood.records(self.engine, 1000)
        await self.until(lambda: not self.rest)
        self.rest = records
        self.write()
        self.assertEqual(b"", self.rest)
        waiting = unread_bytes(transport.getHandle())
        self.assertEqual(len(records), waiting)
        transport.doRead()
        done = waiting - unread_bytes(transport.getHandle())
        self.assertEqual(MOST_RECORDS * len(records) // 1000, done)
        self.assertEqual("open", process.status)

    async def test_tls_1_2_with_a_peer_that_reads_slowly(self) -> None:
        self.updates.context = Renegotiation().context
        process = await self.connected()
        data = bytes(range(256)) * 40_000
        process.send(data)
        process.delete()
        received = b""
        while len(received) < len(data):
            await self.turn()
            self.read()
            try:
                received += self.engine.recv(PIECE)
            except SSL.WantReadError:
                pass
        self.assertTrue(received == data)
        self.peer.close()
        await process.closed
        self.assertEqual((0, None), (process.unsent, process.reason))


class MemoryTests(FloodContract, UnixFixture):
    """With records in memory."""

    security = staticmethod(tlsstandin.security_in_memory)

    async def test_records_without_data(self) -> None:
        process = await self.connected()
        channel = process._lifecycle.channel
        records = self.updates.records(1000)
        channel.data(records)
        self.assertEqual(len(records) * (1000 - MOST_RECORDS) // 1000, len(channel._incoming))
        channel.data(self.updates.data(b"end"))
        await self.until(lambda: self.heard.data == b"end")

    async def test_they_are_read_before_the_end_is_told(self) -> None:
        for end in ("eof", "lost"):
            self.heard.pieces.clear()
            self.updates = KeyUpdates()
            process = await self.connected()
            self.rest = self.updates.records(1000) + self.updates.data(b"end")
            self.write()
            self.assertEqual(b"", self.rest)
            if end == "eof":
                self.peer.close()
            else:
                process.send(b"x" * 8 * MB)
                await self.turn()
                self.peer.close()
            await process.closed
            self.assertEqual((b"end", True), (self.heard.data, process.truncated))

    async def test_a_large_send(self) -> None:
        process = await self.connected()
        channel = process._lifecycle.channel
        process.send(b"x" * 8 * MB)
        encrypted = 8 * MB - channel._clear_size
        self.assertEqual(MOST_RECORDS * 16384, encrypted)
        process.delete()
        self.assertEqual("closed", process.status)
        received = 0
        while received < 8 * MB:
            await self.turn()
            self.read()
            try:
                received += len(self.engine.recv(PIECE))
            except SSL.WantReadError:
                pass
        self.peer.close()
        await process.closed
        self.assertEqual(0, process.unsent)

    async def test_hello_requests_during_the_handshake(self) -> None:
        process = await self.connected()
        channel = process._lifecycle.channel
        client = MemoryTLSChannel(
            channel._below,
            tlsstandin.SecurityInMemory(AUTHORITY.client, False).engine("localhost"),
            channel._reactor,
            channel._limits,
            opened=lambda made: None,
            failed=lambda error: None,
        )
        client.data(HELLO_REQUEST * 1000)
        self.assertEqual((1000 - MOST_RECORDS) * len(HELLO_REQUEST), len(client._incoming))
        client._end(None)


class Takes:
    """A connection to a peer that reads all data at once."""

    def send(self, data: memoryview) -> int:
        return min(16384, len(data))


class WireTests(SynchronousTestCase):
    def test_a_large_send(self) -> None:
        wire = Wire(None, Takes(), None)
        self.assertEqual(MOST_SENT, wire.send(bytes(5 * MOST_SENT)))
        self.assertEqual(MOST_SENT, wire.sendmsg([bytes(MOST_SENT // 4)] * 100))
