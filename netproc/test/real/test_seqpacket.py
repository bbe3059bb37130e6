"""Seqpacket processes over UNIX sockets: packets stay separate, all else is as for streams (F18)."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

from netproc import NetworkProcess, ProcessError
from netproc.test.support.base import PATIENCE, NetprocTestCase, descriptors
from netproc.test.support.fixtures import BROKEN, Recorder, echo
from netproc.test.support.peers import in_thread, reset


class SeqpacketTests(NetprocTestCase):
    async def server(self, **keywords: Any) -> NetworkProcess:
        keywords = {"name": "server", "coding": "binary", "filter": echo, **keywords}
        made = await self.make(
            server=True, type="seqpacket", family="local", service=self.socket_path(), **keywords
        )
        self.addCleanup(self.delete_connections)
        return made

    def delete_connections(self) -> None:
        for process in self.ledger.events:
            if process.accepted_by is not None:
                process.delete()

    async def client_of(self, server: NetworkProcess, **keywords: Any) -> NetworkProcess:
        keywords = {"name": "client", "coding": "binary", **keywords}
        place = {"family": "local", "service": server.contact("service")}
        return await self.make(type="seqpacket", **place, **keywords)

    def raw_client(self, server: NetworkProcess) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.addCleanup(sock.close)
        sock.settimeout(PATIENCE)
        sock.connect(server.contact("service"))
        return sock

    async def connection(self, server: NetworkProcess) -> NetworkProcess:
        def made() -> list[NetworkProcess]:
            return [p for p in self.ledger.events if p.accepted_by is server]

        await self.until(made)
        return made()[0]

    async def test_what_is_given_back_stays_a_packet(self) -> None:
        given: list[bytes] = []

        def filter(process: NetworkProcess, data: bytes) -> None:
            given.append(data)
            if len(given) == 1:
                process.unread(data)

        server = await self.server(filter=filter)
        client = await self.client_of(server)
        # Longer than one read from a stream.
        packets = [bytes(70_000), b"two"]
        for packet in packets:
            client.send(packet)
            await self.until(lambda: given)
        await self.until(lambda: len(given) == 3)
        self.assertEqual([packets[0], *packets], given)
        client.delete()

    async def test_three_sends_are_three_packets(self) -> None:
        server, recorder = await self.server(), Recorder()
        client = await self.client_of(server, filter=recorder)
        for packet in (b"one", b"two", b"three"):
            client.send(packet)
        await self.until(lambda: len(recorder.pieces) == 3)
        self.assertEqual([b"one", b"two", b"three"], recorder.pieces)
        self.assertIsNone(client.datagram_address)

    async def test_empty_packets_are_no_end(self) -> None:
        recorder = Recorder()
        server = await self.server(filter=recorder)
        peer = self.raw_client(server)
        for data in (b"", b"", b"a", b""):
            peer.send(data)
        connection = await self.connection(server)
        await self.until(lambda: len(recorder.pieces) == 4)
        self.assertEqual(([b"", b"", b"a", b""], "open"), (recorder.pieces, connection.status))
        peer.close()
        await connection.closed
        self.assertEqual(["open from -\n", BROKEN], self.events(connection))

    async def test_descriptors_that_the_peer_sends_are_closed(self) -> None:
        recorder = Recorder()
        server = await self.server(filter=recorder)
        peer = self.raw_client(server)
        connection = await self.connection(server)
        before = descriptors()
        for count in (1, 2, 8, 200):
            for data in (b"", b"x"):
                socket.send_fds(peer, [data], [peer.fileno()] * count)
        await self.until(lambda: len(recorder.pieces) == 8)
        self.assertEqual((before, [b"", b"x"] * 4), (descriptors(), recorder.pieces))
        self.assertEqual("open", connection.status)

    async def test_packets_stay_apart_when_the_kernel_is_full(self) -> None:
        server = await self.server(filter=lambda p, data: None)
        peer = self.raw_client(server)
        connection = await self.connection(server)
        packets = [b"%06d" % number + b"x" * (number % 3000) for number in range(1000)]
        for packet in packets:
            connection.send(packet)
        await self.until_quiet(lambda: connection.pending)
        self.assertGreater(connection.pending, 0)
        connection.delete()

        def receive_all() -> list[bytes]:
            received = []
            while packet := peer.recv(10000):
                received.append(packet)
            return received

        self.assertEqual(packets, await in_thread(receive_all))
        peer.close()
        await connection.closed
        self.assertEqual(0, connection.unsent)

    async def test_large_packets_come_whole(self) -> None:
        recorder = Recorder()
        server = await self.server(filter=recorder)
        client = await self.client_of(server)
        client.set_option("sndbuf", 150_000)
        for size in (65536, 65537, 200_000):
            client.send(b"x" * size)
        await self.until(lambda: len(recorder.pieces) == 3)
        self.assertEqual([65536, 65537, 200_000], [len(piece) for piece in recorder.pieces])

    async def test_too_large_a_packet_is_refused(self) -> None:
        server, recorder = await self.server(), Recorder()
        client = await self.client_of(server, filter=recorder)
        error = self.assertRaises(ProcessError, client.send, b"x" * 10_000_000)
        self.assertEqual((errno.EMSGSIZE, 0), (error.errno, client.sent))
        client.send(b"fits")
        await self.until(lambda: recorder.data == b"fits")

    async def test_half_close(self) -> None:
        server = await self.server(filter=lambda p, data: p.send(data[::-1]))
        peer = self.raw_client(server)
        peer.send(b"abc")
        peer.shutdown(socket.SHUT_WR)
        self.assertEqual(b"cba", await in_thread(peer.recv, 10))
        self.assertEqual(b"", await in_thread(peer.recv, 10))

    async def test_stopped_until_resumed(self) -> None:
        recorder = Recorder()
        server = await self.server(filter=recorder)
        peer = self.raw_client(server)
        connection = await self.connection(server)
        connection.stop()
        for data in (b"1", b"", b"2"):
            peer.send(data)
        peer.close()
        await self.nothing_happens(([], "stop"), lambda: (recorder.pieces, connection.status))
        connection.resume()
        await connection.closed
        self.assertEqual([b"1", b"", b"2"], recorder.pieces)
        self.assertEqual(BROKEN, self.events(connection)[-1])

    async def test_a_reset(self) -> None:
        """A peer that closes with packets unread resets the connection."""
        server = await self.server(filter=lambda p, data: None)
        peer = self.raw_client(server)
        connection = await self.connection(server)
        connection.send(b"unread")
        await self.until(lambda: not connection.pending)
        reset(peer)
        await connection.closed
        self.assertEqual(errno.ECONNRESET, connection.reason.errno)

    async def test_the_kind_must_fit(self) -> None:
        server = await self.server()
        error = await self.failure_of(
            self.make(name="c", family="local", service=server.contact("service")), ProcessError
        )
        self.assertEqual(errno.EPROTOTYPE, error.errno)

    async def test_who_the_peer_is(self) -> None:
        server = await self.server()
        client = await self.client_of(server)
        connection = await self.connection(server)
        me = (os.getpid(), os.getuid(), os.getgid())
        self.assertEqual(me, connection.contact("peer_credentials"))
        self.assertEqual(me, client.contact("peer_credentials"))
        self.assertIsNone(server.contact("peer_credentials"))
        client.delete()
        self.assertIsNone(client.contact("peer_credentials"))
        tcp = await self.make(name="tcp", server=True, service=True)
        tcp_client = await self.make(name="t", service=tcp.contact("service"))
        self.assertIsNone(tcp_client.contact("peer_credentials"))
