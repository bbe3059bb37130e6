"""Peers cannot fill the log, and each line about one has its address (P18)."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.endpoints import SSL4ServerEndpoint
from twisted.internet.ssl import PrivateCertificate
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import formatEvent, globalLogPublisher

from netproc import NetworkProcess, lines
from netproc.core import throttle
from netproc.core.throttle import MOST_COMPLAINTS
from netproc.filters import echo
from netproc.test.support.base import PATIENCE, reactor
from netproc.test.support.fixtures import TcpFixture
from netproc.test.support.hostilefixture import serving
from netproc.test.support.openstream import CERTIFICATE
from netproc.test.support.peers import in_thread, read_all

#: More complaints than are logged.
MANY = MOST_COMPLAINTS + 5


class LogFixture(TcpFixture):
    async def setUp(self) -> None:
        await super().setUp()
        # Longer than any of these tests.
        self.patch(throttle, "INTERVAL", 1000.0)
        self.log = EventLoggingObserver()
        globalLogPublisher.addObserver(self.log)
        self.addCleanup(globalLogPublisher.removeObserver, self.log)

    def logged(self, words: str) -> list[str]:
        shown = [formatEvent(event) for event in self.log]
        return [line for line in shown if line is not None and words in line]


class HandshakeTests(LogFixture):
    async def rejects(self, **keywords: Any) -> None:
        """Check that a server with KEYWORDS logs connections that do not use TLS."""
        server = await self.make(name="s\n", server=True, filter=echo, **keywords)
        ports = [await in_thread(self.speak_http, server.contact("local")[-1]) for _ in range(MANY)]
        await self.until(lambda: server._complaints._suppressed == MANY - MOST_COMPLAINTS)
        seen = self.logged("a connection failed")
        self.assertEqual(MOST_COMPLAINTS, len(seen))
        for line, port in zip(seen, ports, strict=False):
            self.assertIn(f"s\\n: a connection failed: 127.0.0.1:{port}: ", line)
        server.delete()
        await server.closed
        self.assertEqual(["s\\n: 5 more lines not logged"], self.logged("more lines"))

    def speak_http(self, port: int) -> int:
        """Return the port of the client, when the server has closed the connection."""
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as peer:
            peer.sendall(b"GET / HTTP/1.0\r\n\r\n")
            peer.shutdown(socket.SHUT_WR)
            own: int = peer.getsockname()[1]
            read_all(peer)
            return own

    async def test_tls_on_the_socket(self) -> None:
        await self.rejects(service=True, tls_parameters=serving())

    async def test_tls_of_a_foreign_endpoint(self) -> None:
        own = CERTIFICATE.private_key_and_cert_chain_pem.bytes()
        options = PrivateCertificate.loadPEM(own).options()
        await self.rejects(endpoint=SSL4ServerEndpoint(reactor, 0, options, interface="127.0.0.1"))


class FunctionTests(LogFixture):
    async def flood(self, server: NetworkProcess) -> None:
        """Let many clients send something, each over its own connection."""
        for number in range(MANY):
            with self.raw_client(server) as peer:
                peer.sendall(b"forged\n")
                await self.until(
                    lambda number=number: (
                        len(self.connections(server)) > number
                        and self.connections(server)[-1].received
                    )
                )

    async def test_functions_that_raise(self) -> None:
        def fail(*arguments: Any) -> None:
            raise ZeroDivisionError

        for keywords in ({"filter": fail}, {"filter": lines(fail)}, {"filter": echo, "log": fail}):
            server = await self.server(name=f"server {len(self.log)}", **keywords)
            await self.flood(server)
            await self.all_closed(server)
            self.assertEqual(MOST_COMPLAINTS, len(self.flushLoggedErrors(ZeroDivisionError)))
            server.delete()
            self.assertEqual(
                [f"{server.name}: 5 more lines not logged"], self.logged(server.name)[-1:]
            )

    async def test_processes_that_fail(self) -> None:
        server = await self.server(filter=lines(echo, max_length=3))
        await self.flood(server)
        await self.all_closed(server)
        self.assertEqual(MOST_COMPLAINTS, len(self.logged("a line is longer than 3")))
