"""start_tls and TLS servers with hostile peers, and framing filters that hold injected text."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from netproc import NetworkProcess, ProcessError
from netproc.filters.framing import length_prefixed, lines
from netproc.test.support.fixtures import BROKEN, Recorder
from netproc.test.support.hostile import Peer, cuts, records
from netproc.test.support.hostilefixture import (
    ALERT,
    SECRET,
    HostileFixture,
    server_context,
    serving,
)
from netproc.test.support.openstream import AUTHORITY
from netproc.test.support.peers import connect

GARBAGE = (
    b"220 no TLS after all\r\n",
    b"\x00" * 100,
    b"\x16\x03\x03\xff\xff" + b"\x02" * 70000,
    b"\x16\x03\x03\x00\x04\x02\xff\xff\xff",
    b"\x17\x03\x03\x00\x04evil",
    ALERT,
)


class ClientTests(HostileFixture):
    """A client with an open connection in clear text starts TLS."""

    async def started(self, **keywords: Any) -> tuple[NetworkProcess, Peer, Deferred[Any]]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            process = await self.make(
                name="c",
                host="localhost",
                family="ipv4",
                service=listener.getsockname()[1],
                coding="binary",
                **keywords,
            )
            accepted, _ = listener.accept()
        peer = Peer(self, accepted)
        self.addCleanup(peer.close)
        done = process.start_tls(self.trusting())
        process.send(SECRET)
        await peer.hello()
        return process, peer, done

    async def fails(self, process: NetworkProcess, peer: Peer, done: Deferred[Any]) -> ProcessError:
        """Check that the client fails, and that it has sent only TLS records."""
        await peer.until_end()
        peer.close()
        error = await self.failure_of(done, ProcessError)
        await process.closed
        self.assertEqual(("closed", [BROKEN]), (process.status, self.events(process)))
        self.assertIs(error, process.reason)
        self.assertIsNot(None, records(peer.heard), peer.heard)
        self.assertRaises(ProcessError, process.send, SECRET)
        self.assertEqual(len(SECRET), process.unsent)
        return error

    async def test_garbage(self) -> None:
        for garbage in GARBAGE:
            heard = Recorder()
            process, peer, done = await self.started(filter=heard)
            await peer.say(garbage)
            error = await self.fails(process, peer, done)
            self.assertIn("TLS handshake failed: ", str(error))
            self.assertEqual([], heard.pieces)

    async def test_the_end(self) -> None:
        process, peer, done = await self.started()
        peer.shut()
        error = await self.fails(process, peer, done)
        self.assertEqual("TLS handshake failed: the peer closed the connection", str(error))

    async def test_half_a_hello(self) -> None:
        process, peer, done = await self.started(handshake_timeout=0.2)
        await peer.say(b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03")
        error = await self.fails(process, peer, done)
        self.assertEqual(errno.ETIMEDOUT, error.errno)

    async def test_a_certificate_that_is_asked_for(self) -> None:
        """In TLS 1.3 the server reports the missing certificate after the handshake; this ends the connection."""
        process, peer, done = await self.started()
        context = server_context(verify_mode=ssl.CERT_REQUIRED)
        AUTHORITY.configure_trust(context)
        peer.rewind_to(b"")
        try:
            await peer.start_tls(context)
        except ssl.SSLError:
            await peer.flush()
        self.assertIs(process, await done)
        await peer.until_end()
        peer.close()
        await process.closed
        self.assertEqual([BROKEN], self.events(process))
        self.assertIn("certificate required", str(process.reason))
        self.assertIsNot(None, records(peer.heard))


class ServerTests(HostileFixture):
    """A TLS server: a connection becomes a process only after a good handshake."""

    async def test_what_is_no_hello(self) -> None:
        heard = Recorder()
        server = await self.make(
            name="s",
            server=True,
            service=True,
            coding="binary",
            filter=heard,
            tls_parameters=serving(),
            handshake_timeout=0.3,
        )
        half = b"\x16\x03\x01\x01\x00\x01\x00\x00\xfc\x03\x03"
        for garbage in (*GARBAGE, half, b"\x16"):
            peer = Peer(self, connect(socket.AF_INET, ("127.0.0.1", server.contact("service"))))
            self.addCleanup(peer.close)
            await peer.say(garbage)
            await peer.until_end()
            peer.close()
            # The peer receives an alert or no data.
            self.assertIn(records(peer.heard), ([], [21]), garbage)
        self.assertEqual(([server], []), (list(self.ledger.events), heard.pieces))

    async def test_a_hello_byte_by_byte(self) -> None:
        """The deadline is for the whole handshake, even if the client keeps sending."""
        server = await self.make(
            name="s", server=True, service=True, tls_parameters=serving(), handshake_timeout=0.3
        )
        peer = Peer(self, connect(socket.AF_INET, ("127.0.0.1", server.contact("service"))))
        self.addCleanup(peer.close)
        await peer.say(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        while not peer.ended:
            await peer.say(b"x")
            peer.listen()
        self.assertEqual([server], list(self.ledger.events))


class FramingTests(HostileFixture):
    """Data that a framing filter holds after STARTTLS goes to the TLS engine, which refuses it."""

    async def check(self, make: Callable[[Any], Any], ask: bytes, injected: bytes) -> None:
        for coding in ("binary", "utf-8"):
            if coding == "utf-8" and make is length_prefixed:
                continue
            for first, second in cuts(ask + injected):
                await self.check_one(make, coding, first, second)

    async def check_one(
        self, make: Callable[[Any], Any], coding: str, first: bytes, second: bytes
    ) -> None:
        heard: list[Any] = []
        failed: list[Any] = []

        def answer(process: NetworkProcess, message: Any) -> None:
            heard.append(message)
            if len(heard) == 1:
                process.send("go\n" if coding == "utf-8" else b"go\n")
                process.start_tls(serving()).addErrback(failed.append)

        server = await self.make(
            name="s", server=True, service=True, coding=coding, filter=make(answer)
        )
        peer = Peer(self, connect(socket.AF_INET, ("127.0.0.1", server.contact("service"))))
        self.addCleanup(peer.close)
        await peer.say(first)
        await peer.say(second)
        await peer.until_end()
        peer.close()
        process = next(p for p in self.ledger.events if p.accepted_by is server)
        await process.closed
        self.assertEqual(1, len(heard), (first, second))
        self.assertIn("TLS handshake failed: ", str(failed[0].value))
        clear, _, encrypted = peer.heard.partition(b"go\n")
        self.assertEqual((b"", True), (clear, records(encrypted) in ([], [21])))
        server.delete()

    async def test_lines(self) -> None:
        await self.check(lines, b"STARTTLS\n", b"DELETE all\nQUIT\n")

    async def test_length_prefixed(self) -> None:
        await self.check(length_prefixed, b"\x00\x00\x00\x01S", b"\x00\x00\x00\x03evil")
