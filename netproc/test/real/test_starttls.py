"""TLS in the middle of a conversation."""

from __future__ import annotations

import errno
import socket
import ssl
import sys
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.internet.defer import Deferred

from netproc import NetworkProcess, ProcessArgumentError, ProcessError, get_buffer_create
from netproc.net.tls import contexts
from netproc.test.support import tlsstandin
from netproc.test.support.base import PATIENCE, NetprocTestCase
from netproc.test.support.certificates import told
from netproc.test.support.fixtures import BROKEN, Recorder, echo
from netproc.test.support.peers import accept, in_thread, read_all, read_exactly
from netproc.test.support.tlsstandin import AUTHORITY

ASK = b"STARTTLS\r\n"
GO = b"go ahead\r\n"


def offer(process: NetworkProcess, data: bytes) -> None:
    """Return the filter of a server with STARTTLS; the request may come in pieces."""
    line = process.plist["line"] = process.plist.get("line", b"") + data  # type: ignore[operator]
    if line.startswith(ASK):
        process.send(GO)
        process.filter = echo
        tls = process.start_tls(AUTHORITY.server, line[len(ASK) :])
        tls.addErrback(lambda failure: failure.trap(ProcessError))


class StartTlsFixture(NetprocTestCase):
    security = staticmethod(tlsstandin.security)

    async def setUp(self) -> None:
        await super().setUp()
        self.patch(contexts, "security", self.security)

    async def server_and_peer(self, **keywords: Any) -> tuple[NetworkProcess, socket.socket]:
        """Return an accepted connection of a server with STARTTLS, and the peer's socket."""
        keywords = {"filter": offer, "coding": "binary", **keywords}
        server = await self.make(name="s", server=True, service=True, **keywords)
        peer = socket.create_connection(("127.0.0.1", server.contact("service")), PATIENCE)
        self.addCleanup(peer.close)
        await self.until(lambda: any(p.accepted_by is server for p in self.ledger.events))
        process = next(p for p in self.ledger.events if p.accepted_by is server)
        self.addCleanup(process.delete)
        return process, peer

    async def client_and_peer(self, **keywords: Any) -> tuple[NetworkProcess, socket.socket]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            accepting = in_thread(accept, listener)
            keywords = {"coding": "binary", "service": listener.getsockname()[1], **keywords}
            process = await self.make(name="c", **keywords)
            peer = await accepting
        self.addCleanup(peer.close)
        return process, peer

    def raw_server(self, peer: socket.socket) -> Deferred[ssl.SSLSocket]:
        def shake_hands() -> ssl.SSLSocket:
            return AUTHORITY.raw_server.wrap_socket(peer, server_side=True)

        return in_thread(shake_hands)

    def raw_client(self, peer: socket.socket) -> Deferred[ssl.SSLSocket]:
        def shake_hands() -> ssl.SSLSocket:
            return AUTHORITY.raw_client.wrap_socket(peer, server_hostname="localhost")

        return in_thread(shake_hands)


class StartTlsTests(StartTlsFixture):
    async def test_server(self) -> None:
        process, peer = await self.server_and_peer()
        self.assertIs(None, process.peer_status())
        peer.sendall(ASK)
        self.assertEqual(GO, await in_thread(read_exactly, peer, len(GO)))
        tls = await self.raw_client(peer)
        self.addCleanup(tls.close)
        await in_thread(tls.sendall, b"secret")
        self.assertEqual(b"secret", await in_thread(read_exactly, tls, 6))
        self.assertEqual({"protocol": "TLSv1.3"}, process.peer_status())
        await in_thread(tls.unwrap)
        await self.lingers(process)
        self.assertEqual((BROKEN, None), (self.events(process)[-1], process.reason))
        self.assertIs(False, process.truncated)

    async def test_where_tls_begins_in_the_buffer(self) -> None:
        buffer = get_buffer_create("b")
        self.addCleanup(buffer.kill)
        process, peer = await self.client_and_peer(buffer="b")
        self.assertIs(None, process.contact("tls_start"))
        peer.sendall(b"clear")
        await self.until(lambda: buffer.text == "clear")
        done = process.start_tls(AUTHORITY.client)
        tls = await self.raw_server(peer)
        self.addCleanup(tls.close)
        await done
        await in_thread(tls.sendall, b"secret")
        await self.until(lambda: buffer.text == "clearsecret")
        self.assertEqual(6, process.contact("tls_start"))

    async def test_client(self) -> None:
        recorder = Recorder()
        process, peer = await self.client_and_peer(filter=recorder)
        done = process.start_tls(AUTHORITY.client)
        process.send(b"early")
        self.assertGreaterEqual(process.pending, 5)
        drained = process.drain()
        tls = await self.raw_server(peer)
        self.addCleanup(tls.close)
        self.assertIs(process, await done)
        self.assertEqual(b"early", await in_thread(read_exactly, tls, 5))
        await drained
        await in_thread(tls.sendall, b"answer")
        await self.until(lambda: recorder.data == b"answer")
        again = await self.failure_of(process.start_tls(AUTHORITY.client), ProcessError)
        self.assertEqual((errno.EALREADY, "open"), (again.errno, process.status))

    async def test_after_send_eof(self) -> None:
        process, peer = await self.client_and_peer()
        process.send_eof()
        error = await self.failure_of(process.start_tls(AUTHORITY.client), ProcessError)
        self.assertEqual((errno.EPIPE, "open"), (error.errno, process.status))
        peer.close()
        await process.closed

    async def test_while_stopped(self) -> None:
        recorder = Recorder()
        process, peer = await self.client_and_peer(filter=recorder)
        process.stop()
        done = process.start_tls(AUTHORITY.client)
        tls = await self.raw_server(peer)
        self.addCleanup(tls.close)
        await done
        data = bytes(range(256)) * 400
        await in_thread(tls.sendall, data)
        await self.nothing_happens([], lambda: recorder.pieces)
        process.resume()
        await self.until(lambda: recorder.data == data)

    async def test_an_async_filter_waits_for_it(self) -> None:
        recorder = Recorder()

        async def negotiate(process: NetworkProcess, data: bytes) -> None:
            process.filter = recorder
            process.send(GO)
            await process.start_tls(AUTHORITY.server, data[len(ASK) :])
            process.send(b"welcome")

        _, peer = await self.server_and_peer(filter=negotiate)
        peer.sendall(ASK)
        await in_thread(read_exactly, peer, len(GO))
        tls = await self.raw_client(peer)
        self.addCleanup(tls.close)
        await in_thread(tls.sendall, b"hello")
        self.assertEqual(b"welcome", await in_thread(read_exactly, tls, 7))
        await self.until(lambda: recorder.data == b"hello")

    async def test_carry_over_of_the_decoder_is_not_text_of_tls(self) -> None:
        """An injected byte that begins a character breaks the handshake."""
        process, peer = await self.client_and_peer(coding="utf-8")
        peer.sendall(b"\xc3")
        await self.until(lambda: process.received)
        done = process.start_tls(AUTHORITY.client)
        server = self.raw_server(peer)
        await self.failure_of(done, ProcessError)
        await self.failure_of(server, ssl.SSLError)

    # -- failures -------------------------------------------------------------------------------

    async def check_failed(self, process: NetworkProcess, done: Deferred[Any]) -> ProcessError:
        await self.lingers(process)
        error = await self.failure_of(done, ProcessError)
        self.assertRaises(ProcessError, process.send, b"secret")
        self.assertEqual(BROKEN, self.events(process)[-1])
        self.assertIs(error, process.reason)
        return error

    async def test_an_answer_that_is_no_tls(self) -> None:
        recorder = Recorder()
        process, peer = await self.client_and_peer(filter=recorder)
        done = process.start_tls(AUTHORITY.client)
        process.send(b"secret")
        peer.sendall(b"what is this?\r\n" * 10)
        error = await self.check_failed(process, done)
        self.assertIn("TLS handshake failed: wrong version number", told(error))
        sent = await in_thread(read_all, peer)
        self.assertNotIn(b"secret", sent)
        self.assertEqual([], recorder.pieces)
        self.assertEqual(6, process.unsent)

    async def test_a_peer_that_closes(self) -> None:
        process, peer = await self.client_and_peer()
        done = process.start_tls(AUTHORITY.client)
        await in_thread(peer.recv, 1)
        peer.shutdown(socket.SHUT_WR)
        error = await self.check_failed(process, done)
        self.assertIn("the peer closed the connection", str(error))

    async def test_a_peer_that_is_silent(self) -> None:
        process, _ = await self.client_and_peer(handshake_timeout=0.1)
        error = await self.check_failed(process, process.start_tls(AUTHORITY.client))
        self.assertEqual(errno.ETIMEDOUT, error.errno)

    async def test_a_certificate_for_another_host(self) -> None:
        process, peer = await self.client_and_peer()
        parameters = tlsstandin.Parameters(AUTHORITY.client.context, "other.example")
        done = process.start_tls(parameters)
        tls = self.raw_server(peer)
        error = await self.check_failed(process, done)
        self.assertIn("the certificate is not for other.example", str(error))
        (await tls).close()

    async def test_parameters_that_cannot_work(self) -> None:
        recorder = Recorder()
        process, peer = await self.client_and_peer(host="127.0.0.1", filter=recorder)
        done = process.start_tls(AUTHORITY.client, "text")  # type: ignore[arg-type]
        await self.failure_of(done, ProcessArgumentError)
        self.assertRaises(ProcessError, process.send, b"secret")
        peer.sendall(b"injected")
        self.assertEqual(b"", await in_thread(read_all, peer))
        peer.close()
        await process.closed
        self.assertEqual("unread: str is not bytes", str(process.reason))
        self.assertEqual([], recorder.pieces)

    async def test_without_a_connection(self) -> None:
        process, peer = await self.client_and_peer()
        peer.close()
        await process.closed
        error = await self.failure_of(process.start_tls(AUTHORITY.client), ProcessError)
        self.assertEqual(errno.ENOTCONN, error.errno)

    async def test_deleting_and_cancelling_during_the_handshake(self) -> None:
        for end in ("delete", "cancel"):
            process, peer = await self.client_and_peer()
            done = process.start_tls(AUTHORITY.client)
            if end == "delete":
                process.delete()
                peer.close()
                await self.failure_of(done, ProcessError)
            else:
                done.addErrback(lambda failure: None)
                done.cancel()
                peer.close()
            await process.closed
            self.assertEqual(["deleted\n"], self.events(process)[-1:])

    async def test_what_was_sent_before_delete_waits_for_the_handshake(self) -> None:
        process, peer = await self.client_and_peer()
        done = process.start_tls(AUTHORITY.client)
        process.send(b"last")
        process.send_eof()
        process.delete()
        tls = await self.raw_server(peer)
        self.assertEqual(b"last", await in_thread(read_all, tls))
        await done
        tls.close()
        await process.closed
        self.assertEqual((0, None), (process.unsent, process.reason))


class InjectionTests(StartTlsFixture):
    """All input after the request belongs to TLS, wherever the chunks are cut."""

    async def converse(self, before: bytes, cut: int) -> bytes:
        """Return the server's answer to a client that sends BEFORE in two pieces, and then TLS records."""
        process, peer = await self.server_and_peer()
        engine = SSL.Connection(AUTHORITY.client.context, None)
        engine.set_connect_state()
        try:
            engine.do_handshake()
        except SSL.WantReadError:
            pass
        stream = before + engine.bio_read(1 << 16)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        peer.sendall(stream[:cut])
        await self.until(lambda: process.received == min(cut, len(stream)))
        peer.sendall(stream[cut:])
        answer = await in_thread(self.talk, engine, peer)
        process.delete()
        peer.close()
        await process.closed
        return answer

    def talk(self, engine: SSL.Connection, peer: socket.socket) -> bytes:
        self.assertEqual(GO, read_exactly(peer, len(GO)))
        answer = peer.recv(1 << 16)
        if not answer:
            return b"the end"
        engine.bio_write(answer)
        try:
            engine.do_handshake()
        except SSL.Error:
            # An alert.
            return b"the end"
        engine.send(b"hello")
        peer.sendall(engine.bio_read(1 << 16))
        while True:
            try:
                return engine.recv(100)
            except SSL.WantReadError:
                engine.bio_write(peer.recv(1 << 16))

    def cuts(self) -> list[int]:
        """The positions where the stream is cut: around the request, and at random."""
        found = {*range(1, len(ASK) + 6)}

        @given(st.integers(1, len(ASK) + 600))
        @settings(max_examples=20, deadline=None)
        def collect(cut: int) -> None:
            found.add(cut)

        collect()
        return sorted(found)

    async def test_a_hello_behind_the_request(self) -> None:
        for cut in self.cuts():
            self.assertEqual(b"hello", await self.converse(ASK, cut), cut)

    async def test_clear_text_behind_the_request(self) -> None:
        recorder = Recorder()
        self.patch(sys.modules[__name__], "echo", recorder)
        for cut in self.cuts():
            answer = await self.converse(ASK + b"DELETE everything\r\n", cut)
            self.assertEqual(b"the end", answer, cut)
        self.assertEqual([], recorder.pieces)


class StartTlsInMemoryTests(StartTlsTests):
    security = staticmethod(tlsstandin.security_in_memory)
