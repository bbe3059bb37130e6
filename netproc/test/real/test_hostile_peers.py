"""Hostile servers: each ends the stream with one event, and receives no data in clear text."""

from __future__ import annotations

import errno
import ssl
from typing import Any

from twisted.internet.defer import Deferred

from netproc import NetworkProcess, ProcessError
from netproc.test.support.hostile import Peer, cuts, records
from netproc.test.support.hostilefixture import (
    ALERT,
    GO,
    SECRET,
    STARTTLS,
    HostileFixture,
    Script,
    server_context,
)
from netproc.test.support.openstream import AUTHORITY, CAPABILITIES, SECURE


async def until_starttls(peer: Peer) -> None:
    """Behave well up to the answer to STARTTLS."""
    await peer.say(b"* OK ready\r\n")
    await peer.line()
    await peer.say(CAPABILITIES)
    await peer.line()


async def until_handshake(peer: Peer) -> None:
    """Behave well up to the ClientHello."""
    await until_starttls(peer)
    await peer.say(GO)
    await peer.hello()


class InjectionTests(HostileFixture):
    """Clear text after the answer to STARTTLS does not become input from inside TLS."""

    async def test_behind_the_answer(self) -> None:
        for first, second in cuts(GO + SECURE):

            async def script(peer: Peer, first: bytes = first, second: bytes = second) -> None:
                await until_starttls(peer)
                await peer.say(first)
                await peer.say(second)

            await self.check(script, "TLS handshake failed: wrong version number")

    async def test_before_the_answer(self) -> None:
        """Data that arrives before netproc sends STARTTLS is never taken as its answer."""
        for first, second in cuts(CAPABILITIES + GO):
            if len(first) < len(CAPABILITIES):
                break

            async def script(peer: Peer, first: bytes = first, second: bytes = second) -> None:
                await peer.say(b"* OK ready\r\n")
                await peer.line()
                await peer.say(first)
                await peer.say(second)

            if len(first) > len(CAPABILITIES):
                await self.check(script, "the server spoke before STARTTLS was sent")

    async def test_records_behind_the_answer(self) -> None:
        """A whole flight of TLS, which an attacker has prepared without the ClientHello."""

        async def script(peer: Peer) -> None:
            await until_starttls(peer)
            await peer.say(GO + b"\x16\x03\x03\x00\x04\x0e\x00\x00\x00")

        await self.check(script, "TLS handshake failed: ")


class DialogueTests(HostileFixture):
    """Attacks before TLS."""

    async def test_a_capability_that_was_taken_out(self) -> None:
        async def script(peer: Peer) -> None:
            await peer.say(b"* OK [CAPABILITY STARTTLS] ready\r\n")
            await peer.line()
            await peer.say(b"* CAPABILITY IMAP4rev1 XSTARTTLS\r\nnp1 OK STARTTLS\r\n")

        await self.check(script, "Server does not support TLS")

    async def test_refusals(self) -> None:
        for answer in (b"np2 NO\r\n", b"np2 BAD no TLS now\r\n", b"* OK np2 OK\r\nnp2 NO\r\n"):

            async def script(peer: Peer, answer: bytes = answer) -> None:
                await until_starttls(peer)
                await peer.say(answer)

            await self.check(script, "the server refuses TLS: np2 ")

    async def test_endless_answers(self) -> None:
        async def endless(peer: Peer) -> None:
            while not peer.ended:
                await peer.say(b"* more and more of the same\r\n" * 100)
                peer.listen()

        async def greeting(peer: Peer) -> None:
            while not peer.ended:
                await peer.say(b"* and no end of the line" * 100)
                peer.listen()

        async def capabilities(peer: Peer) -> None:
            await peer.say(b"* OK ready\r\n")
            await peer.line()
            await endless(peer)

        async def answer(peer: Peer) -> None:
            await until_starttls(peer)
            await endless(peer)

        await self.check(greeting, "the server's greeting is longer than 65536 bytes")
        await self.check(capabilities, "the server's capabilities are longer than 65536 bytes")
        await self.check(answer, "the server's answer to STARTTLS is longer than 65536 bytes")

    async def test_byte_by_byte_and_never_done(self) -> None:
        """The deadline is for the whole dialogue, even if the server keeps sending."""

        async def drip(peer: Peer, data: bytes) -> None:
            for _ in range(50):
                await peer.say(data)
            self.assertFalse(peer.ended)
            self.advance(20)
            while not peer.ended:
                await peer.say(data)
                peer.listen()

        async def greeting(peer: Peer) -> None:
            await drip(peer, b"*")

        async def answer(peer: Peer) -> None:
            await until_starttls(peer)
            await drip(peer, b"n")

        async def handshake(peer: Peer) -> None:
            await until_handshake(peer)
            await peer.say(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc")
            await drip(peer, b"\x03")

        for script, what in (
            (greeting, "no greeting within 20 s"),
            (answer, "no answer to STARTTLS within 20 s"),
            (handshake, "no TLS handshake within 20 s"),
        ):
            process = await self.check(script, what, timeout=20)
            self.assertEqual(errno.ETIMEDOUT, process.exit_status)

    async def test_what_a_terminal_would_obey(self) -> None:
        """The greeting refuses and contains control characters; the log contains none."""

        async def script(peer: Peer) -> None:
            await peer.say(b"* BYE \x1b[2J\x00\x9b31m\x07 \xe2\x80\xae no\r\n")

        process = await self.check(script, "the server refuses: * BYE \\x1b[2J\\x00")
        self.assertTrue(str(process.reason).isprintable())

    async def test_another_protocol(self) -> None:
        for greeting in (
            b"220 smtp.example\r\n",
            b"HTTP/1.1 400 Bad Request\r\n",
            b"\x00" * 9 + b"\r\n",
        ):

            async def script(peer: Peer, greeting: bytes = greeting) -> None:
                await peer.say(greeting)

            process = await self.check(script, "the server's greeting is not imap: ")
            self.assertTrue(str(process.reason).isprintable())

    async def test_greetings_that_refuse(self) -> None:
        async def smtp(peer: Peer) -> None:
            await peer.say(b"554-no service\r\n554 go away\r\n")

        await self.check(smtp, "the server refuses: 554-no service", protocol="smtp")


class HandshakeTests(HostileFixture):
    """Attacks after the ClientHello."""

    async def test_garbage(self) -> None:
        for garbage, problem in (
            (b"* OK no TLS after all\r\n", "wrong version number"),
            (b"\x00" * 100, "wrong version number"),
            (b"\xff" * 100, "wrong version number"),
            # A record longer than TLS allows.
            (b"\x16\x03\x03\xff\xff" + b"\x02" * 70000, ""),
            # A handshake message longer than TLS allows.
            (b"\x16\x03\x03\x00\x04\x02\xff\xff\xff", ""),
            # Application data in clear text, and an invalid change of cipher.
            (b"\x17\x03\x03\x00\x04evil", ""),
            (b"\x14\x03\x03\x00\x02\x02\x02", ""),
            # A ServerHello that ends after its version.
            (b"\x16\x03\x03\x00\x06\x02\x00\x00\x02\x03\x03", ""),
        ):

            async def script(peer: Peer, garbage: bytes = garbage) -> None:
                await until_handshake(peer)
                await peer.say(garbage)

            await self.check(script, f"TLS handshake failed: {problem}")

    async def test_alerts(self) -> None:
        """An alert at each step; before TLS it breaks the protocol."""

        async def greeting(peer: Peer) -> None:
            await peer.say(ALERT + b"\n")

        async def capabilities(peer: Peer) -> None:
            await peer.say(b"* OK ready\r\n")
            await peer.line()
            await peer.say(ALERT + b"\n")

        async def answer(peer: Peer) -> None:
            await until_starttls(peer)
            await peer.say(ALERT + b"\n")

        async def handshake(peer: Peer) -> None:
            await until_handshake(peer)
            await peer.say(ALERT)

        for script, problem in (
            (greeting, "the server's greeting is not imap: "),
            (capabilities, "the server's capabilities are not imap: "),
            (answer, "the server's answer to STARTTLS is not imap: "),
            (handshake, "TLS handshake failed: "),
        ):
            await self.check(script, problem)

    async def test_the_end_at_each_step(self) -> None:
        """The server closes or resets at each step; the error names the step."""

        async def greeting(peer: Peer) -> None:
            await peer.say(b"* OK re")

        async def capabilities(peer: Peer) -> None:
            await peer.say(b"* OK ready\r\n")
            await peer.line()

        async def answer(peer: Peer) -> None:
            await until_starttls(peer)

        async def inside(peer: Peer) -> None:
            await until_starttls(peer)
            await peer.say(GO)
            await peer.start_tls(server_context())
            await peer.secure_line()

        for reach, problem in (
            (greeting, "connection closed before the greeting"),
            (capabilities, "connection closed before the capabilities"),
            (answer, "connection closed before the answer to STARTTLS"),
            (until_handshake, "TLS handshake failed: the peer closed the connection"),
            (inside, "connection closed before the capabilities"),
        ):

            async def close(peer: Peer, reach: Script = reach) -> None:
                await reach(peer)
                peer.shut()

            async def reset(peer: Peer, reach: Script = reach) -> None:
                await reach(peer)
                peer.reset()

            await self.check(close, problem)
            process = await self.check(reset, "")
            self.assertEqual(errno.ECONNRESET, process.exit_status)

    async def test_a_certificate_that_is_asked_for(self) -> None:
        """In TLS 1.3 the client's handshake is done before the server reports the missing certificate."""

        async def script(peer: Peer) -> None:
            await until_starttls(peer)
            await peer.say(GO)
            context = server_context(verify_mode=ssl.CERT_REQUIRED)
            AUTHORITY.configure_trust(context)
            try:
                await peer.start_tls(context)
            except ssl.SSLError:
                # Send the alert, which the engine has made.
                await peer.flush()

        await self.check(script, "certificate required")

    async def test_silence(self) -> None:
        """The server sends half a ServerHello, and then no more."""

        async def script(peer: Peer) -> None:
            await until_handshake(peer)
            await peer.say(b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03")
            self.advance(20)

        process = await self.check(script, "no TLS handshake within 20 s", timeout=20)
        self.assertEqual(errno.ETIMEDOUT, process.exit_status)

    async def test_a_handshake_that_goes_on_behind_the_deadline(self) -> None:
        """netproc has given up the handshake, and does not answer."""

        async def script(peer: Peer) -> None:
            await until_handshake(peer)
            self.advance(20)
            await peer.until_end()
            heard = peer.heard
            peer.rewind_to(STARTTLS)
            opening = Deferred.fromCoroutine(peer.start_tls(server_context()))
            await self.assertFailure(opening, ConnectionError)
            self.assertEqual(heard, peer.heard)

        process = await self.check(script, "no TLS handshake within 20 s", timeout=20)
        self.assertEqual(errno.ETIMEDOUT, process.exit_status)

    async def test_silence_of_a_server_that_begins_with_tls(self) -> None:
        process, peer = await self.opening(type="tls", timeout=20)
        await peer.hello()
        self.advance(20)
        await process.closed
        self.assertEqual([f"failed with code {errno.ETIMEDOUT}\n"], self.events(process))
        peer.listen()
        self.assertEqual([22], records(peer.heard))


class InsideTests(HostileFixture):
    """Attacks after a good handshake."""

    async def opened(self, **context: Any) -> tuple[NetworkProcess, Peer]:
        process, peer = await self.opening()
        await until_starttls(peer)
        await peer.say(GO)
        await peer.start_tls(server_context(**context))
        await peer.secure_line()
        await peer.secure_say(SECURE)
        await self.until(lambda: process.status == "open")
        self.assertEqual(SECRET, await peer.secure_read(len(SECRET)))
        return process, peer

    async def ended(self, process: NetworkProcess, peer: Peer) -> None:
        await peer.until_end()
        peer.close()
        await process.closed
        self.assertEqual(["open\n", "connection broken by remote peer\n"], self.events(process))
        self.assertIsNot(None, records(peer.heard.partition(STARTTLS)[2]))
        self.assertRaises(ProcessError, process.send, SECRET)

    async def test_the_end_without_a_goodbye(self) -> None:
        process, peer = await self.opened()
        peer.shut()
        await self.ended(process, peer)
        self.assertIs(True, process.truncated)

    async def test_clear_text(self) -> None:
        process, peer = await self.opened()
        await peer.say(b"* OK and now in clear text\r\n")
        await self.ended(process, peer)
        self.assertIn("TLS connection broken: ", str(process.reason))

    async def test_a_forged_record(self) -> None:
        process, peer = await self.opened()
        await peer.say(b"\x17\x03\x03\x00\x20" + b"x" * 32)
        await self.ended(process, peer)
        self.assertIn("TLS connection broken: ", str(process.reason))

    async def test_an_alert_in_clear_text(self) -> None:
        process, peer = await self.opened()
        await peer.say(ALERT)
        await self.ended(process, peer)
        self.assertIn("TLS connection broken", str(process.reason))
