"""Endpoint descriptions: Twisted protocols over processes."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.endpoints import clientFromString, serverFromString
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import INegotiated, ISSLTransport
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from twisted.web.client import Agent, readBody
from twisted.web.resource import Resource
from twisted.web.server import Site
from zope.interface.verify import verifyObject

from netproc import NegotiationError, NetworkProcess, ProcessArgumentError, ProcessError
from netproc.test.support.base import PATIENCE, reactor
from netproc.test.support.peers import accept, connect, in_thread, listen_backlog
from netproc.test.support.protocols import (
    AUTHORITY,
    LOCALHOST,
    OTHER,
    EndpointFixture,
    HalfCloseable,
    Kept,
    Noting,
)


class Lines(LineReceiver):
    """A client that sends lines, as the clients in twisted.mail do."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.lost: list[Failure] = []

    def lineReceived(self, line: bytes) -> None:
        self.lines.append(line)

    def connectionLost(self, reason: Failure = None) -> None:
        self.lost.append(reason)


class Page(Resource):
    isLeaf = True  # noqa: N815

    def render(self, request: Any) -> bytes:
        return b"hello " * 100_000


class StartTLSTests(EndpointFixture):
    async def imap(self, pair: tuple[bytes, bytes] = LOCALHOST) -> int:
        """Return the port of a server with STARTTLS."""
        parameters = {"keylist": ((self.file(pair[0]), self.file(pair[1])),), "alpn": ("imap",)}

        def greet(process: NetworkProcess, event: str) -> None:
            if event.startswith("open"):
                process.send(b"* OK ready\r\n")

        def answer(process: NetworkProcess, data: bytes) -> None:
            tag, command = data.split()[:2]
            if command == b"CAPABILITY":
                process.send(b"* CAPABILITY IMAP4rev1 STARTTLS\r\n")
            process.send(tag + b" OK done\r\n")
            if command == b"STARTTLS":
                tls = process.start_tls(parameters)
                tls.addErrback(lambda failure: failure.trap(ProcessError))

        server = await self.make(
            name="imap",
            server=True,
            service=True,
            coding="binary",
            filter=answer,
            sentinel=greet,
        )
        return server.contact("service")

    async def test_a_line_protocol_behind_the_negotiation(self) -> None:
        port = await self.imap()
        trust = self.file(AUTHORITY.pem)
        factory = Kept(Lines)
        protocol = await self.connect(
            f"starttls:host=localhost:port={port}:protocol=imap:tls-trust={trust}:tls-alpn=imap",
            factory,
        )
        transport = protocol.transport
        self.assertTrue(verifyObject(INegotiated, transport))
        self.assertEqual(b"imap", transport.negotiatedProtocol)
        subject = transport.getPeerCertificate().get_subject()
        self.assertEqual("leaf", subject.CN)
        self.assertEqual(("127.0.0.1", port), (transport.getPeer().host, transport.getPeer().port))
        protocol.sendLine(b"a1 NOOP")
        await self.until(lambda: protocol.lines == [b"a1 OK done"])
        self.assertEqual(1, factory.running)
        transport.loseConnection()
        await self.until(lambda: protocol.lost)
        protocol.lost[0].trap(ConnectionDone)
        self.assertEqual((0, None), (factory.running, transport.getPeerCertificate()))

    async def test_the_greeting_for_protocols_that_wait_for_it(self) -> None:
        port = await self.imap()
        trust = self.file(AUTHORITY.pem)
        protocol = await self.connect(
            f"starttls:localhost:{port}:protocol=imap:tls-trust={trust}:greeting=t", Kept(Lines)
        )
        await self.until(lambda: protocol.lines == [b"* OK ready"])

    async def check_failure(self, description: str, pattern: str, wait: float = 0) -> None:
        factory = Kept(Lines)
        connecting = clientFromString(reactor, description).connect(factory)
        if wait:
            await self.nothing_happens(False, lambda: connecting.called)
            self.advance(wait)
        error = await self.failure_of(connecting, ProcessError)
        self.assertRegex(str(error), pattern)
        self.assertEqual(([], 0), (factory.made, factory.running))

    async def test_a_certificate_for_another_name(self) -> None:
        port = await self.imap(OTHER)
        trust = self.file(AUTHORITY.pem)
        start = f"starttls:localhost:{port}:protocol=imap"
        await self.check_failure(f"{start}:tls-trust={trust}", "localhost")
        await self.connect(f"{start}:tls-trust={trust}:tls-hostname=other.example", Kept(Lines))

    async def test_an_authority_that_nobody_trusts(self) -> None:
        port = await self.imap()
        await self.check_failure(f"starttls:localhost:{port}:protocol=imap", "TLS")

    async def test_a_server_without_starttls(self) -> None:
        server = await self.make(
            name="s",
            server=True,
            service=True,
            filter=lambda process, data: process.send("np1 OK done\r\n"),
            sentinel=lambda process, event: (
                process.send("* OK ready\r\n") if event.startswith("open") else None
            ),
        )
        description = f"starttls:localhost:{server.contact('service')}:protocol=imap"
        connecting = clientFromString(reactor, description).connect(Kept(Lines))
        error = await self.failure_of(connecting, NegotiationError)
        self.assertIn("does not support TLS", str(error))

    async def test_the_name_of_the_client(self) -> None:
        said: list[str] = []

        def answer(process: NetworkProcess, text: str) -> None:
            said.append(text)
            process.send("550 not you\r\n")

        server = await self.make(
            name="s",
            server=True,
            service=True,
            filter=answer,
            sentinel=lambda process, event: process.live and process.send("220 h\r\n"),
        )
        description = f"starttls:localhost:{server.contact('service')}:protocol=smtp"
        await self.check_failure(f"{description}:client-name=me.example", "refuses: 550 not you")
        self.assertEqual(["EHLO me.example\r\n"], said)

    async def test_a_dialogue_that_takes_too_long(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            place = f"127.0.0.1:{silent.getsockname()[1]}"
            await self.check_failure(
                f"starttls:{place}:protocol=imap:connect-timeout=20",
                "no greeting within 20 s",
                wait=20,
            )

    async def test_cancelling(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            description = f"starttls:127.0.0.1:{silent.getsockname()[1]}:protocol=imap"
            factory = Kept(Lines)
            connecting = clientFromString(reactor, description).connect(factory)
            peer, _ = await in_thread(silent.accept)
            with peer:
                connecting.cancel()
                await self.failure_of(connecting, CancelledError)
                self.assertEqual(0, factory.running)
                peer.settimeout(PATIENCE)
                with self.assertRaises(ConnectionResetError):
                    await in_thread(peer.recv, 1)


class NetprocTests(EndpointFixture):
    async def fetch(self, port: int) -> bytes:
        response = await Agent(reactor).request(b"GET", b"http://127.0.0.1:%d/" % port)
        return await readBody(response)

    async def test_a_web_server(self) -> None:
        port = await self.listen("netproc:host=local:port=0:nodelay=t", Site(Page()))
        self.assertEqual(b"hello " * 100_000, await self.fetch(port.getHost().port))

    async def test_a_web_server_over_tls(self) -> None:
        key, certificate = (self.file(pem) for pem in LOCALHOST)
        port = await self.listen(f"netproc:0:tls-key={key}:tls-cert={certificate}", Site(Page()))
        protocol = await self.connect(
            f"netproc:host=localhost:port={port.getHost().port}:tls-trust={self.file(AUTHORITY.pem)}",
            Kept(Noting),
        )
        self.assertTrue(ISSLTransport.providedBy(protocol.transport))
        self.assertIs(None, protocol.transport.negotiatedProtocol)
        protocol.transport.write(b"GET / HTTP/1.0\r\n\r\n")
        await self.until(lambda: protocol.lost)
        protocol.lost[0].trap(ConnectionDone)
        self.assertTrue(protocol.received.endswith(b"\r\n\r\n" + b"hello " * 100_000))

    async def test_tls_that_is_cut_off(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file(LOCALHOST[1] + LOCALHOST[0]))
        with socket.create_server(("127.0.0.1", 0)) as listener:

            def cut() -> None:
                with context.wrap_socket(accept(listener), server_side=True) as tls:
                    tls.sendall(b"the first ha")

            cutting = in_thread(cut)
            place = f"localhost:{listener.getsockname()[1]}:tls-trust={self.file(AUTHORITY.pem)}"
            protocol = await self.connect(f"netproc:{place}", Kept(HalfCloseable))
            await cutting
        await self.until(lambda: protocol.lost)
        protocol.lost[0].trap(ConnectionLost)
        self.assertEqual((b"the first ha", []), (protocol.received, protocol.told))

    async def test_a_unix_socket(self) -> None:
        # Short enough for a socket, whatever the directory of the tests is.
        directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, directory)
        path = os.path.join(directory, "socket")
        factory = Kept(Noting)
        await self.listen(f"netproc:unix:{path}:mode=600", factory)
        client = await self.connect(f"netproc:family=local:service={path}", Kept(Noting))
        client.transport.setTcpNoDelay(True)
        client.transport.writeSequence([b"one ", b"two"])
        await self.until(lambda: factory.made and factory.made[0].received == b"one two")
        self.assertFalse(client.transport.getTcpNoDelay())

    async def test_the_process_is_listed_under_its_name(self) -> None:
        factory = Kept(Noting)
        port = await self.listen("netproc:0:name=web", factory)
        client = await self.connect(f"netproc:{port.getHost().port}:name=c", Kept(Noting))
        await self.until(lambda: factory.made)
        own = client.transport.getHost()
        names = sorted(process.name for process in self.ledger.events)
        self.assertEqual(["c", "web", f"web <127.0.0.1:{own.port}>"], names)
        client.transport.setTcpKeepAlive(True)
        self.assertTrue(client.transport.getTcpKeepAlive())

    async def test_a_port_that_waits_and_stops(self) -> None:
        factory = Kept(Noting)
        port = await self.listen("netproc:0", factory)
        place = ("127.0.0.1", port.getHost().port)
        port.pauseProducing()
        with connect(socket.AF_INET, place) as peer:
            await self.nothing_happens([], lambda: factory.made)
            port.resumeProducing()
            await self.until(lambda: factory.made)
            self.assertEqual(1, factory.running)
            await port.stopListening()
            self.assertEqual(0, factory.running)
            self.assertRaises(ConnectionRefusedError, connect, socket.AF_INET, place)
            peer.sendall(b"still there")
            await self.until(lambda: factory.made[0].received == b"still there")
            peer.shutdown(socket.SHUT_WR)
            await self.until(lambda: factory.made[0].lost)

    async def test_nobody_listens(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            number = taken.getsockname()[1]
            listening = serverFromString(reactor, f"netproc:{number}").listen(Kept(Noting))
            await self.failure_of(listening, ProcessError)
        factory = Kept(Noting)
        connecting = clientFromString(reactor, f"netproc:{number}").connect(factory)
        error = await self.failure_of(connecting, ProcessError)
        self.assertIn("refused", str(error))
        self.assertEqual(0, factory.running)

    async def test_a_factory_that_wants_no_protocol(self) -> None:
        port = await self.listen("netproc:0", Kept(lambda: None))
        number = port.getHost().port
        with connect(socket.AF_INET, ("127.0.0.1", number)) as peer:
            self.assertEqual(b"", await in_thread(peer.recv, 1))
        client = clientFromString(reactor, f"netproc:{number}")
        error = await self.failure_of(client.connect(Kept(lambda: None)), ProcessError)
        self.assertIn("returned no protocol", str(error))

    async def test_a_factory_that_fails(self) -> None:
        port = await self.listen("netproc:0", Kept(lambda: 1 / 0))
        with connect(socket.AF_INET, ("127.0.0.1", port.getHost().port)) as peer:
            self.assertEqual(b"", await in_thread(peer.recv, 1))
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))

    def test_wrong_descriptions(self) -> None:
        for description, complaint in (
            ("netproc:7:hos=x", "hos: this kind of endpoint has no such option"),
            ("netproc:7:filter=t", "filter: this kind of endpoint has no such option"),
            ("netproc:7:port=8", "port: this option is given twice"),
            ("netproc:a:7:8", "8: after host and service, write an option as NAME=VALUE"),
            ("netproc:host=a", "service: this keyword is required"),
            ("netproc:port=70000", "service: port 70000 is not in 0…65535"),
            ("netproc:7:connect-timeout=x", "connect-timeout: 'x' is not a number of seconds"),
            ("netproc:7:tls-key=/k", "tls-key, tls-cert: give both or neither"),
            ("starttls:h:7", "protocol: this option is required"),
            ("starttls:port=7:protocol=imap", "host: this option is required"),
            ("starttls:h:7:protocol=imap:nodelay=t", "nodelay: this kind of endpoint"),
            ("starttls:h:7:protocol=gopher", "protocol: 'gopher' is not one of smtp"),
        ):
            error = self.assertRaises(ProcessArgumentError, clientFromString, reactor, description)
            self.assertIn(complaint, str(error))
        for description, complaint in (
            ("netproc:7:remote=/x", "remote: this kind of endpoint has no such option"),
            ("netproc:7:server=nil", "server: 'nil' is neither t nor the length of the backlog"),
            ("netproc:7:server=yes", "server: 'yes' is neither t nor the length of the backlog"),
        ):
            error = self.assertRaises(ValueError, serverFromString, reactor, description)
            self.assertIn(complaint, str(error))

    async def test_the_backlog(self) -> None:
        """The backlog is the largest that the kernel allows, or the given one."""
        limit = int(Path("/proc/sys/net/core/somaxconn").read_text())
        for option, backlog in (("", limit), (":server=t", limit), (":server=3", 3)):
            port = await self.listen(f"netproc:0{option}", Kept(Noting))
            with socket.socket(fileno=os.dup(port._process._lifecycle.port.fileno())) as sock:
                self.assertEqual(backlog, listen_backlog(sock))
