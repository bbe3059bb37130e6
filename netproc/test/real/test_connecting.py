"""Connecting: addresses are tried in turn, with one deadline, and errors name them all (F10, H12)."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed

from netproc import NetworkProcess, ProcessError, make_network_process
from netproc.core.address import SocketAddress
from netproc.core.spec import Lookup
from netproc.making import client
from netproc.making.make import KEYWORDS, make
from netproc.net import connector, sockets
from netproc.net.connector import Connector, interleave
from netproc.net.endpoints import ClientEndpoint
from netproc.test.support.base import PATIENCE, NetprocTestCase, install_resolver, reactor
from netproc.test.support.fakes import VirtualTime
from netproc.test.support.peers import silent_listener

V4, V6 = int(socket.AF_INET), int(socket.AF_INET6)


def v4(port: int, host: str = "127.0.0.1") -> SocketAddress:
    return SocketAddress(V4, (host, port))


def v6(port: int) -> SocketAddress:
    return SocketAddress(V6, ("::1", port, 0, 0))


class InterleaveTests(NetprocTestCase):
    def test_families_take_turns(self) -> None:
        addresses = [v6(1), v6(2), v6(3), v4(4), v4(5)]
        self.assertEqual([v6(1), v4(4), v6(2), v4(5), v6(3)], interleave(addresses))
        self.assertEqual([v4(1), v4(2)], interleave([v4(1), v4(2)]))


class ConnectingTests(NetprocTestCase):
    def listener(self, host: str = "127.0.0.1") -> int:
        """Return the port of a plain listener."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.create_server((host, 0), family=family)
        self.addCleanup(sock.close)
        return sock.getsockname()[1]

    def refusing(self, host: str = "127.0.0.1") -> int:
        """Return a port that stays bound, and on which no program listens."""
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        sock.bind((host, 0))
        self.addCleanup(sock.close)
        return sock.getsockname()[1]

    def silent(self) -> int:
        """Return a port that does not answer."""
        port, sockets = silent_listener()
        for sock in sockets:
            self.addCleanup(sock.close)
        return port

    def connect(
        self, *addresses: SocketAddress, timeout: float = PATIENCE, clock: Any = reactor
    ) -> Deferred[Any]:
        connecting = Connector(clock, addresses, {}, timeout).start()

        def close(connected: tuple[socket.socket, SocketAddress]) -> SocketAddress:
            connected[0].close()
            return connected[1]

        return connecting.addCallback(close)

    async def test_the_next_address_at_once_when_one_refuses(self) -> None:
        self.patch(connector, "ATTEMPT_DELAY", 3600)
        good = v4(self.listener())
        bad = [v6(self.refusing("::1")), v6(self.refusing("::1"))]
        self.assertEqual(good, await self.connect(*bad, good))

    async def test_the_next_address_after_250_ms_when_one_is_silent(self) -> None:
        time, good = VirtualTime(), v6(self.listener("::1"))
        connecting = self.connect(v4(self.silent()), good, clock=time)
        time.advance(0)
        time.advance(0.24)
        await self.nothing_happens(False, lambda: connecting.called)
        time.advance(0.02)
        self.assertEqual(good, await connecting)

    async def test_the_error_names_every_address(self) -> None:
        ports = [self.refusing(), self.refusing("::1")]
        error = await self.failure_of(self.connect(v4(ports[0]), v6(ports[1])), ProcessError)
        self.assertEqual(errno.ECONNREFUSED, error.errno)
        self.assertEqual(
            "make client process failed: Connection refused: "
            f"127.0.0.1:{ports[0]}, [0:0:0:0:0:0:0:1]:{ports[1]}",
            str(error),
        )

    async def test_the_deadline_is_for_all_addresses(self) -> None:
        time, addresses = VirtualTime(), [v4(self.silent()), v4(self.silent())]
        connecting = self.connect(*addresses, timeout=0.4, clock=time)
        time.advance(0)
        time.advance(0.39)
        await self.nothing_happens(False, lambda: connecting.called)
        time.advance(0.02)
        error = await self.failure_of(connecting, ProcessError)
        self.assertEqual(errno.ETIMEDOUT, error.errno)
        for address in addresses:
            self.assertIn(str(address.raw[1]), str(error))

    async def test_no_time_to_try_any_address(self) -> None:
        addresses = [v4(self.silent()), v4(self.silent())]
        error = await self.failure_of(self.connect(*addresses, timeout=0), ProcessError)
        self.assertEqual(errno.ETIMEDOUT, error.errno)
        for address in addresses:
            self.assertIn(str(address.raw[1]), str(error))

    async def test_cancelling_closes_everything(self) -> None:
        time = VirtualTime()
        connecting = self.connect(v4(self.silent()), v4(self.silent()), clock=time)
        time.advance(0)
        time.advance(0.3)
        connecting.cancel()
        await self.assertFailure(connecting, CancelledError)

    async def test_a_family_that_the_system_has_not(self) -> None:
        error = await self.failure_of(self.connect(SocketAddress(-1, b"")), ProcessError)
        self.assertEqual(errno.EAFNOSUPPORT, error.errno)

    async def test_addresses_that_the_socket_module_refuses(self) -> None:
        """The socket module does not raise OSError for these; netproc still tries the other addresses."""
        impossible = [
            SocketAddress(V6, ("::1", 7, 1 << 20, 0)),
            SocketAddress(V4, ("127.0.0.1", 1 << 16)),
            SocketAddress(10**30, b""),
            SocketAddress(socket.AF_UNIX, b"x" * 1000),
        ]
        good = v4(self.listener())
        self.assertEqual(good, await self.connect(*impossible, good))
        error = await self.failure_of(self.connect(*impossible), ProcessError)
        self.assertIn("make client process failed: ", str(error))

    async def test_no_address(self) -> None:
        error = await self.failure_of(self.connect(), ProcessError)
        self.assertEqual("make client process failed: there is no address", str(error))

    async def test_a_socket_that_is_its_own_peer(self) -> None:
        """The kernel connects a socket to itself if the socket has the port that it connects to."""
        ours = socket.socket()
        ours.setblocking(False)
        ours.bind(("127.0.0.1", 0))
        self.patch(sockets, "make_socket", lambda family, kind: ours)
        error = await self.failure_of(self.connect(v4(ours.getsockname()[1])), ProcessError)
        self.assertEqual(errno.ECONNREFUSED, error.errno)

    async def test_an_address_of_a_family_without_a_form(self) -> None:
        """On most machines there is no such peer; the error names the family as for any other."""
        vsock = SocketAddress(socket.AF_VSOCK, bytes(14))
        error = await self.failure_of(self.connect(vsock), ProcessError)
        self.assertIn(f"family {int(socket.AF_VSOCK)}", str(error))

    def full_unix_server(self) -> tuple[socket.socket, SocketAddress]:
        """Return a listening socket whose backlog is full, and its address."""
        path = self.socket_path()
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        listener.bind(path)
        listener.listen(0)
        filler = socket.socket(socket.AF_UNIX)
        self.addCleanup(filler.close)
        filler.connect(path)
        return listener, SocketAddress(socket.AF_UNIX, path.encode())

    async def test_a_full_backlog_of_a_unix_server_is_waited_for(self) -> None:
        listener, address = self.full_unix_server()
        connecting = self.connect(address)
        await self.nothing_happens(False, lambda: connecting.called)
        listener.accept()[0].close()
        await connecting

    async def test_a_full_backlog_that_stays_full(self) -> None:
        listener, address = self.full_unix_server()
        error = await self.failure_of(self.connect(address, timeout=0.1), ProcessError)
        self.assertEqual(errno.ETIMEDOUT, error.errno)
        connecting = self.connect(address)
        await self.nothing_happens(False, lambda: connecting.called)
        listener.close()
        error = await self.failure_of(connecting, ProcessError)
        self.assertEqual(errno.ECONNREFUSED, error.errno)


class LookupTests(NetprocTestCase):
    def make_with(self, resolver: Any, **keywords: Any) -> Deferred[NetworkProcess]:
        return make({**KEYWORDS, "name": "p", **keywords}, resolver=resolver)

    async def test_one_deadline_for_look_up_and_connect(self) -> None:
        def never(lookup: Lookup, reactor: Any) -> Deferred[Sequence[SocketAddress]]:
            return Deferred()

        made = self.make_with(never, host="some.example", service=7, connect_timeout=20)
        self.advance(10)
        await self.nothing_happens(False, lambda: made.called)
        self.advance(10)
        error = await self.failure_of(made, ProcessError)
        self.assertEqual(errno.ETIMEDOUT, error.errno)
        self.assertIn("some.example", str(error))

    async def test_a_slow_look_up_leaves_less_for_the_connect(self) -> None:
        answer: Deferred[Sequence[SocketAddress]] = Deferred()

        def slow(lookup: Lookup, reactor: Any) -> Deferred[Sequence[SocketAddress]]:
            return answer

        left: list[float] = []

        def endpoint(*, timeout: float, **fields: Any) -> ClientEndpoint:
            left.append(timeout)
            return ClientEndpoint(timeout=timeout, **fields)

        self.patch(client, "ClientEndpoint", endpoint)
        made = self.make_with(slow, host="some.example", service=7, connect_timeout=20)
        self.advance(15)
        answer.callback([v4(ConnectingTests.silent(self))])
        await self.until(lambda: left)
        self.advance(5)
        await self.assertFailure(made, ProcessError)
        self.assertLessEqual(left[0], 5)

    async def test_numeric_hosts_and_local_never_touch_the_thread_pool(self) -> None:
        def forbidden(*arguments: Any) -> None:
            raise AssertionError("the resolver was asked")

        install_resolver(self, forbidden)
        for host in ("local", "127.0.0.1", "::1", None, "127.1"):
            server = await self.make(name="s", server=True, host=host, service=True, filter=True)
            self.assertEqual("listen", server.status)

    async def test_a_name_is_looked_up(self) -> None:
        server = await self.make(name="s", server=True, host="localhost", service=True, filter=True)
        client = await self.make(name="c", host="localhost", service=server.contact("service"))
        self.assertEqual("open", client.status)
        client.delete()
        await self.until(lambda: len(self.ledger.events) == 3)
        for process in list(self.ledger.events):
            process.delete()

    async def test_names_that_are_not_known(self) -> None:
        for host, problem in (
            ("nosuchhost.invalid", "nosuchhost.invalid/80 Name or service not known"),
            ("a" * 64, "a" * 64 + "/80 Name or service not known"),
        ):
            made = make_network_process(name="p", host=host, service=80)
            error = await self.failure_of(made, ProcessError)
            self.assertEqual((None, problem), (error.errno, str(error)))

    async def test_services_that_are_not_known(self) -> None:
        made = make_network_process(name="p", service="nosuchservice-netproc")
        error = await self.failure_of(made, ProcessError)
        self.assertEqual(
            "127.0.0.1/nosuchservice-netproc Servname not supported for ai_socktype", str(error)
        )

    async def test_services_that_nobody_could_know(self) -> None:
        for service in ("a\0b", "\ud800"):
            made = make_network_process(name="p", service=service)
            error = await self.failure_of(made, ProcessError)
            self.assertIn("Servname not supported for ai_socktype", str(error))
            process = await make_network_process(name="p", service=service, nowait=True)
            await process.closed
            self.assertEqual("failed", process.status)

    async def test_a_host_of_another_family(self) -> None:
        made = make_network_process(name="p", host="127.0.0.1", service=80, family="ipv6")
        error = await self.failure_of(made, ProcessError)
        self.assertEqual("127.0.0.1/80 Address family for hostname not supported", str(error))

    async def test_nowait_tells_of_a_failed_look_up(self) -> None:
        process = await self.make(name="p", host="nosuchhost.invalid", service=80, nowait=True)
        self.assertEqual("connect", process.status)
        await process.closed
        self.assertEqual("failed", process.status)
        event = "failed: Name lookup of nosuchhost.invalid failed\n"
        self.assertEqual([event], self.events(process))
        self.assertEqual("Name lookup of nosuchhost.invalid failed", process.exit_status)

    async def test_an_option_that_cannot_be_set_fails_the_connect(self) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        port = listener.getsockname()[1]
        made = make_network_process(name="p", service=port, bindtodevice="nosuchdev0")
        error = await self.failure_of(made, ProcessError)
        self.assertEqual("Cannot set network option bindtodevice: No such device", str(error))


class WaitingClientTests(NetprocTestCase):
    async def test_nobody_sees_it_before_it_is_connected(self) -> None:
        from netproc import get_process, process_list

        gate: Deferred[Sequence[SocketAddress]] = Deferred()
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        made = make(
            {**KEYWORDS, "name": "p", "host": "some.example", "service": 7},
            resolver=lambda lookup, reactor: gate,
        )
        self.assertEqual(([], None), (process_list(), get_process("p")))
        other = await self.make(name="p", server=True, service=True, filter=True)
        self.assertEqual("p<1>", other.name)
        gate.callback([v4(listener.getsockname()[1])])
        process = await made
        self.assertEqual(("p", "open", []), (process.name, process.status, self.events(process)))
        process.delete()

    async def test_cancelling_gives_up_in_silence(self) -> None:
        def resolver(lookup: Lookup, reactor: Any) -> Deferred[Sequence[SocketAddress]]:
            return Deferred()

        keywords = {**KEYWORDS, "name": "p", "host": "some.example", "service": 7}
        made = make(keywords, resolver=resolver)
        made.cancel()
        await self.assertFailure(made, CancelledError)
        self.assertEqual({}, self.ledger.events)

    async def test_deleting_a_nowait_client_that_connects(self) -> None:
        port = ConnectingTests.silent(self)
        process = await self.make(name="p", service=port, nowait=True)
        await self.until(reactor.getWriters)
        process.delete()
        self.assertEqual(("closed", ["deleted\n"]), (process.status, self.events(process)))
        await process.closed

    async def test_deleting_a_nowait_client_before_it_begins(self) -> None:
        process = await self.make(name="p", service=1, nowait=True)
        process.delete()
        await process.closed
        self.assertEqual(["deleted\n"], self.events(process))

    async def test_a_nowait_client_may_be_used_before_it_is_connected(self) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        port = listener.getsockname()[1]
        process = await self.make(name="p", service=port, nowait=True)
        process.send("early")
        process.send_eof()
        self.assertEqual(5, process.pending)
        self.assertRaises(ProcessError, process.set_option, "keepalive", True)
        await self.until(lambda: self.events(process) == ["open\n"])
        connection, _ = listener.accept()
        connection.settimeout(PATIENCE)
        self.assertEqual((b"early", b""), (connection.recv(10), connection.recv(10)))
        connection.close()
        await process.closed

    async def test_sends_before_the_connect_are_bounded(self) -> None:
        process = await self.make(name="p", service=1, nowait=True)
        process.send(b"x" * 1000)
        error = self.assertRaises(ProcessError, process.send, b"x" * (16 << 20))
        self.assertEqual(errno.ENOBUFS, error.errno)
        drained = process.drain()
        await process.closed
        await drained
        self.assertEqual("failed", process.status)


class ServerLookupTests(NetprocTestCase):
    def test_a_server_that_needs_no_look_up_has_fired(self) -> None:
        made = make_network_process(name="s", server=True, service=True, filter=True)
        process = self.successResultOf(made)
        process.delete()

    async def test_a_server_with_a_name(self) -> None:
        resolver = lambda lookup, reactor: succeed([v4(0)])  # noqa: E731
        keywords = {**KEYWORDS, "name": "s", "server": True, "host": "x.example", "service": 0}
        process = await make(keywords, resolver=resolver)
        self.assertEqual(("listen", "x.example"), (process.status, process.contact("host")))
        process.delete()

    async def test_a_look_up_that_does_not_end(self) -> None:
        keywords = {**KEYWORDS, "name": "s", "server": True, "host": "x.example", "service": 0}
        made = make(
            {**keywords, "connect_timeout": 0.05}, resolver=lambda lookup, reactor: Deferred()
        )
        error = await self.failure_of(made, ProcessError)
        self.assertEqual(
            (errno.ETIMEDOUT, "Cannot bind server socket: timed out (look up x.example)"),
            (error.errno, str(error)),
        )

    async def test_an_address_that_is_taken(self) -> None:
        first = await self.make(name="s", server=True, service=True, filter=True)
        made = make_network_process(name="s", server=True, service=first.contact("service"))
        error = await self.failure_of(made, ProcessError)
        self.assertEqual(errno.EADDRINUSE, error.errno)
        where = f"127.0.0.1:{first.contact('service')}"
        self.assertEqual(f"Cannot bind server socket: Address already in use: {where}", str(error))
