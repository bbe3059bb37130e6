"""open_network_stream with servers that refuse TLS, EHLO or a stream, and with servers that need two requests."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from twisted.internet.defer import CancelledError, Deferred

from netproc import NegotiationError, SecurityError, SecurityManager
from netproc.core import negotiate
from netproc.core.errors import StartTLSError
from netproc.streams.security import Answer
from netproc.test.support.openstream import OpenStreamCase, Script, secure
from netproc.test.support.peers import line
from netproc.test.support.transcripts import AGREES, XMPP_ANSWER, XMPP_ERROR, XMPP_OFFER

REFUSED = "the server refuses TLS: 454 4.7.0 TLS not available"


def says(answers: Sequence[bytes], end: bytes = b"\n") -> Script:
    """Return a server that sends the first of ANSWERS at once, and each further one after END was received."""

    def script(sock: socket.socket, heard: list[bytes]) -> None:
        sock.sendall(answers[0])
        for answer in answers[1:]:
            heard.append(line(sock, end))
            sock.sendall(answer)
        heard.append(line(sock))

    return script


REFUSES = says([*AGREES["smtp"][:2], b"454 4.7.0 TLS not available\r\n"])
COMMANDS = [b"EHLO [127.0.0.1]\r\n", b"STARTTLS\r\n"]


class RefusedTLSTests(OpenStreamCase):
    """The server offers TLS, and then refuses it."""

    async def test_it_is_required(self) -> None:
        opening, served = self.open(REFUSES, protocol="smtp", type="starttls")
        self.assertEqual(REFUSED, str(await self.failure_of(opening, StartTLSError)))
        self.assertEqual([*COMMANDS, b""], await served)

    async def test_it_is_welcome(self) -> None:
        """The stream is in clear text, and its properties say why."""
        for kind in (None, "network"):
            (process, properties), served = await self.opened(
                REFUSES, protocol="smtp", type=kind, return_list=True
            )
            self.assertEqual(("plain", REFUSED), (properties.type, properties.error))
            self.assertEqual(REFUSED, str(process.last_error))
            process.send("QUIT\r\n")
            self.assertEqual([*COMMANDS, b"QUIT\r\n"], await served)

    async def test_it_is_welcome_without_a_list(self) -> None:
        for nowait in (False, True):
            process, served = await self.opened(REFUSES, protocol="smtp", nowait=nowait)
            await self.until(lambda p=process: p.status == "open")
            assert isinstance(process.last_error, StartTLSError)
            self.assertEqual((REFUSED, None), (str(process.last_error), process.reason))
            process.delete()
            await served

    async def test_nobody_has_refused(self) -> None:
        script = says([AGREES["smtp"][0], b"250 h\r\n"])
        (process, properties), served = await self.opened(script, protocol="smtp", return_list=True)
        self.assertEqual((None, None), (properties.error, process.last_error))
        process.delete()
        await served

    async def test_the_manager_is_asked(self) -> None:
        opening, served = self.open(REFUSES, protocol="smtp", warn_unless_encrypted=True)
        error = await self.failure_of(opening, SecurityError)
        self.assertEqual([*COMMANDS, b""], await served)
        self.assertIn("the server refuses TLS: 454", str(error.__cause__))
        opening, served = self.open(
            REFUSES, protocol="smtp", warn_unless_encrypted=True, return_list=True
        )
        process, properties = await opening
        self.assertIs(None, process)
        self.assertIn("is not encrypted (the server refuses TLS: 454", properties.error)
        await served

    async def test_a_cancel_while_the_manager_thinks(self) -> None:
        """The Deferred fails with CancelledError, not with the server's refusal."""
        asked: Deferred[None] = Deferred()

        def ask(*_: object) -> Deferred[Answer]:
            asked.callback(None)
            return Deferred()

        opening, served = self.open(
            REFUSES,
            protocol="smtp",
            return_list=True,
            warn_unless_encrypted=True,
            security_manager=SecurityManager(ask=ask),
        )
        await asked
        await self.turn()
        opening.cancel()
        self.failureResultOf(opening, CancelledError)
        await served


class RefusedClientTests(OpenStreamCase):
    """Servers that refuse the client."""

    async def test_its_name(self) -> None:
        script = says([AGREES["smtp"][0], b"550 Invalid HELO name\r\n"])
        for kind in (None, "starttls"):
            opening, served = self.open(script, protocol="smtp", type=kind)
            error = await self.failure_of(opening, NegotiationError)
            self.assertEqual("the server refuses: 550 Invalid HELO name", str(error))
            self.assertEqual([b"EHLO [127.0.0.1]\r\n", b""], await served)

    async def test_another_name(self) -> None:
        script = says([AGREES["lmtp"][0], b"250 h\r\n"])
        process, served = await self.opened(script, protocol="lmtp", client_name="me.example")
        process.delete()
        self.assertEqual([b"LHLO me.example\r\n", b""], await served)

    async def test_a_domain(self) -> None:
        script = says([b"", XMPP_ANSWER + XMPP_ERROR], b"streams'>")
        opening, served = self.open(script, protocol="xmpp", type="starttls")
        error = await self.failure_of(opening, NegotiationError)
        self.assertEqual("the server refuses: host-unknown not here", str(error))
        self.assertIn(b'to="localhost"', (await served)[0])

    async def test_another_domain(self) -> None:
        """The server's certificate must be for the domain, whatever its host is."""

        def script(sock: socket.socket, heard: list[bytes]) -> None:
            heard.append(line(sock, b"streams'>"))
            sock.sendall(XMPP_OFFER)
            line(sock, b"/>")
            sock.sendall(b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
            tls = secure(sock)
            heard.append(line(tls, b"streams'>"))
            tls.sendall(XMPP_ANSWER + b"<stream:features/>")
            tls.recv(1)

        parameters = {"trustfiles": self.parameters().trustfiles, "hostname": "localhost"}
        process, served = await self.opened(
            script, host="127.0.0.1", protocol="xmpp", type="starttls", tls_parameters=parameters
        )
        process.delete()
        for header in await served:
            self.assertIn(b'to="localhost"', header)


class SilenceTests(OpenStreamCase):
    """ManageSieve servers that should send data after the handshake, and do not."""

    def sieve(self, answers: Sequence[bytes]) -> Script:
        before = AGREES["sieve"]

        def script(sock: socket.socket, heard: list[bytes]) -> None:
            for said, question in zip(
                before[:3], (b"CAPABILITY\r\n", b"STARTTLS\r\n", b""), strict=True
            ):
                sock.sendall(said)
                if question:
                    assert line(sock) == question
            tls = secure(sock)
            heard.append(line(tls))
            for answer in answers:
                tls.sendall(answer)
            heard.append(line(tls))

        return script

    async def test_they_are_asked(self) -> None:
        self.patch(negotiate, "SILENCE", 0.1)
        last = AGREES["sieve"][3]
        for answers in ([last], [b"OK late\r\n", last], [b"OK late\r\n" + last]):
            (process, properties), served = await self.opened(
                self.sieve(answers), protocol="sieve", type="starttls", return_list=True
            )
            self.assertEqual(last.decode(), properties.capabilities)
            process.send("LOGOUT\r\n")
            self.assertEqual([b"CAPABILITY\r\n", b"LOGOUT\r\n"], await served)
            process.delete()

    async def test_answers_in_many_pieces(self) -> None:
        """A pattern is searched at the latest when no more data comes."""
        greeting = b"x" * 3000 + b"\nready\n"

        def script(sock: socket.socket, heard: list[bytes]) -> None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for place in range(len(greeting)):
                sock.sendall(greeting[place : place + 1])
            heard.append(line(sock))

        (process, properties), served = await self.opened(
            script, protocol=None, tls_parameters=None, return_list=True, end_of_command="^ready\n"
        )
        self.assertEqual(greeting.decode(), properties.greeting)
        process.delete()
        await served
