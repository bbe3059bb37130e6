"""Events while a datagram process opens, and errors that the kernel reports for its socket."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from netproc import NetworkProcess, ProcessError
from netproc.core import options
from netproc.core.errors import NetprocError
from netproc.net import datagram, icmp
from netproc.process.lifecycle import Lifecycle
from netproc.process.process import DEFAULT_TABLE
from netproc.test.support import oddvalues
from netproc.test.support.datagrams import DatagramTestCase, PacketTestCase, deafen
from netproc.test.support.fixtures import Recorder

#: The keywords for addresses, and all options.
KEYWORDS = ["family", "host", "local", "mode", "remote", "service", *sorted(options.NAMES)]


class OpeningTests(DatagramTestCase):
    async def test_more_than_the_kernel_takes_sent_before_it_is_open(self) -> None:
        path = self.socket_path()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
            receiver.bind(path)
            client = await self.make(
                name="c", type="datagram", remote=path, nowait=True, coding="binary"
            )
            for number in range(200):
                client.send(b"%06d" % number + bytes(1000))
            received = [
                int((await PacketTestCase.received(self, receiver))[:6]) for _ in range(200)
            ]
        self.assertEqual(list(range(200)), received)
        self.assertEqual(["open\n"], self.events(client))
        os.unlink(path)

    async def test_errors_that_the_kernel_tells_before_it_is_open(self) -> None:
        client = await self.client(self.nobody(), nowait=True, filter=True)
        for _ in range(3):
            client.send(b"x")
        await self.until(lambda: client.last_error)
        self.assertEqual(errno.ECONNREFUSED, client.last_error.errno)
        self.assertEqual(("open", ["open\n"]), (client.status, self.events(client)))

    async def ends_once(self, what: Any, name: str, error: BaseException) -> None:
        """Check that there is one end: the sentinel is called if nowait was given, or else the Deferred fails."""

        def fail(*arguments: Any, **keywords: Any) -> None:
            raise error

        patched = self.patch(what, name, fail)
        path = self.socket_path()
        for place in ({"service": True}, {"local": path, "family": None}):
            made = self.make(name="s", server=True, type="datagram", **place)
            await self.failure_of(made, ProcessError)
        self.assertFalse(os.path.lexists(path))
        made = Deferred.fromCoroutine(self.client(self.nobody()))
        await self.failure_of(made, ProcessError)
        client = await self.client(self.nobody(), nowait=True)
        client.send(b"x")
        await client.closed
        (event,) = self.events(client)
        self.assertTrue(event.startswith("failed"), event)
        self.assertNotIn("look", event)
        self.assertEqual("failed", client.status)
        patched.restore()
        self.flushLoggedErrors(type(error))

    @settings(max_examples=150, deadline=None)
    @given(
        st.dictionaries(st.sampled_from(KEYWORDS), oddvalues.addresses, min_size=1, max_size=2),
        st.booleans(),
    )
    def test_odd_values_are_taken_or_refused(self, odd: dict[str, Any], server: bool) -> None:
        keywords = {"name": "x", "type": "datagram", "server": server, "service": True, **odd}
        made = self.make(**keywords)
        made.addErrback(lambda failure: failure.trap(NetprocError))
        # Keywords that are not refused at once start a look-up.
        made.cancel()
        for process in DEFAULT_TABLE.processes():
            process.contact(True)
            repr(process)
            process.delete()

    async def test_whatever_goes_wrong_while_it_opens_is_one_ending(self) -> None:
        for error in (OSError(errno.ENOMEM, "Cannot allocate memory"), RuntimeError("a fault")):
            await self.ends_once(datagram, "receiver_of", error)
            await self.ends_once(datagram.DatagramChannel, "start", error)
            await self.ends_once(Lifecycle, "connected", error)


class KernelTests(DatagramTestCase):
    async def test_a_full_queue_of_an_interface_is_tried_now_and_then(self) -> None:
        client = await self.client(7)
        channel = client._lifecycle.channel
        tries = []

        def full(data: bytes, to: Any) -> None:
            tries.append(data)
            if len(tries) < 4:
                raise OSError(errno.ENOBUFS, "No buffer space available")

        channel._send_raw = full
        client.send(b"x")
        turns = 0
        while client.pending:
            await self.turn()
            turns += 1
        self.assertEqual(4, len(tries))
        self.assertGreater(turns, len(tries))

    async def test_then_the_reactor_tells_again(self) -> None:
        """This happens if the socket itself is full."""
        client = await self.client(7)
        problems = [BlockingIOError(), OSError(errno.ENOBUFS, "full")]

        def send(data: bytes, to: Any) -> None:
            if problems:
                raise problems.pop()

        client._lifecycle.channel._send_raw = send
        client.send(b"x")
        await client.drain()
        await self.until(lambda: not client.pending)
        self.assertEqual([], problems)

    async def test_an_error_of_the_socket_is_taken_and_told(self) -> None:
        """This happens if the system has no queue of errors."""
        server = await self.server()
        channel = server._lifecycle.channel
        errors = [OSError(errno.ENETDOWN, os.strerror(errno.ENETDOWN))]
        self.patch(channel, "_take_error", lambda: errors.pop() if errors else None)
        self.patch(datagram, "pending_errors", lambda sock: [])
        channel.connectionLost(None)
        self.assertEqual("Receiving datagram: Network is down", str(server.last_error))
        await self.answers(server)

    async def answers(self, server: NetworkProcess) -> None:
        peer = self.socket()
        peer.sendto(b"hello", (self.host, server.contact("service")))
        self.assertEqual(b"hello", await self.received(peer))

    async def test_an_error_that_cannot_be_found_does_not_spin(self) -> None:
        server = await self.server()
        channel = server._lifecycle.channel
        lost = []

        class Insisting:
            """A reactor that reports the same error as soon as a reader is added."""

            def __getattr__(self, name: str) -> Any:
                return getattr(server.reactor, name)

            def addReader(self, reader: Any) -> None:
                if len(lost) < 3:
                    lost.append(reader)
                    reader.connectionLost(None)
                else:
                    server.reactor.addReader(reader)

        channel._reactor = Insisting()
        channel.connectionLost(None)
        self.assertEqual([], lost)
        await self.until(lambda: len(lost) == 3)
        self.assertIsNone(server.last_error)
        await self.answers(server)

    async def test_other_messages_in_the_queue_of_errors(self) -> None:
        """An inherited socket may have asked for packet information, times or hop limits."""
        so_timestamp, ip_pktinfo, ip_recvttl = 29, 8, 12
        for level, option in (
            (socket.SOL_SOCKET, so_timestamp),
            (socket.IPPROTO_IP, ip_pktinfo),
            (socket.IPPROTO_IP, ip_recvttl),
        ):
            server = await self.server()
            server._lifecycle.channel._socket.setsockopt(level, option, 1)
            with self.socket() as gone:
                to = gone.getsockname()
            server.datagram_address = (127, 0, 0, 1, to[1])
            server.send(b"x")
            await self.until(lambda server=server: server.last_error)
            self.assertEqual(errno.ECONNREFUSED, server.last_error.errno)
            await self.answers(server)
            self.assertEqual(errno.ECONNREFUSED, server.last_error.errno)
            server.delete()

    async def test_ipv4_clients_of_an_ipv6_server(self) -> None:
        server = await self.make(
            name="s", server=True, type="datagram", host="::", service=True, filter=Recorder()
        )
        gone = self.socket()
        gone.sendto(b"x", ("127.0.0.1", server.contact("service")))
        await self.until(lambda: server.received)
        address = f"127.0.0.1:{gone.getsockname()[1]}"
        deafen(gone)
        server.send("y")
        await self.until(lambda: server.last_error)
        self.assertEqual(
            (errno.ECONNREFUSED, address), (server.last_error.errno, server.last_error.address)
        )


class QueueTests(PacketTestCase):
    async def test_only_errors_are_taken_for_errors(self) -> None:
        error = icmp._EXTENDED_ERROR.pack(errno.EHOSTUNREACH, 2) + bytes(11)

        class Sock:
            family = socket.AF_INET
            messages = [
                (socket.SOL_SOCKET, icmp._IP_RECVERR, error),
                (socket.IPPROTO_IP, 12, b"\x40\0\0\0"),
                (socket.IPPROTO_IP, icmp._IP_RECVERR, error),
            ]
            asked = 0

            def recvmsg(self, *arguments: int) -> Any:
                self.asked += 1
                if self.asked > 1:
                    raise BlockingIOError
                return b"", self.messages, 0, ("192.0.2.1", 7)

        found = icmp.pending_errors(Sock())
        self.assertEqual(["No route to host: 192.0.2.1:7"], [str(error) for error in found])
