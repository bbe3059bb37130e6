"""The netproc reactor: behaviour that Twisted's own suite does not test (`reactor_suite.py` runs that suite)."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from twisted.internet.protocol import ClientFactory, Protocol, ServerFactory
from twisted.internet.ssl import CertificateOptions, PrivateCertificate
from twisted.internet.test.reactormixins import ReactorBuilder
from twisted.python import context, log
from twisted.trial.unittest import SynchronousTestCase

from netproc.core.address import SocketAddress
from netproc.net.endpoints import ServerEndpoint
from netproc.reactor.epoll import EPollReactor
from netproc.test.support.certificates import Authority

DEADLINE = 20
LOOPBACK = SocketAddress(socket.AF_INET, ("127.0.0.1", 0))

Answer = Callable[[Any, bytes], None]


class Answering(Protocol):
    """A server protocol that passes its input to the function `answer`."""

    answer: Answer

    def dataReceived(self, data: bytes) -> None:
        type(self).answer(self.transport, data)

    def logPrefix(self) -> str:
        return "The server"


class Asking(Protocol):
    """Sends a request, and stops the reactor when the expected answer has arrived or the connection is lost."""

    got = b""

    def __init__(self, reactor: Any, expected: bytes) -> None:
        self.reactor = reactor
        self.expected = expected

    def connectionMade(self) -> None:
        self.transport.write(b"question")  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        self.got += data
        if self.got == self.expected:
            self.reactor.stop()

    def connectionLost(self, reason: Any = None) -> None:
        if self.reactor.running:
            self.reactor.stop()


def four_pieces(transport: Any, data: bytes) -> None:
    for piece in (b"a", b"b", b"c", b"d"):
        transport.write(piece)


def divide(transport: Any, data: bytes) -> None:
    raise ZeroDivisionError


def server_options() -> CertificateOptions:
    pair = PrivateCertificate.loadPEM(b"".join(Authority("root").issue("localhost")))
    return pair.options()


class Descriptor:
    """A descriptor for the reactor to watch; it records its calls."""

    def __init__(self, sock: socket.socket, then: Callable[[], None] = lambda: None) -> None:
        self.sock = sock
        self.fileno = sock.fileno
        self.then = then
        self.told: list[str] = []

    def doRead(self) -> None:
        self.told.append("read")
        self.then()

    def connectionLost(self, reason: Any) -> None:
        self.told.append("lost")

    def logPrefix(self) -> str:
        return "a descriptor"


class ReactorTests(ReactorBuilder, SynchronousTestCase):  # type: ignore[misc]
    reactorFactory = EPollReactor  # noqa: N815

    def ask(self, reactor: Any, answer: Answer, expected: bytes, own: bool) -> bytes:
        """Return what a server that calls ANSWER sends, over our transport or over Twisted's."""
        factory = ServerFactory()
        factory.protocol = type("Server", (Answering,), {"answer": staticmethod(answer)})
        if own:
            endpoint = ServerEndpoint(reactor=reactor, addresses=[LOOPBACK])
            port = self.successResultOf(endpoint.listen(factory))
        else:
            port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        asking = Asking(reactor, expected)
        client = ClientFactory()
        client.buildProtocol = lambda address: asking  # type: ignore[method-assign]
        reactor.connectTCP("127.0.0.1", port.getHost().port, client)
        self.runReactor(reactor, DEADLINE)
        return asking.got

    def test_an_answer_is_sent_without_waiting_for_room(self) -> None:
        for own in (True, False):
            reactor = self.buildReactor()
            waited = []
            add_writer = reactor.addWriter

            def note(writer: Any, waited: list[Any] = waited, add: Any = add_writer) -> None:
                waited.append(writer)
                add(writer)

            reactor.addWriter = note
            self.assertEqual(b"abcd", self.ask(reactor, four_pieces, b"abcd", own))
            # Only the client waits, once, until it is connected.
            self.assertEqual(1, len(waited))

    def test_what_a_timer_writes_is_sent_when_it_ends(self) -> None:
        reactor = self.buildReactor()
        waited: list[Any] = []

        def later(transport: Any, data: bytes) -> None:
            reactor.callLater(0, four_pieces, transport, data)
            add_writer = reactor.addWriter
            reactor.addWriter = lambda writer: (waited.append(writer), add_writer(writer))

        self.assertEqual(b"abcd", self.ask(reactor, later, b"abcd", own=False))
        self.assertEqual([], waited)

    def test_a_callback_that_raises_loses_its_connection(self) -> None:
        for own in (True, False):
            lines: list[Any] = []
            log.addObserver(lines.append)
            try:
                self.assertEqual(b"", self.ask(self.buildReactor(), divide, b"never", own))
            finally:
                log.removeObserver(lines.append)
            self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))
            (system,) = [line["system"] for line in lines if line.get("isError")]
            self.assertIn("The server", system)

    def test_a_log_context_is_that_of_the_event(self) -> None:
        for own in (True, False):
            found: list[str] = []
            reactor = self.buildReactor()

            def answer(
                transport: Any, data: bytes, found: list[str] = found, reactor: Any = reactor
            ) -> None:
                found.append(context.get(log.ILogContext)["system"])
                reactor.callLater(0, later, transport, found)

            def later(transport: Any, found: list[str]) -> None:
                found.append(context.get(log.ILogContext)["system"])
                transport.write(b"done")

            self.assertEqual(b"done", self.ask(reactor, answer, b"done", own))
            self.assertIn("The server", found[0])
            self.assertEqual("-", found[1])

    def test_parts_of_tls_do_not_wait_for_each_other(self) -> None:
        # Under Nagle's algorithm they would wait.  The transports and the TLS are Twisted's.
        reactor, found = self.buildReactor(), {}

        def answer(transport: Any, data: bytes) -> None:
            found["server"] = transport.getTcpNoDelay()
            transport.write(b"done")

        class AskingOverTLS(Asking):
            def dataReceived(self, data: bytes) -> None:
                found["client"] = self.transport.getTcpNoDelay()  # type: ignore[union-attr]
                super().dataReceived(data)

        factory, client = ServerFactory(), ClientFactory()
        factory.protocol = type("Server", (Answering,), {"answer": staticmethod(answer)})
        asking = AskingOverTLS(reactor, b"done")
        client.buildProtocol = lambda address: asking  # type: ignore[method-assign]
        port = reactor.listenSSL(0, factory, server_options(), interface="127.0.0.1")
        reactor.connectSSL("127.0.0.1", port.getHost().port, client, CertificateOptions())
        self.runReactor(reactor, DEADLINE)
        self.assertEqual((b"done", {"server": True, "client": True}), (asking.got, found))

    def test_nor_after_starttls(self) -> None:
        found = []

        def answer(transport: Any, data: bytes) -> None:
            found.append(transport.getTcpNoDelay())
            transport.startTLS(server_options())
            found.append(transport.getTcpNoDelay())
            transport.abortConnection()

        self.ask(self.buildReactor(), answer, b"never", own=False)
        self.assertEqual([False, True], found)

    def test_a_descriptor_and_its_byte_in_the_next_turn(self) -> None:
        reactor = self.buildReactor()
        path = self.mktemp()[-60:].replace("/", "_")

        def answer(transport: Any, data: bytes) -> None:
            transport.sendFileDescriptor(0)
            reactor.callLater(0, transport.write, b"x")

        factory, client = ServerFactory(), ClientFactory()
        factory.protocol = type("Server", (Answering,), {"answer": staticmethod(answer)})
        asking = Asking(reactor, b"x")
        client.buildProtocol = lambda address: asking  # type: ignore[method-assign]
        reactor.listenUNIX(path, factory)
        reactor.connectUNIX(path, client)
        self.runReactor(reactor, DEADLINE)
        self.assertEqual(b"x", asking.got)

    def test_events_for_a_number_that_is_used_again(self) -> None:
        """The handler of the first event closes the second descriptor, and a new descriptor gets its number."""
        reactor = self.buildReactor()
        made: list[Descriptor] = []

        def use_second_number_again() -> None:
            reactor.removeReader(second)
            made.append(Descriptor(second.sock))
            reactor.addReader(made[0])

        first = Descriptor(*socket.socketpair()[:1], use_second_number_again)
        second = Descriptor(*socket.socketpair()[:1])
        for descriptor in (first, second):
            self.addCleanup(descriptor.sock.close)
            reactor.addReader(descriptor)
        self.addCleanup(reactor.removeAll)
        for event in (select.EPOLLIN, select.EPOLLHUP, select.EPOLLERR):
            batch = [(first.fileno(), select.EPOLLIN), (second.fileno(), event)]
            self.patch(reactor, "_wait", lambda timeout, batch=batch: batch)
            reactor.doPoll(0)
            second = made.pop()
            self.assertEqual([], second.told)

    def test_it_spins(self) -> None:
        reactor = self.buildReactor()
        reactor.spin = 0.001
        self.assertEqual(b"abcd", self.ask(reactor, four_pieces, b"abcd", own=True))

    def test_spinning_is_part_of_the_time_that_it_waits(self) -> None:
        reactor = self.buildReactor()
        reactor.spin = 0.01
        asked: list[float | None] = []

        class Poller:
            def poll(self, timeout: float | None, most: int) -> list[Any]:
                asked.append(timeout)
                return []

        poller, reactor._poller = reactor._poller, Poller()
        try:
            for timeout in (0.03, 0.002, None):
                reactor._wait(timeout)
                self.assertEqual({0}, set(asked[:-1]))
                left = asked.pop()
                self.assertEqual(None if timeout is None else max(0.0, timeout - 0.01), left)
                asked.clear()
        finally:
            reactor._poller = poller

    def test_its_time_is_the_wall_clock_that_nobody_sets(self) -> None:
        reactor = self.buildReactor()
        began, before, now = time.time(), reactor.seconds(), time.time()
        self.assertTrue(began - 5 < before < now + 5, (began, before, now))
        self.patch(time, "time", lambda: 0.0)
        self.assertGreaterEqual(reactor.seconds(), before)


def run(code: str, **environment: str) -> tuple[int, str]:
    """Run CODE as a program; return its exit status and output."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | environment,
    )
    return done.returncode, done.stdout + done.stderr


INSTALL = """
from twisted.application.reactors import installReactor
try:
    print(type(installReactor("netproc")), end="")
except Exception as error:
    print(error, end="")
"""


class InstallingTests(SynchronousTestCase):
    def test_its_name_is_netproc(self) -> None:
        self.assertEqual((0, "<class 'netproc.reactor.epoll.EPollReactor'>"), run(INSTALL))

    def test_finding_the_plugin_imports_nothing(self) -> None:
        code = """
import sys
from twisted.application.reactors import getReactorTypes
assert "netproc" in {found.shortName for found in getReactorTypes()}
print([name for name in sys.modules if name.startswith("netproc")])
"""
        self.assertEqual((0, "[]\n"), run(code))

    def test_a_system_without_epoll(self) -> None:
        expected = "the netproc reactor needs epoll, which this system does not have"
        self.assertEqual((0, expected), run("import select; del select.epoll\n" + INSTALL))

    def test_a_spin_that_is_no_number(self) -> None:
        for word in ("long", "-1", "nan", "2"):
            expected = f"NETPROC_SPIN: {word!r} is not a number of seconds from 0 to 1"
            self.assertEqual((0, expected), run(INSTALL, NETPROC_SPIN=word))
