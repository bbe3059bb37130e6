"""Datagram processes over UDP and UNIX sockets (P13, D9)."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import formatEvent, globalLogPublisher

from netproc import Limits, NetworkProcess, ProcessArgumentError, ProcessError
from netproc.net import datagram
from netproc.test.support.base import PATIENCE
from netproc.test.support.datagrams import DatagramTestCase, PacketTestCase, deafen
from netproc.test.support.fixtures import Recorder, echo


class UdpTests(DatagramTestCase):
    async def test_one_packet_is_one_call_each_way(self) -> None:
        server, recorder = await self.server(), Recorder()
        client = await self.client_of(server, filter=recorder)
        self.assertEqual(("open", "open"), (server.status, client.status))
        packets = [b"one", b"two", b"x" * 1472, b"y" * 65507, b"three"]
        for packet in packets:
            client.send(packet)
        await self.until(lambda: len(recorder.pieces) == len(packets))
        self.assertEqual(packets, recorder.pieces)

    async def test_empty_packets_are_delivered(self) -> None:
        recorder = Recorder()
        server = await self.server(filter=recorder, coding="utf-8")
        sock = self.socket()
        for data in (b"", b"a", b""):
            sock.sendto(data, (self.host, server.contact("service")))
        await self.until(lambda: len(recorder.pieces) == 3)
        self.assertEqual(["", "a", ""], recorder.pieces)
        self.assertEqual("open", server.status)

    async def test_each_packet_is_decoded_alone(self) -> None:
        recorder = Recorder()
        server = await self.server(filter=recorder, coding="utf-8")
        sock = self.socket()
        for data in (b"a\xc3", b"\xa9b"):
            sock.sendto(data, (self.host, server.contact("service")))
        await self.until(lambda: len(recorder.pieces) == 2)
        self.assertEqual(["a\udcc3", "\udca9b"], recorder.pieces)

    async def test_a_reply_in_the_filter_goes_to_its_sender(self) -> None:
        server = await self.server(filter=lambda p, data: p.send(data + b"!"))
        peers = [self.socket() for _ in range(5)]
        for _ in range(20):
            for number, peer in enumerate(peers):
                peer.sendto(b"%d" % number, (self.host, server.contact("service")))
        await self.until(lambda: server.received == 100)
        for number, peer in enumerate(peers):
            self.assertEqual([b"%d!" % number] * 20, [peer.recv(10) for _ in range(20)])

    async def test_a_slow_filter_still_answers_its_own_sender(self) -> None:
        """Other packets wait in the kernel while the filter runs."""
        waiting: list[Deferred[None]] = []

        async def slow(process: NetworkProcess, data: bytes) -> None:
            waiting.append(Deferred())
            await waiting[-1]
            process.send(data)

        server = await self.server(filter=slow)
        first, second = self.socket(), self.socket()
        first.sendto(b"first", (self.host, server.contact("service")))
        await self.until(lambda: len(waiting) == 1)
        second.sendto(b"second", (self.host, server.contact("service")))
        await self.nothing_happens(1, lambda: len(waiting))
        waiting[0].callback(None)
        self.assertEqual(b"first", first.recv(10))
        await self.until(lambda: len(waiting) == 2)
        waiting[1].callback(None)
        self.assertEqual(b"second", second.recv(10))

    async def test_the_address_can_be_read_and_set(self) -> None:
        server = await self.server(filter=lambda p, data: None)
        self.assertIsNone(server.datagram_address)
        error = self.assertRaises(ProcessError, server.send, b"to whom?")
        self.assertEqual((errno.EINVAL, "open"), (error.errno, server.status))
        peer = self.socket()
        address = self.form(peer)
        server.datagram_address = address
        server.send(b"hello")
        self.assertEqual(b"hello", peer.recv(10))
        self.assertEqual((address, address), (server.datagram_address, server.contact("remote")))

    def form(self, sock: socket.socket) -> tuple[int, ...]:
        return (127, 0, 0, 1, sock.getsockname()[1])

    async def test_addresses_that_cannot_be(self) -> None:
        server = await self.server()
        for wrong in ("/path", (1, 2, 3), (256, 0, 0, 1, 7), None):
            self.assertRaises(ProcessArgumentError, setattr, server, "datagram_address", wrong)
        self.assertIsNone(server.datagram_address)
        stream = await self.make(name="s", server=True, service=True)
        error = self.assertRaises(
            ProcessArgumentError, setattr, stream, "datagram_address", (127, 0, 0, 1, 7)
        )
        self.assertEqual("datagram_address: s is not a datagram process", str(error))
        server.delete()
        self.assertIsNone(server.datagram_address)

    async def test_the_remote_of_a_server_is_the_first_target(self) -> None:
        peer = self.socket()
        server = await self.server(remote=self.form(peer))
        server.send(b"first")
        self.assertEqual(b"first", peer.recv(10))

    async def test_too_long_a_packet(self) -> None:
        server, recorder = await self.server(), Recorder()
        client = await self.client_of(server, filter=recorder)
        longest = 65507 if self.family == socket.AF_INET else 65527
        error = self.assertRaises(ProcessError, client.send, b"x" * (longest + 1))
        self.assertEqual((errno.EMSGSIZE, "open"), (error.errno, client.status))
        self.assertEqual((0, 0), (client.sent, client.pending))
        client.send(b"fits")
        await self.until(lambda: recorder.data == b"fits")

    async def test_a_client_hears_its_remote_only(self) -> None:
        recorder = Recorder()
        server, stranger = self.socket(), self.socket()
        client = await self.client(server.getsockname()[1], filter=recorder)
        client.send(b"hello")
        _, address = server.recvfrom(10)
        stranger.sendto(b"let me in", address)
        server.sendto(b"answer", address)
        await self.until(lambda: recorder.pieces)
        self.assertEqual([b"answer"], recorder.pieces)
        self.assertEqual(server.getsockname()[1], client.datagram_address[-1])

    async def test_broadcasting_any_sender_is_heard(self) -> None:
        """All values except None and False turn broadcasting on, at once or later."""
        for keywords in ({"broadcast": True}, {"broadcast": 0}, {}):
            await self.is_heard_by_all(keywords)

    async def is_heard_by_all(self, keywords: dict[str, Any]) -> None:
        recorder = Recorder()
        server, stranger = self.socket(), self.socket()
        client = await self.client(server.getsockname()[1], filter=recorder, **keywords)
        if not keywords:
            client.set_option("broadcast", 0)
        client.send(b"who is there?")
        _, address = server.recvfrom(20)
        stranger.sendto(b"me", address)
        await self.until(lambda: recorder.data == b"me")
        self.assertEqual(stranger.getsockname()[1], client.datagram_address[-1])

    async def test_stop_queues_in_the_kernel(self) -> None:
        recorder = Recorder()
        server = await self.server(filter=recorder, stop=True)
        sock = self.socket()
        for number in range(5):
            sock.sendto(b"%d" % number, (self.host, server.contact("service")))
        await self.nothing_happens(([], "stop"), lambda: (recorder.pieces, server.status))
        server.resume()
        await self.until(lambda: recorder.data == b"01234")
        self.assertEqual(5, len(recorder.pieces))

    async def test_stopping_in_the_filter_stops_before_the_next_packet(self) -> None:
        seen: list[bytes] = []

        def filter(process: NetworkProcess, data: bytes) -> None:
            seen.append(data)
            process.stop()

        server = await self.server(filter=filter)
        sock = self.socket()
        for number in range(3):
            sock.sendto(b"%d" % number, (self.host, server.contact("service")))
        for number in range(3):
            await self.until(lambda number=number: len(seen) == number + 1)
            server.resume()
        self.assertEqual([b"0", b"1", b"2"], seen)

    async def test_a_packet_that_is_given_back_comes_again_with_the_next_one(self) -> None:
        given: list[bytes] = []

        def filter(process: NetworkProcess, data: bytes) -> None:
            given.append(data)
            if given == [b"one"]:
                process.unread(data)

        server = await self.server(filter=filter)
        client = await self.client_of(server)
        client.send(b"one")
        await self.until(lambda: given)
        client.send(b"two")
        await self.until(lambda: len(given) == 3)
        self.assertEqual([b"one", b"one", b"two"], given)

    async def test_an_end_is_not_sent(self) -> None:
        server, recorder = await self.server(), Recorder()
        client = await self.client_of(server, filter=recorder)
        client.send_eof()
        client.send(b"still here")
        await self.until(lambda: recorder.data == b"still here")

    async def test_a_full_buffer_takes_one_more_packet_and_then_waits(self) -> None:
        server = await self.server(filter=None, buffer="log")
        buffer = server.buffer
        buffer.limit = 10
        sock = self.socket()
        for data in (b"x" * 8, b"y" * 8, b"z" * 8):
            sock.sendto(data, (self.host, server.contact("service")))
        await self.until(lambda: len(buffer.text) == 16)
        await self.nothing_happens(16, lambda: len(buffer.text))
        buffer.take(16)
        await self.until(lambda: len(buffer.text) == 8)

    async def test_nowait(self) -> None:
        server = await self.server()
        client = await self.client_of(server, nowait=True)
        self.assertEqual("connect", client.status)
        client.send(b"early")
        await self.until(lambda: client.received == 5)
        self.assertEqual(["open\n"], self.events(client))

    async def test_the_end_of_a_process(self) -> None:
        server = await self.server()
        client = await self.client_of(server)
        client.delete()
        self.assertEqual(["deleted\n"], self.events(client))
        self.assertEqual("closed", client.status)
        await client.closed
        self.assertRaises(ProcessError, client.send, b"x")

    async def test_a_filter_that_deletes_its_process(self) -> None:
        server = await self.server(filter=lambda p, data: p.delete())
        sock = self.socket()
        for _ in range(3):
            sock.sendto(b"x", (self.host, server.contact("service")))
        await server.closed
        self.assertEqual(1, server.received)

    async def test_a_busy_port(self) -> None:
        sock = self.socket()
        error = await self.failure_of(
            self.make(
                name="s",
                server=True,
                type="datagram",
                host=self.host,
                service=sock.getsockname()[1],
            ),
            ProcessError,
        )
        self.assertEqual(errno.EADDRINUSE, error.errno)


class Udp6Tests(UdpTests):
    family = socket.AF_INET6
    host = "::1"

    def form(self, sock: socket.socket) -> tuple[int, ...]:
        return (0, 0, 0, 0, 0, 0, 0, 1, sock.getsockname()[1])


class IcmpTests(DatagramTestCase):
    async def test_nobody_listens_there(self) -> None:
        """`last_error` has the error, which is logged once and does not end the process (H4)."""
        port = self.nobody()
        client = await self.client(port, filter=lambda p, data: None)
        client.send(b"x")
        await self.until(lambda: client.last_error)
        self.assertEqual(errno.ECONNREFUSED, client.last_error.errno)
        self.assertEqual(f"127.0.0.1:{port}", client.last_error.address)
        self.assertEqual(("open", []), (client.status, self.events(client)))

    async def test_many_of_them_are_one_line(self) -> None:
        port = self.nobody()
        events = EventLoggingObserver()
        globalLogPublisher.addObserver(events)
        self.addCleanup(globalLogPublisher.removeObserver, events)
        client = await self.client(port)
        for _ in range(20):
            last = client.last_error
            client.send(b"x")
            await self.until(lambda last=last: client.last_error is not last)
        lines = [line for line in map(formatEvent, events) if "Connection refused" in line]
        self.assertEqual(
            [f"client: Connection refused: 127.0.0.1:{port}"],
            lines,
        )

    async def test_it_goes_on_afterwards(self) -> None:
        port, recorder = self.nobody(), Recorder()
        client = await self.client(port, filter=recorder)
        for _ in range(20):
            client.send(b"x")
        await self.until(lambda: client.last_error)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as back:
            back.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            back.bind((self.host, port))
            back.settimeout(PATIENCE)
            client.send(b"back?")
            _, client_address = back.recvfrom(10)
            back.sendto(b"yes", client_address)
            await self.until(lambda: recorder.data == b"yes")

    async def test_an_error_about_one_peer_does_not_keep_another_waiting(self) -> None:
        server = await self.server()
        peer, gone = self.socket(), self.socket()
        to = ("127.0.0.1", server.contact("service"))
        for _ in range(10):
            gone.sendto(b"x", to)
        deafen(gone)
        peer.sendto(b"hello", to)
        self.assertEqual(b"hello", await self.received(peer))
        await self.until(lambda: server.last_error)
        self.assertEqual("open", server.status)


class UnixDatagramTests(PacketTestCase):
    async def server(self, **keywords: Any) -> NetworkProcess:
        keywords = {"name": "server", "local": self.socket_path(), "filter": echo, **keywords}
        return await self.make(server=True, type="datagram", coding="binary", **keywords)

    async def client_of(self, server: NetworkProcess, **keywords: Any) -> NetworkProcess:
        keywords = {"name": "client", "coding": "binary", **keywords}
        return await self.make(type="datagram", remote=server.contact("local"), **keywords)

    async def test_replies_reach_the_client(self) -> None:
        server, recorder = await self.server(), Recorder()
        client = await self.client_of(server, filter=recorder)
        self.assertTrue(client.contact("local").startswith("\0"))
        packets = [b"one", b"", b"two", b"x" * 65535]
        for packet in packets:
            client.send(packet)
        await self.until(lambda: len(recorder.pieces) == 3)
        self.assertEqual([p for p in packets if p], recorder.pieces)

    async def test_senders_without_a_name_are_heard(self) -> None:
        recorder = Recorder()
        server = await self.server(filter=recorder)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"log line", server.contact("local"))
        await self.until(lambda: recorder.data == b"log line")
        self.assertIsNone(server.datagram_address)
        error = self.assertRaises(ProcessError, server.send, b"x")
        self.assertEqual(errno.EINVAL, error.errno)

    async def test_strangers_are_not_heard_by_clients(self) -> None:
        server, recorder = await self.server(), Recorder()
        client = await self.client_of(server, filter=recorder)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"stranger", os.fsencode(client.contact("local")))
        client.send(b"hello")
        await self.until(lambda: recorder.pieces)
        self.assertEqual([b"hello"], recorder.pieces)

    async def test_the_file(self) -> None:
        path = self.socket_path()
        server = await self.server(local=path, mode=0o620)
        self.assertEqual(0o620, os.stat(path).st_mode & 0o777)
        busy = await self.failure_of(
            self.make(name="b", server=True, type="datagram", local=path), ProcessError
        )
        self.assertEqual(errno.EADDRINUSE, busy.errno)
        server.delete()
        await server.closed
        self.assertFalse(os.path.exists(path))

    async def test_a_stale_file_is_replaced(self) -> None:
        path = self.socket_path()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.bind(path)
        server = await self.server(local=path)
        self.assertEqual("open", server.status)

    async def test_an_abstract_name(self) -> None:
        server = await self.server(local="\0" + self.socket_path())
        recorder = Recorder()
        client = await self.client_of(server, filter=recorder)
        client.send(b"x")
        await self.until(lambda: recorder.data == b"x")

    async def test_a_receiver_that_is_gone(self) -> None:
        server = await self.server()
        client = await self.client_of(server)
        server.delete()
        await server.closed
        error = self.assertRaises(ProcessError, client.send, b"x")
        self.assertEqual((errno.ENOENT, "open"), (error.errno, client.status))

    async def full(self) -> tuple[NetworkProcess, socket.socket]:
        """Return a client with pending packets, and its receiver, which does not read."""
        path = self.socket_path()
        receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(receiver.close)
        receiver.settimeout(PATIENCE)
        receiver.bind(path)
        client = await self.make(name="c", type="datagram", remote=path, coding="binary")
        count = 0
        while client.pending < 5000 and count < 10000:
            client.send(b"%06d" % count + b"x" * 994)
            count += 1
        self.assertEqual(5000, client.pending)
        return client, receiver

    async def test_what_the_kernel_does_not_take_waits(self) -> None:
        client, receiver = await self.full()
        drained = client.drain()
        count = client.sent // 1000
        received = []
        while len(received) < count:
            received.append(await self.received(receiver))
        self.assertEqual(list(range(count)), [int(data[:6]) for data in received])
        await drained
        self.assertEqual(0, client.pending)

    async def test_drain_waits(self) -> None:
        client, receiver = await self.full()
        client.limits = Limits(low_water=3000)
        drained = client.drain()
        await self.nothing_happens(False, lambda: drained.called)
        for _ in range(3):
            receiver.recv(2000)
        await drained
        self.assertLess(client.pending, 3000)

    async def test_the_cap(self) -> None:
        client, _ = await self.full()
        client.limits = Limits(send_cap=6000)
        error = self.assertRaises(ProcessError, client.send, b"x" * 1001)
        self.assertEqual(errno.ENOBUFS, error.errno)
        client.send(b"x" * 1000)
        self.assertEqual(6000, client.pending)

    async def test_deleting_writes_what_is_pending(self) -> None:
        client, receiver = await self.full()
        count = client.sent // 1000
        client.delete()
        received = 0
        while received < count:
            await self.received(receiver)
            received += 1
        await client.closed
        self.assertEqual((0, None), (client.unsent, client.reason))

    async def test_deleting_gives_up_in_time(self) -> None:
        client, _ = await self.full()
        client.limits = Limits(flush_timeout=0.05)
        client.delete()
        await client.closed
        self.assertEqual((5000, errno.ETIMEDOUT), (client.unsent, client.reason.errno))

    async def test_a_queued_packet_that_is_refused_is_noticed(self) -> None:
        client, receiver = await self.full()
        receiver.close()
        await self.until(lambda: not client.pending)
        self.assertEqual(errno.ECONNREFUSED, client.last_error.errno)
        client.delete()
        await client.closed
        self.assertEqual(5000, client.unsent)

    async def test_an_echo_to_a_peer_that_does_not_read_stays_bounded(self) -> None:
        path = self.socket_path()
        server = await self.server(local=path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as peer:
            peer.bind(b"")
            peer.setblocking(False)
            for _ in range(200):
                try:
                    while True:
                        peer.sendto(b"x" * 1000, path)
                except BlockingIOError:
                    await self.turn()
            self.assertLess(server.pending, 64 * 1024 + 1001)
            self.assertGreater(server.pending, 64 * 1024)


class RefusedKeywordsTests(DatagramTestCase):
    async def test_what_datagrams_have_not(self) -> None:
        error = await self.failure_of(
            self.make(name="x", type="datagram", endpoint="tcp:127.0.0.1:1"), ProcessArgumentError
        )
        self.assertEqual("type: an endpoint can only be a stream", str(error))
        error = await self.failure_of(
            self.make(name="x", type="raw", service=1), ProcessArgumentError
        )
        self.assertEqual("type: Unsupported connection type 'raw'", str(error))

    async def test_options_are_checked_and_set_before_the_bind(self) -> None:
        error = await self.failure_of(
            self.make(name="x", type="datagram", service=1, bindtodevice="nope0"), ProcessError
        )
        self.assertIn("bindtodevice", str(error))
        first = await self.server(reuseport=True)
        again = await self.make(
            name="again",
            server=True,
            type="datagram",
            service=first.contact("service"),
            reuseport=True,
        )
        self.assertEqual("open", again.status)

    async def test_a_limit_of_packets_a_turn(self) -> None:
        """Other work gets its turn even if packets keep coming."""
        counts: list[int] = []
        read = datagram.DatagramChannel.doRead

        def counting_read(channel: datagram.DatagramChannel) -> None:
            before = server.received
            read(channel)
            counts.append(server.received - before)

        self.patch(datagram.DatagramChannel, "doRead", counting_read)
        server = await self.server(filter=lambda p, data: None, stop=True)
        sock = self.socket()
        for _ in range(datagram.MOST_PACKETS + 10):
            sock.sendto(b"x", (self.host, server.contact("service")))
        server.resume()
        await self.until(lambda: server.received == datagram.MOST_PACKETS + 10)
        self.assertEqual(datagram.MOST_PACKETS, max(counts))
