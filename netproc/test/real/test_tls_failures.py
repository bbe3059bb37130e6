"""Failures of TLS: stalls, alerts, clear text, cut-off input; and cases that must not fail."""

from __future__ import annotations

import errno
import gc
import socket
import ssl
from collections.abc import Callable
from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.logger import LogEvent, globalLogPublisher

from netproc import Limits, NetworkProcess, ProcessArgumentError, ProcessError, make_network_process
from netproc.core.throttle import MOST_COMPLAINTS
from netproc.net.tls.channel import TLSChannel
from netproc.test.support import tlsstandin
from netproc.test.support.base import PATIENCE, reactor
from netproc.test.support.certificates import told
from netproc.test.support.fixtures import BROKEN, TIMES, Recorder, echo
from netproc.test.support.peers import accept, in_thread, read_all, read_exactly
from netproc.test.support.tlsfixture import TlsFixture
from netproc.test.support.tlsstandin import AUTHORITY, Parameters


def refusing(connection: SSL.Connection) -> ProcessError:
    """A check that refuses the peer."""
    return ProcessError(None, "TLS: this is somebody else")


class Fixture(TlsFixture):
    """A test case whose peers use Python's ssl, or are plain sockets."""

    async def setUp(self) -> None:
        await super().setUp()
        self.log: list[str] = []
        globalLogPublisher.addObserver(self.note)
        self.addCleanup(globalLogPublisher.removeObserver, self.note)

    def note(self, event: LogEvent) -> None:
        if "reason" in event:
            self.log.append(str(event["reason"]))

    def connect(self, server: NetworkProcess) -> socket.socket:
        peer = socket.create_connection(("127.0.0.1", server.contact("service")), PATIENCE)
        self.addCleanup(peer.close)
        return peer

    async def connect_tls(self, server: NetworkProcess) -> ssl.SSLSocket:
        wrap = AUTHORITY.raw_client.wrap_socket
        peer = await in_thread(lambda: wrap(self.connect(server), server_hostname="localhost"))
        self.addCleanup(peer.close)
        return peer

    def making(self, **keywords: Any) -> tuple[Deferred[NetworkProcess], Deferred[socket.socket]]:
        """Return the Deferred of a client, and the Deferred of its peer's plain socket."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        peer = in_thread(accept, listener)
        port = listener.getsockname()[1]
        keywords = {"name": "c", "tls_parameters": AUTHORITY.client, "coding": "binary", **keywords}
        return make_network_process(service=port, **keywords), peer

    def raw_server_side(self, peer: socket.socket) -> Deferred[ssl.SSLSocket]:
        return in_thread(lambda: AUTHORITY.raw_server.wrap_socket(peer, server_side=True))


class LastWordTests(Fixture):
    """The close_notify, if the kernel has no room for it at first."""

    async def setUp(self) -> None:
        await super().setUp()
        say = SSL.Connection.shutdown
        refused: set[SSL.Connection] = set()

        def shutdown(connection: SSL.Connection) -> bool:
            if connection not in refused:
                refused.add(connection)
                raise SSL.WantWriteError
            return say(connection)

        self.patch(SSL.Connection, "shutdown", shutdown)
        self.refused = refused
        self.asked: list[NetworkProcess] = []

    async def ask(self, answer: Callable[[NetworkProcess], None]) -> ssl.SSLSocket:
        """Return a peer that has sent a request to a server with ANSWER, and that requires a close_notify."""
        server = await self.make(
            name="s",
            server=True,
            service=True,
            coding="binary",
            filter=lambda process, data: answer(process),
            tls_parameters=AUTHORITY.server,
        )
        peer = await self.connect_tls(server)
        peer.suppress_ragged_eofs = False
        await in_thread(peer.sendall, b"question")
        return peer

    async def test_deleted(self) -> None:
        def answer(process: NetworkProcess) -> None:
            process.send(b"answer")
            process.delete()

        peer = await self.ask(answer)
        self.assertEqual(b"answer", await in_thread(read_all, peer))
        self.assertEqual(1, len(self.refused))

    async def test_half_closed(self) -> None:
        def answer(process: NetworkProcess) -> None:
            self.asked.append(process)
            process.send(b"answer")
            process.send_eof()

        peer = await self.ask(answer)
        self.assertEqual(b"answer", await in_thread(read_all, peer))
        self.assertEqual(1, len(self.refused))
        peer.close()
        await self.until(lambda: not any(process.live for process in self.asked))

    async def test_behind_the_goodbye_of_the_peer(self) -> None:
        peer = await self.ask(lambda process: process.send(b"answer"))
        self.assertEqual(b"answer", await in_thread(read_exactly, peer, 6))
        # This fails if netproc's close_notify does not come.
        await in_thread(peer.unwrap)
        self.assertEqual(1, len(self.refused))


class HandshakeTests(Fixture):
    async def test_open_is_told_after_the_handshake(self) -> None:
        made, accepting = self.making(nowait=True)
        process = await made
        self.addCleanup(process.delete)
        peer = await accepting
        await self.nothing_happens(("connect", []), lambda: (process.status, self.events(process)))
        tls = await self.raw_server_side(peer)
        await self.until(lambda: self.events(process))
        self.assertEqual(("open", ["open\n"]), (process.status, self.events(process)))
        tls.close()
        await process.closed

    async def test_a_client_gives_a_handshake_up_that_stalls(self) -> None:
        made, accepting = self.making(handshake_timeout=0.2)
        error = await self.failure_of(made, ProcessError)
        self.assertEqual(
            (errno.ETIMEDOUT, "TLS handshake failed: timed out"), (error.errno, str(error))
        )
        (await accepting).close()

    async def test_a_nowait_client_that_fails(self) -> None:
        made, accepting = self.making(nowait=True, handshake_timeout=0.2)
        process = await made
        await process.closed
        self.assertEqual(["failed with code 110\n"], self.events(process))
        (await accepting).close()
        made, accepting = self.making(nowait=True)
        process = await made
        process.send(b"secret")
        peer = await accepting
        peer.sendall(b"220 this is no TLS\r\n")
        sent = await in_thread(read_all, peer)
        peer.close()
        await process.closed
        self.assertEqual(
            ["failed: TLS handshake failed: wrong version number\n"], self.events(process)
        )
        self.assertNotIn(b"secret", sent)
        self.assertRaises(ProcessError, process.send, b"more")

    async def test_50_handshakes_that_stall_at_a_server(self) -> None:
        server = await self.server(filter=echo, handshake_timeout=20, server=128)
        silent = [self.connect(server) for _ in range(50)]
        peer = await self.connect_tls(server)
        await in_thread(peer.sendall, b"served meanwhile")
        self.assertEqual(16, len(await in_thread(read_exactly, peer, 16)))
        self.advance(20)
        for sock in silent:
            self.assertEqual("ConnectionResetError", await in_thread(self.read_to_the_end, sock))
        # A peer may see the end before it is logged.
        await self.until(lambda: len(self.log) >= MOST_COMPLAINTS)
        self.assertEqual({"TLS handshake failed: timed out"}, set(self.log))
        peer.close()
        await self.all_closed(server)

    async def test_a_peer_in_clear_text_ends_only_itself(self) -> None:
        recorder = Recorder()
        server = await self.server(filter=recorder)
        peer = self.connect(server)
        peer.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = await in_thread(read_all, peer)
        self.assertNotIn(b"HTTP", answer)
        peer.close()
        await self.until(lambda: self.log)
        self.assertEqual(["TLS handshake failed: http request"], self.log)
        self.assertEqual(([server], []), (list(self.ledger.events), recorder.pieces))
        (await self.connect_tls(server)).close()
        await (await self.connection(server)).closed

    async def test_a_peer_that_closes(self) -> None:
        server = await self.server()
        self.connect(server).close()
        await self.until(lambda: self.log)
        self.assertEqual(["TLS handshake failed: the peer closed the connection"], self.log)

    async def test_a_certificate_of_another_authority(self) -> None:
        server = await self.server()
        place = {**self.client_place(server), "tls_parameters": AUTHORITY.distrustful}
        error = await self.failure_of(make_network_process(name="c", **place), ProcessError)
        self.assertEqual("TLS handshake failed: certificate verify failed", str(error))
        await self.until(lambda: self.log)
        self.assertIn("alert unknown ca", self.log[0])

    async def test_a_peer_that_is_refused_hears_nothing(self) -> None:
        """The check after the handshake refuses it, in a client and in a server."""
        parameters = Parameters(AUTHORITY.client.context, "localhost", refusing)
        made, accepting = self.making(tls_parameters=parameters)
        tls = await self.raw_server_side(await accepting)
        self.assertEqual(b"", await in_thread(read_all, tls))
        tls.close()
        error = await self.failure_of(made, ProcessError)
        self.assertEqual("TLS: this is somebody else", str(error))

        parameters = Parameters(AUTHORITY.server.context, check=refusing)
        server = await self.make(name="s", server=True, service=True, tls_parameters=parameters)
        peer = await self.connect_tls(server)
        self.assertEqual(b"", await in_thread(read_all, peer))
        peer.close()
        await self.until(lambda: self.log)
        self.assertEqual(["TLS: this is somebody else"], self.log)
        self.assertEqual([], self.connections(server))

    async def test_stop_during_the_handshake(self) -> None:
        recorder = Recorder()
        made, accepting = self.making(nowait=True, filter=recorder)
        process = await made
        self.addCleanup(process.delete)
        process.stop()
        tls = await self.raw_server_side(await accepting)
        data = bytes(range(256)) * 400
        await in_thread(tls.sendall, data)
        await self.until(lambda: self.events(process))
        await self.nothing_happens(("stop", []), lambda: (process.status, recorder.pieces))
        process.resume()
        await self.until(lambda: recorder.data == data)
        tls.close()
        await process.closed

    async def test_giving_up_during_the_handshake(self) -> None:
        made, accepting = self.making(nowait=True)
        process = await made
        peer = await accepting
        await in_thread(peer.recv, 10)
        process.delete()
        await process.closed
        self.assertEqual(["deleted\n"], self.events(process))
        self.assertEqual("ConnectionResetError", await in_thread(self.read_to_the_end, peer))
        peer.close()
        server = await self.server()
        readers = len(reactor.getReaders())
        peer = self.connect(server)
        await self.until(lambda: len(reactor.getReaders()) > readers)
        server.delete()
        self.assertEqual("ConnectionResetError", await in_thread(self.read_to_the_end, peer))

    def read_to_the_end(self, sock: socket.socket) -> str:
        """Return how SOCK ended."""
        try:
            return f"in order, {read_all(sock)!r}"
        except OSError as error:
            return type(error).__name__


class EndTests(Fixture):
    async def test_a_close_without_a_word_is_told(self) -> None:
        recorder = Recorder()
        server = await self.server(filter=recorder)
        for truncated in (True, False):
            peer = await self.connect_tls(server)
            await in_thread(peer.sendall, b"x")
            process = self.connections(server)[-1]
            await self.until(lambda: recorder.pieces)
            recorder.pieces.clear()
            if truncated:
                socket.socket.shutdown(peer, socket.SHUT_WR)
            else:
                await in_thread(peer.unwrap)
            peer.close()
            await process.closed
            self.assertIs(truncated, process.truncated)
            self.assertIs(truncated, process.contact("tls_truncated"))
            self.assertEqual((BROKEN, None), (self.events(process)[-1], process.reason))

    async def test_replies_behind_a_bare_end_every_time(self) -> None:
        server = await self.server(filter=echo)
        whole = 0
        for _ in range(TIMES):
            peer = await self.connect_tls(server)
            await in_thread(peer.sendall, b"request")
            socket.socket.shutdown(peer, socket.SHUT_WR)
            whole += await in_thread(read_all, peer) == b"request"
            peer.close()
        self.assertEqual(TIMES, whole)
        await self.all_closed(server)

    async def test_a_silent_peer_does_not_keep_what_is_deleted(self) -> None:
        for stopped in (False, True):
            made, accepting = self.making(stop=stopped)
            tls = await self.raw_server_side(await accepting)
            process = await made
            await in_thread(tls.sendall, b"unread" * 10_000)
            process.limits = Limits(linger_timeout=0.1)
            process.send(b"bye")
            process.delete()
            await process.closed
            self.assertEqual((0, None), (process.unsent, process.reason))
            # All data, and then a close_notify.
            self.assertEqual(b"bye", await in_thread(read_all, tls))
            tls.close()

    async def test_late_alerts_are_the_reason(self) -> None:
        """In TLS 1.3 the client's handshake is done before the server has seen its certificate."""
        made, accepting = self.making()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        AUTHORITY.certificate.configure_cert(context)
        context.verify_mode = ssl.CERT_REQUIRED
        peer = await accepting
        shaking = in_thread(lambda: context.wrap_socket(peer, server_side=True))
        process = await made
        await self.failure_of(shaking, ssl.SSLError)
        await process.closed
        self.assertEqual([*self.opened, BROKEN], self.events(process))
        self.assertIn(
            "TLS connection broken: tlsv13 alert certificate required", str(process.reason)
        )

    async def test_clear_text_behind_the_handshake(self) -> None:
        recorder = Recorder()
        made, accepting = self.making(filter=recorder)
        tls = await self.raw_server_side(await accepting)
        process = await made
        peer = socket.socket(fileno=tls.detach())
        peer.sendall(b"DELETE everything\r\n")
        await self.until(
            lambda: process._lifecycle.reason or not process.live or process._output._lost
        )
        self.assertRaises(ProcessError, process.send, b"secret")
        peer.close()
        await process.closed
        problem = "TLS connection broken: (bad record type|wrong version number)"
        self.assertRegex(told(process.reason), problem)
        self.assertEqual(([], [*self.opened, BROKEN]), (recorder.pieces, self.events(process)))


class PlaceTests(Fixture):
    async def test_unix_sockets(self) -> None:
        path = self.mktemp()
        place: dict[str, Any] = {"family": "local", "service": path, "coding": "binary"}
        server = await self.make(
            name="s", server=True, tls_parameters=AUTHORITY.server, filter=echo, **place
        )
        await self.check_echo(server, tls_parameters=AUTHORITY.client, **place)

    async def test_foreign_endpoints(self) -> None:
        server = await self.make(
            name="s",
            server=True,
            endpoint=TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1"),
            tls_parameters=AUTHORITY.server,
            filter=echo,
            coding="binary",
        )
        port = server.contact("service")
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
        await self.check_echo(server, tls_parameters=AUTHORITY.client, endpoint=endpoint)

    async def check_echo(self, server: NetworkProcess, **keywords: Any) -> None:
        recorder = Recorder()
        client = await self.make(name="c", filter=recorder, **{"coding": "binary", **keywords})
        data = bytes(range(256)) * 4000
        client.send(data)
        client.send_eof()
        await client.closed
        self.assertTrue(recorder.data == data, len(recorder.data))
        self.assertEqual((False, 0, None), (client.truncated, client.unsent, client.reason))

    async def test_there_is_no_status_after_the_end(self) -> None:
        server = await self.make(
            name="s", server=True, service=True, tls_parameters=AUTHORITY.server, filter=echo
        )
        client = await self.make(
            name="c",
            host="localhost",
            service=server.contact("service"),
            tls_parameters=AUTHORITY.client,
        )
        self.assertIsNotNone(client.peer_status())
        client.delete()
        # The connection is still closing.
        self.assertIsNone(client.peer_status())

    async def test_a_name_is_needed(self) -> None:
        parameters = Parameters(AUTHORITY.client.context)
        for place in (
            {"family": "local", "service": "/x"},
            {"remote": "/x"},
            {"endpoint": "tcp:a:1"},
        ):
            made = make_network_process(name="c", tls_parameters=parameters, **place)  # type: ignore[arg-type]
            error = await self.failure_of(made, ProcessArgumentError)
            self.assertEqual("tls_parameters", error.keyword)

    async def test_contact_does_not_show_the_parameters(self) -> None:
        server = await self.server()
        self.assertNotIn("tls_parameters", server.contact(True))

    async def test_nothing_is_left_for_the_collector(self) -> None:
        def left() -> list[TLSChannel]:
            found = [found for found in gc.get_objects() if isinstance(found, TLSChannel)]
            return [channel for channel in found if id(channel) not in before]

        gc.collect()
        before: set[int] = set()
        # Tests that failed earlier keep their channels.
        before = set(map(id, left()))
        gc.disable()
        self.addCleanup(gc.enable)
        server = await self.server(filter=echo)
        await self.check_echo(server, **self.client_place(server))
        refused = {**self.client_place(server), "tls_parameters": AUTHORITY.distrustful}
        client = await make_network_process(name="c", nowait=True, **refused)
        await client.closed
        await self.until(lambda: self.log)
        server.delete()
        server = await self.server(handshake_timeout=0.1)
        self.connect(server)
        await self.until(lambda: len(self.log) == 2)
        await self.until(lambda: not left())
        self.assertEqual([], left())


class HandshakeInMemoryTests(HandshakeTests):
    security = staticmethod(tlsstandin.security_in_memory)


class EndInMemoryTests(EndTests):
    security = staticmethod(tlsstandin.security_in_memory)
