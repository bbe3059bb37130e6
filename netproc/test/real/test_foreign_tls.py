"""Endpoints with their own TLS, and endpoints whose transports have few methods."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import socket
import ssl
from typing import Any

import trustme
from OpenSSL import SSL
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.endpoints import SSL4ServerEndpoint
from twisted.internet.error import (
    CannotListenError,
    ConnectionDone,
    ConnectionRefusedError,
    DNSLookupError,
    TimeoutError,
)
from twisted.internet.interfaces import IStreamClientEndpoint, IStreamServerEndpoint
from twisted.internet.ssl import CertificateOptions
from twisted.python.failure import Failure
from zope.interface import implementer

from netproc import (
    NetworkProcess,
    ProcessArgumentError,
    ProcessError,
    ProcessTable,
    make_network_process,
)
from netproc.net.foreign import network_error
from netproc.test.support.base import PATIENCE, NetprocTestCase, reactor
from netproc.test.support.fixtures import BROKEN, MB, Recorder, echo
from netproc.test.support.peers import accept, in_thread, read_all, read_exactly
from netproc.test.support.protocols import Wrapped


class TlsTests(NetprocTestCase):
    def server_endpoint(self) -> SSL4ServerEndpoint:
        authority = trustme.CA()
        certificate = authority.issue_cert("localhost")
        context = SSL.Context(SSL.TLS_METHOD)
        certificate.configure_cert(context)
        self.trust = ssl.create_default_context()
        authority.configure_trust(self.trust)

        class Options(CertificateOptions):
            def getContext(self) -> SSL.Context:
                return context

        return SSL4ServerEndpoint(reactor, 0, Options(), interface="127.0.0.1")

    def tls_client(self, port: int) -> ssl.SSLSocket:
        sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
        return self.trust.wrap_socket(sock, server_hostname="localhost")

    async def test_open_is_told_after_the_handshake(self) -> None:
        server = await self.make(
            name="s", server=True, endpoint=self.server_endpoint(), filter=echo, coding="binary"
        )
        port = server.contact("service")
        silent = socket.create_connection(("127.0.0.1", port), PATIENCE)
        await self.nothing_happens([server], lambda: list(self.ledger.events))
        peer = await in_thread(self.tls_client, port)
        peer.sendall(b"hello")
        self.assertEqual(b"hello", await in_thread(read_exactly, peer, 5))
        connection = next(p for p in self.ledger.events if p is not server)
        self.assertEqual(["open from 127.0.0.1\n"], self.events(connection))
        error = self.assertRaises(ProcessError, connection.send_eof)
        self.assertEqual(errno.EOPNOTSUPP, error.errno)
        connection.delete()
        self.assertEqual(b"", await in_thread(read_all, peer))
        peer.close()
        silent.close()
        await connection.closed

    async def test_nothing_is_delivered_while_stopped(self) -> None:
        recorder = Recorder()
        server = await self.make(
            name="s", server=True, endpoint=self.server_endpoint(), filter=recorder, coding="binary"
        )
        peer = await in_thread(self.tls_client, server.contact("service"))
        await self.until(lambda: len(self.ledger.events) == 2)
        connection = next(p for p in self.ledger.events if p is not server)
        connection.stop()
        data = bytes(range(256)) * 400
        await in_thread(peer.sendall, data)
        await self.nothing_happens([], lambda: recorder.pieces)
        connection.resume()
        await self.until(lambda: recorder.data == data)
        await in_thread(lambda: peer.unwrap().close())
        await connection.closed
        self.assertEqual(BROKEN, self.events(connection)[-1])

    async def test_a_handshake_that_stalls_is_given_up(self) -> None:
        server = await self.make(
            name="s",
            server=True,
            endpoint=self.server_endpoint(),
            filter=echo,
            handshake_timeout=0.1,
        )
        with socket.create_connection(("127.0.0.1", server.contact("service")), PATIENCE) as silent:
            self.assertRaises(ConnectionResetError, await in_thread(self.reader, silent))
        self.assertEqual([server], list(self.ledger.events))

    async def test_handshakes_are_given_up_with_their_server(self) -> None:
        server = await self.make(name="s", server=True, endpoint=self.server_endpoint())
        with socket.create_connection(("127.0.0.1", server.contact("service")), PATIENCE) as silent:
            await self.turn()
            server.delete()
            self.assertRaises(ConnectionResetError, await in_thread(self.reader, silent))
        self.assertEqual(["deleted\n"], self.events(server))

    async def test_behind_wrapping_factories(self) -> None:
        """The process opens after the handshake, and the peer receives a close_notify after the reply."""

        def reply(process: NetworkProcess, data: bytes) -> None:
            process.send(b"x" * MB)
            process.delete()

        server = await self.make(
            name="s",
            server=True,
            endpoint=Wrapped(self.server_endpoint()),
            coding="binary",
            filter=reply,
        )
        port = server.contact("service")
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as peer:
            peer.sendall(b"GET / HTTP/1.1\r\n\r\n" * 10)
            with contextlib.suppress(ConnectionError):
                self.assertEqual(b"", await in_thread(read_all, peer))
        peer = await in_thread(self.tls_client, port)
        peer.sendall(b"question")
        self.assertEqual(MB, len(await in_thread(read_all, peer)))
        # Without close_notify reading would have raised an error.
        peer.close()
        opened = [p for p in self.ledger.events if p is not server]
        self.assertEqual(1, len(opened))

    async def test_the_peer_ends_tls_while_output_waits(self) -> None:
        server = await self.make(
            name="s", server=True, endpoint=self.server_endpoint(), coding="binary"
        )
        peer = await in_thread(self.tls_client, server.contact("service"))
        await self.until(lambda: len(self.ledger.events) == 2)
        connection = next(p for p in self.ledger.events if p is not server)
        connection.send(b"x" * 15 * MB)
        await self.until_quiet(lambda: connection.pending)
        peer.setblocking(False)
        # The peer sends a close_notify, and does not wait for the answer.
        self.assertRaises(ssl.SSLError, peer.unwrap)
        with socket.socket(fileno=os.dup(peer.fileno())) as raw:
            raw.settimeout(PATIENCE)
            await in_thread(read_all, raw)
        peer.close()
        await connection.closed
        self.assertEqual(BROKEN, self.events(connection)[-1])
        self.assertGreater(connection.unsent, 5 * MB)

    def reader(self, sock: socket.socket) -> Any:
        try:
            data = sock.recv(1)
        except ConnectionResetError as error:
            failure = error

            def raise_it() -> None:
                raise failure

            return raise_it
        raise AssertionError(data)

    async def test_a_client_fails_when_the_handshake_does(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            made = make_network_process(
                name="c",
                endpoint=f"tls:localhost:{port}:endpoint=tcp\\:127.0.0.1\\:{port}",
            )
            listener.settimeout(PATIENCE)
            peer, _ = await in_thread(listener.accept)
            peer.sendall(b"this is no TLS\r\n" * 10)
            error = await self.failure_of(made, ProcessError)
            peer.close()
        self.assertIn("connection broken", str(error))

    async def test_a_client_gives_up_a_handshake_that_stalls(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            description = f"tls:localhost:{port}:endpoint=tcp\\:127.0.0.1\\:{port}"
            made = make_network_process(name="c", endpoint=description, handshake_timeout=0.1)
            error = await self.failure_of(made, ProcessError)
            self.assertEqual(errno.ETIMEDOUT, error.errno)
            process = await self.make(name="c", endpoint=description, nowait=True)
            (await in_thread(accept, listener)).close()
            process.delete()
            await process.closed
            self.assertEqual(["deleted\n"], self.events(process))


class Transport:
    """A transport that can only write and close."""

    disconnecting = False

    def __init__(self, protocol: Any) -> None:
        self.protocol = protocol
        self.written = b""
        protocol.makeConnection(self)

    def write(self, data: bytes) -> None:
        self.written += data

    def writeSequence(self, data: Any) -> None:
        self.written += b"".join(data)

    def loseConnection(self) -> None:
        self.protocol.connectionLost(Failure(ConnectionDone()))

    def getHost(self) -> object:
        return object()

    def getPeer(self) -> object:
        return object()


@implementer(IStreamClientEndpoint)
class PoorEndpoint:
    """An endpoint that connects at once, without a peer."""

    transport: Transport

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        protocol = protocolFactory.buildProtocol(None)
        self.transport = Transport(protocol)
        return succeed(protocol)


@implementer(IStreamServerEndpoint)
class PoorServerEndpoint:
    class Port:
        def getHost(self) -> object:
            return object()

        def startListening(self) -> None:
            pass

        def stopListening(self) -> Deferred[None]:
            return fail(RuntimeError("cannot stop"))

    def listen(self, protocolFactory: Any) -> Deferred[Any]:
        self.factory = protocolFactory
        return succeed(self.Port())


class PoorTransportTests(NetprocTestCase):
    async def test_what_it_cannot_do_is_an_error(self) -> None:
        endpoint = PoorEndpoint()
        process = await self.make(name="p", endpoint=endpoint, coding="binary")
        self.assertEqual("<NetworkProcess 'p' open - ->", repr(process))
        for call, what in (
            (process.stop, "stop reading"),
            (process.send_eof, "shut one side only"),
            (lambda: process.set_option("keepalive", True), "set the option keepalive"),
        ):
            error = self.assertRaises(ProcessError, call)
            self.assertEqual(errno.EOPNOTSUPP, error.errno)
            self.assertIn(what, str(error))
        self.assertEqual("open", process.status)
        process.send(b"x" * 200_000)
        self.assertEqual(200_000, len(endpoint.transport.written))
        process.delete()
        await process.closed

    async def test_what_it_goes_on_to_read_waits(self) -> None:
        """A full buffer cannot pause this transport, but no data is lost."""
        endpoint = PoorEndpoint()
        process = await self.make(name="p", endpoint=endpoint, buffer="b", coding="utf-8")
        assert process.buffer is not None
        process.buffer.limit = 5
        self.assertRaises(ProcessError, process.stop)
        for data in (b"abc", b"def", b"ghi"):
            endpoint.transport.protocol.dataReceived(data)
        self.assertEqual("abcde", process.buffer.text)
        process.buffer.limit = 100
        self.assertEqual("abcdefghi", process.buffer.text)

    async def test_a_loss_without_half_closes(self) -> None:
        endpoint = PoorEndpoint()
        process = await self.make(name="p", endpoint=endpoint)
        endpoint.transport.loseConnection()
        await process.closed
        self.assertEqual(([BROKEN], None), (self.events(process), process.reason))

    async def test_aborting(self) -> None:
        process = await self.make(name="p", endpoint=PoorEndpoint())
        process.set_option("linger", 0)
        process.delete()
        await process.closed

    async def test_a_port_that_cannot_be_stopped(self) -> None:
        endpoint = PoorServerEndpoint()
        table: ProcessTable[NetworkProcess] = ProcessTable()
        server = await self.make(name="s", server=True, endpoint=endpoint, filter=echo, table=table)
        self.assertEqual((None, None), server.contact())
        error = self.assertRaises(ProcessError, server.stop)
        self.assertIn("stop accepting", str(error))
        self.assertRaises(ProcessError, server.set_option, "keepalive", True)
        protocol = endpoint.factory.buildProtocol(None)
        Transport(protocol)
        connection = next(p for p in self.ledger.events if p is not server)
        self.assertEqual(("s <1>", ["open from -\n"]), (connection.name, self.events(connection)))
        connection.delete()
        server.delete()
        self.assertEqual(1, len(self.flushLoggedErrors(RuntimeError)))


class EndpointArgumentTests(NetprocTestCase):
    async def test_descriptions_that_cannot_be(self) -> None:
        for server, description in (
            (False, "nosuch:80"),
            (False, "tcp:host"),
            (False, "tcp:host:80\\"),
            (True, "tcp:80a"),
            (True, "tcp:80:bogus=1"),
            (True, ""),
        ):
            made = make_network_process(name="p", server=server, endpoint=description)
            error = await self.failure_of(made, ProcessArgumentError)
            self.assertEqual("endpoint", error.keyword)
            self.assertEqual(1, len(str(error).splitlines()))

    async def test_endpoints_of_the_wrong_kind(self) -> None:
        for server, endpoint in ((True, PoorEndpoint()), (False, PoorServerEndpoint())):
            made = make_network_process(name="p", server=server, endpoint=endpoint)
            error = await self.failure_of(made, ProcessArgumentError)
            self.assertEqual("endpoint", error.keyword)

    async def test_a_port_that_is_taken(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            description = f"tcp:{port}:interface=127.0.0.1"
            made = make_network_process(name="p", server=True, endpoint=description)
            error = await self.failure_of(made, ProcessError)
            self.assertEqual(errno.EADDRINUSE, error.errno)
        # Twisted before 26.10 leaves the socket to the garbage collector.
        del made, error
        gc.collect()

    async def test_a_connect_that_is_refused(self) -> None:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            port = sock.getsockname()[1]
            made = make_network_process(name="p", endpoint=f"tcp:127.0.0.1:{port}")
            error = await self.failure_of(made, ProcessError)
            self.assertEqual(errno.ECONNREFUSED, error.errno)

    async def test_a_connect_that_takes_too_long(self) -> None:
        @implementer(IStreamClientEndpoint)
        class Never:
            def connect(self, protocolFactory: object) -> Deferred[Any]:
                return Deferred()

        made = make_network_process(name="p", endpoint=Never(), connect_timeout=0.05)
        error = await self.failure_of(made, ProcessError)
        self.assertEqual(errno.ETIMEDOUT, error.errno)

    def test_errors_of_twisted_and_others(self) -> None:
        refused = ConnectionRefusedError()
        refused.osError = OSError(errno.ECONNREFUSED, "x")
        for error, expected in (
            (TimeoutError(), "do it: Connection timed out"),
            (refused, "do it: Connection refused"),
            (CannotListenError("", 1, OSError(errno.EACCES, "")), "do it: Permission denied"),
            (DNSLookupError("no such host"), "do it: DNS lookup failed: no such host."),
            (RuntimeError("no onion"), "do it: no onion"),
        ):
            self.assertEqual(expected, str(network_error(error, "do it")))
