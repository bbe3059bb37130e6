"""Calls of the program while a connection is being opened; each opening ends once."""

from __future__ import annotations

import errno
import socket
from typing import Any

import trustme
from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.endpoints import SSL4ServerEndpoint, TCP4ClientEndpoint, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint, IStreamServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import Certificate, PrivateCertificate, optionsForClientTLS
from twisted.internet.testing import StringTransport
from zope.interface import implementer

from netproc import NetworkProcess, ProcessError, SecurityManager, open_network_stream
from netproc.net.tls import contexts
from netproc.test.support import tlsstandin
from netproc.test.support.base import PATIENCE, NetprocTestCase, reactor
from netproc.test.support.fixtures import (
    BROKEN,
    ForeignFixture,
    Recorder,
    TcpFixture,
    UnixFixture,
    echo,
)
from netproc.test.support.peers import accept, in_thread, read_all, read_exactly
from netproc.test.support.tlsstandin import AUTHORITY

MUCH = b"x" * 1_000_000


class StartTlsContract:
    """TLS that the program starts as soon as its sentinel is called for a connection."""

    security = staticmethod(tlsstandin.security)

    async def setUp(self) -> None:
        await super().setUp()  # type: ignore[misc]
        self.patch(contexts, "security", self.security)
        self.started: list[Deferred[NetworkProcess]] = []

    def when_open(self, process: NetworkProcess, event: str) -> None:
        if event.startswith("open"):
            tls = AUTHORITY.server if process.accepted_by else AUTHORITY.client
            self.started.append(process.start_tls(tls))

    def when_logged(self, server: NetworkProcess, process: NetworkProcess, message: str) -> None:
        self.started.append(process.start_tls(AUTHORITY.server))

    async def check_server(self, **keywords: Any) -> None:
        recorder = Recorder()
        server = await self.server(filter=recorder, **keywords)
        peer = self.raw_client(server)
        self.addCleanup(peer.close)

        def talk() -> None:
            tls = AUTHORITY.raw_client.wrap_socket(peer, server_hostname="localhost")
            tls.sendall(b"secret")
            tls.unwrap()

        await in_thread(talk)
        connection = await self.connection(server)
        await connection.closed
        self.assertEqual(b"secret", recorder.data)
        self.assertIs(connection, await self.started[0])
        self.assertEqual(BROKEN, self.events(connection)[-1])

    async def test_in_the_sentinel_of_a_connection(self) -> None:
        await self.check_server(sentinel=self.when_open)

    async def test_in_the_log_function(self) -> None:
        await self.check_server(log=self.when_logged)

    async def check_garbage(self, **keywords: Any) -> None:
        recorder = Recorder()
        server = await self.server(filter=recorder, **keywords)
        peer = self.raw_client(server)
        self.addCleanup(peer.close)
        peer.sendall(b"MAIL FROM:<injected>\r\n" * 10)
        connection = await self.connection(server)
        await self.lingers(connection)
        await self.failure_of(self.started[0], ProcessError)
        self.assertEqual([], recorder.pieces)
        self.assertEqual(BROKEN, self.events(connection)[-1])
        connection.delete()

    async def test_a_peer_of_a_connection_that_does_no_tls(self) -> None:
        await self.check_garbage(sentinel=self.when_open)

    async def test_the_same_from_the_log_function(self) -> None:
        await self.check_garbage(log=self.when_logged)

    async def starting_client(self, recorder: Recorder) -> tuple[NetworkProcess, socket.socket]:
        """Return a client that starts TLS when it is open, and its peer."""
        listener, place = self.raw_server()
        self.addCleanup(listener.close)
        keywords = {"nowait": True, "filter": recorder, "sentinel": self.when_open, **place}
        process = await self.make(name="c", coding="binary", **keywords)
        peer = await in_thread(accept, listener)
        self.addCleanup(peer.close)
        return process, peer

    async def test_in_the_sentinel_of_a_client(self) -> None:
        recorder = Recorder()
        process, peer = await self.starting_client(recorder)
        wrapped = await in_thread(AUTHORITY.raw_server.wrap_socket, peer, True)
        self.addCleanup(wrapped.close)
        await self.started[0]
        await in_thread(wrapped.sendall, b"secret")
        await self.until(lambda: recorder.data == b"secret")
        self.assertEqual(["open\n"], self.events(process))

    async def test_a_peer_of_a_client_that_does_no_tls(self) -> None:
        recorder = Recorder()
        process, peer = await self.starting_client(recorder)
        peer.sendall(b"what is this?\r\n" * 10)
        await self.until(lambda: self.started)
        await self.lingers(process)
        await self.failure_of(self.started[0], ProcessError)
        self.assertEqual((["open\n", BROKEN], []), (self.events(process), recorder.pieces))


class TcpStartTlsTests(StartTlsContract, TcpFixture):
    async def test_behind_open_network_stream(self) -> None:
        """If the program starts TLS at once, the server's data after its greeting belongs to TLS."""
        listener, place = self.raw_server()
        self.addCleanup(listener.close)
        recorder = Recorder()
        opening = open_network_stream(
            "s",
            None,
            "127.0.0.1",
            place["service"],
            type="plain",
            end_of_command="\n",
            coding="binary",
            filter=recorder,
        )
        peer = await in_thread(accept, listener)
        self.addCleanup(peer.close)
        peer.sendall(b"hello\n" + b"no TLS at all\n" * 10)
        process = await opening
        self.addCleanup(process.delete)
        started = process.start_tls(AUTHORITY.client)
        await self.lingers(process)
        await self.failure_of(started, ProcessError)
        self.assertEqual([], recorder.pieces)


class UnixStartTlsTests(StartTlsContract, UnixFixture):
    pass


class ForeignStartTlsTests(StartTlsContract, ForeignFixture):
    pass


class MemoryStartTlsTests(StartTlsContract, TcpFixture):
    security = staticmethod(tlsstandin.security_in_memory)


class OutputContract:
    """Data that the program sends before and when a connection opens."""

    async def test_much_that_was_sent_early(self) -> None:
        listener, place = self.raw_server()
        self.addCleanup(listener.close)
        process = await self.make(name="c", nowait=True, coding="binary", **place)
        process.send(MUCH)
        drained = process.drain()
        process.send_eof()
        peer = await in_thread(accept, listener)
        self.addCleanup(peer.close)
        self.assertEqual(len(MUCH), len(await in_thread(read_all, peer)))
        await drained
        self.assertEqual(["open\n"], self.events(process))

    async def test_much_that_is_sent_in_the_sentinel(self) -> None:
        server = await self.server(
            sentinel=lambda process, event: event.startswith("open") and process.send(MUCH)
        )
        peer = self.raw_client(server)
        self.addCleanup(peer.close)
        await in_thread(read_exactly, peer, len(MUCH))
        await self.connection(server)
        self.assertEqual([], self.flushLoggedErrors())


class TcpOutputTests(OutputContract, TcpFixture):
    async def test_waiting_for_output_after_the_end(self) -> None:
        process, _peer = await self.client_of_raw()
        process.send(b"hello")
        process.delete()
        await self.lingers(process)
        self.assertIs(None, await process.drain())


class ForeignOutputTests(OutputContract, ForeignFixture):
    pass


class NeverConnectedTests(NetprocTestCase):
    """Unsent output of clients that never connect is counted, and Deferreds that wait for it fail."""

    async def client(self) -> tuple[NetworkProcess, Deferred[None]]:
        process = await self.make(
            name="c", nowait=True, coding="binary", service=self.reserve_port()
        )
        process.send(b"x" * 20_000)
        return process, process.drain()

    async def check_told(self, process: NetworkProcess, drained: Deferred[None]) -> None:
        await self.failure_of(drained, ProcessError)
        self.assertEqual((20_000, 0), (process.unsent, process.pending))
        await self.failure_of(process.drain(), ProcessError)

    async def test_refused(self) -> None:
        process, drained = await self.client()
        await process.closed
        self.assertEqual(["failed with code 111\n"], self.events(process))
        await self.check_told(process, drained)

    async def test_deleted(self) -> None:
        process, drained = await self.client()
        process.delete()
        await self.check_told(process, drained)


class EarlyEndTests(NetprocTestCase):
    async def test_an_endpoint_that_cannot_do_what_was_asked_for(self) -> None:
        """`send_eof` is called before netproc knows that the endpoint has no half-close."""
        authority = trustme.CA()
        pem = authority.issue_cert("localhost").private_key_and_cert_chain_pem.bytes()
        options = PrivateCertificate.loadPEM(pem).options()
        port = reactor.listenSSL(0, Factory.forProtocol(Protocol), options, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        trust = Certificate.loadPEM(authority.cert_pem.bytes())
        endpoint = wrapClientTLS(
            optionsForClientTLS("localhost", trustRoot=trust),
            TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port),
        )
        process = await self.make(name="c", nowait=True, endpoint=endpoint)
        process.send("request")
        process.send_eof()
        await process.closed
        self.assertEqual(["failed with code 95\n"], self.events(process))
        self.assertEqual(errno.EOPNOTSUPP, process.reason.errno)


@implementer(IStreamClientEndpoint, IStreamServerEndpoint)
class Stubborn:
    """An endpoint that connects although it was cancelled."""

    def __init__(self) -> None:
        self.factories: list[Any] = []

    def connect(self, factory: Any) -> Deferred[Any]:
        self.factories.append(factory)
        return Deferred()

    listen = connect


class LateTests(NetprocTestCase):
    """Connections that are made after the program has given them up."""

    def connection(self, endpoint: Stubborn) -> StringTransport:
        """Make such a connection, and return its transport."""
        transport = StringTransport()
        endpoint.factories[0].buildProtocol(None).makeConnection(transport)
        return transport

    async def test_a_client_that_was_given_up(self) -> None:
        endpoint = Stubborn()
        made = self.make(name="c", endpoint=endpoint, connect_timeout=0.01)
        await self.failure_of(made, ProcessError)
        self.assertTrue(self.connection(endpoint).disconnected)

    async def test_a_client_that_was_deleted(self) -> None:
        endpoint = Stubborn()
        process = await self.make(name="c", endpoint=endpoint, nowait=True)
        await self.until(lambda: endpoint.factories)
        process.delete()
        await process.closed
        self.assertTrue(self.connection(endpoint).disconnected)
        self.assertEqual(["deleted\n"], self.events(process))

    async def test_a_server_that_was_given_up(self) -> None:
        endpoint = Stubborn()
        made = self.make(name="s", server=True, endpoint=endpoint)
        made.cancel()
        await self.failure_of(made, CancelledError)
        self.assertTrue(self.connection(endpoint).disconnected)
        self.assertEqual([], list(self.ledger.events))


class PausedPortTests(NetprocTestCase):
    async def test_a_port_that_cannot_be_stopped(self) -> None:
        """A server with `stop` fails if its endpoint's port has no pauseProducing, and stops listening."""
        stopped: list[bool] = []

        class Port:
            def getHost(self) -> IPv4Address:
                return IPv4Address("TCP", "127.0.0.1", 1)

            def stopListening(self) -> None:
                stopped.append(True)

        @implementer(IStreamServerEndpoint)
        class Endpoint:
            def listen(self, factory: Any) -> Deferred[Any]:
                return succeed(Port())

        made = self.make(name="s", server=True, stop=True, endpoint=Endpoint())
        error = await self.failure_of(made, ProcessError)
        self.assertEqual((errno.EOPNOTSUPP, [True]), (error.errno, stopped))


class ManagerTests(NetprocTestCase):
    """The security manager's `ask` gives the stream up."""

    async def check(self, nowait: bool, later: bool = False) -> None:
        streams: list[Any] = []

        def ask(host: str, port: int, problems: object) -> str:
            if nowait:
                streams[0].delete()
            else:
                streams[0].cancel()
            return "always"

        async def ask_later(host: str, port: int, problems: object) -> str:
            await self.turn()
            return ask(host, port, problems)

        with socket.create_server(("127.0.0.1", 0)) as listener:
            opening = open_network_stream(
                "s",
                None,
                "127.0.0.1",
                listener.getsockname()[1],
                type="plain",
                nowait=nowait,
                warn_unless_encrypted=True,
                security_manager=SecurityManager(ask=ask_later if later else ask),
            )
            streams.append(await opening if nowait else opening)
            peer = await in_thread(accept, listener)
            self.addCleanup(peer.close)
            if nowait:
                await streams[0].closed
                self.assertEqual(["deleted\n"], self.events(streams[0]))
            else:
                await self.failure_of(opening, CancelledError)
        await in_thread(self.read_to_the_end, peer)

    @staticmethod
    def read_to_the_end(peer: socket.socket) -> None:
        try:
            read_all(peer)
        except ConnectionResetError:
            pass

    async def test_cancelled(self) -> None:
        await self.check(nowait=False)

    async def test_deleted(self) -> None:
        await self.check(nowait=True)

    async def test_cancelled_by_a_coroutine(self) -> None:
        await self.check(nowait=False, later=True)

    async def test_deleted_by_a_coroutine(self) -> None:
        await self.check(nowait=True, later=True)


class ServerEndTests(NetprocTestCase):
    async def test_a_handshake_over_a_foreign_endpoint_ends_with_its_server(self) -> None:
        pem = AUTHORITY.certificate.private_key_and_cert_chain_pem.bytes()
        options = PrivateCertificate.loadPEM(pem).options()
        endpoint = SSL4ServerEndpoint(reactor, 0, options, interface="127.0.0.1")
        server = await self.make(name="s", server=True, endpoint=endpoint, filter=echo)
        address = ("127.0.0.1", server.contact("service"))
        peer = await in_thread(socket.create_connection, address, PATIENCE)
        self.addCleanup(peer.close)
        await self.turn()
        server.delete()
        await server.closed
        await self.failure_of(in_thread(peer.recv, 1), ConnectionResetError)
        self.assertEqual([server], list(self.ledger.events))
