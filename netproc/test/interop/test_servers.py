"""open_network_stream with real servers: what they offer, and which of them a client refuses."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred

from netproc import NetworkProcess, ProcessError, open_network_stream
from netproc.core import xmpp
from netproc.core.negotiate import StreamProperties
from netproc.test.interop import servers
from netproc.test.interop.launch import Configure, InteropTestCase
from netproc.test.interop.wiretap import Wiretap
from netproc.test.support.base import reactor
from netproc.test.support.certificates import told
from netproc.test.support.fixtures import Recorder
from netproc.test.support.hostile import records

VERSIONS = {"TLS1.2": "NORMAL:-VERS-TLS1.3", "TLS1.3": "NORMAL:-VERS-TLS1.2"}


@dataclass(frozen=True)
class Dialect:
    """What server and client send in one protocol."""

    protocol: str
    #: The last command in clear text.
    starttls: bytes
    greeting: str | None
    #: A capability that is listed only inside TLS; None if the protocol lists none there.
    capability: str | None
    #: A command inside TLS, and its answer.
    request: bytes
    answer: bytes
    #: The capability command, if by default it would name the host of the certificate.
    question: bytes | None = None


IMAP = Dialect(
    "imap", b"np2 STARTTLS\r\n", r"\A\* OK .*Dovecot", "AUTH=PLAIN", b"x LOGOUT\r\n", rb"x OK "
)
POP3 = Dialect("pop3", b"STLS\r\n", r"\A\+OK Dovecot", "SASL PLAIN", b"QUIT\r\n", rb"\+OK ")
SIEVE = Dialect(
    "sieve", b"STARTTLS\r\n", r'\A"IMPLEMENTATION"', '"SASL" "PLAIN"', b"LOGOUT\r\n", rb"OK "
)
LMTP = Dialect("lmtp", b"STARTTLS\r\n", r"\A220 .*Dovecot", "250 PIPELINING", b"QUIT\r\n", rb"221 ")
SUBMISSION = Dialect(
    "smtp", b"STARTTLS\r\n", r"\A220 .*Dovecot", "250-AUTH PLAIN", b"QUIT\r\n", rb"221 "
)
SMTP = Dialect("smtp", b"STARTTLS\r\n", r"\A220 .*Postfix", "250-PIPELINING", b"QUIT\r\n", rb"221 ")
LDAP = Dialect(
    "ldap",
    b"1.3.6.1.4.1.1466.20037",
    None,
    None,
    # An anonymous bind, with message number 2; success.
    b"\x30\x0c\x02\x01\x02\x60\x07\x02\x01\x03\x04\x00\x80\x00",
    rb"\x30\x0c\x02\x01\x02\x61\x07\x0a\x01\x00",
)
POSTGRES = Dialect(
    "postgres",
    b"\x00\x00\x00\x08\x04\xd2\x16\x2f",
    None,
    None,
    # The startup message of a user whom the server accepts.
    b"\x00\x00\x00\x17\x00\x03\x00\x00user\x00postgres\x00\x00",
    rb"\AR\x00\x00\x00\x08\x00\x00\x00\x00",
)
XMPP = Dialect(
    "xmpp",
    b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
    None,
    "<mechanism>PLAIN</mechanism>",
    b"</stream:stream>",
    rb"</stream:stream>",
    xmpp.header("localhost"),
)
IRC = Dialect("irc", b"STARTTLS\r\n", None, " LS ", b"CAP END\r\nQUIT\r\n", rb"ERROR ")
NNTP = Dialect("nntp", b"STARTTLS\r\n", r"\A200 .*INN", "\r\nREADER\r\n", b"QUIT\r\n", rb"205 ")
FTP = Dialect("ftp", b"AUTH TLS\r\n", r"\A220 .*vsFTPd", " PASV\r\n", b"QUIT\r\n", rb"221 ")


class Fixture(InteropTestCase):
    async def open(
        self, port: int, protocol: str, **keywords: Any
    ) -> tuple[NetworkProcess | None, StreamProperties]:
        keywords = {"type": "starttls", "tls_parameters": self.trusting(), **keywords}
        opening = open_network_stream(
            *("stream", None, "localhost", port),
            protocol=protocol,
            return_list=True,
            coding="binary",
            **keywords,
        )
        process, properties = await opening
        if process is not None:
            self.addCleanup(process.delete)
        return process, properties

    async def refusal(self, port: int, protocol: str, **keywords: Any) -> str:
        """Return why there is no stream."""
        if keywords.get("type") == "tls":
            # Without a dialogue the Deferred fails.
            opening = Deferred.fromCoroutine(self.open(port, protocol, **keywords))
            return str(await self.failure_of(opening, ProcessError))
        process, properties = await self.open(port, protocol, **keywords)
        self.assertIsNone(process)
        return properties.error or ""

    async def tapped(self, port: int) -> Wiretap:
        tap = Wiretap(reactor, port)
        self.addCleanup(tap.stop)
        return tap

    async def check_opens(self, port: int, dialect: Dialect, **keywords: Any) -> Wiretap:
        """Check that streams open with TLS in both versions and work; return the relay of the last one."""
        for version, priority in VERSIONS.items():
            tap = await self.tapped(port)
            heard = Recorder()
            parameters = self.trusting(priority=priority)
            process, properties = await self.open(
                *(tap.own_port, dialect.protocol),
                tls_parameters=parameters,
                filter=heard,
                **keywords,
            )
            assert process is not None
            self.check_properties(properties, dialect)
            self.assertEqual(version, (process.peer_status() or {})["protocol"])
            process.send(dialect.request)
            await self.until(lambda h=heard: re.search(dialect.answer, b"".join(h.pieces)), "")
            process.delete()
            await process.closed
        return tap

    def check_properties(self, properties: StreamProperties, dialect: Dialect) -> None:
        self.assertEqual(("tls", None), (properties.type, properties.error))
        for expected, found in (
            (dialect.greeting, properties.greeting),
            (dialect.capability and re.escape(dialect.capability), properties.capabilities),
        ):
            if expected is None:
                self.assertIsNone(found)
            else:
                self.assertRegex(found or "", expected)
        self.assertNotIn("STARTTLS", properties.capabilities or "")

    async def check_refuses(self, port: int, dialect: Dialect, **keywords: Any) -> None:
        """Check that a server with a wrong name or an untrusted certificate is refused, and gets no clear text."""
        # An address, because servers may refuse names that they do not have.
        for parameters, problem in (
            (self.trusting(hostname="127.0.0.2"), "for another host than 127.0.0.2"),
            (self.distrusting(), "certificate"),
        ):
            tap = await self.tapped(port)
            error = await self.refusal(
                *(tap.own_port, dialect.protocol),
                tls_parameters=parameters,
                capability_command=dialect.question,
                **keywords,
            )
            self.assertIn(problem, error)
            self.assert_no_clear_text(tap, dialect, **keywords)
            self.assertNotIn(dialect.request, tap.from_client)

    def assert_no_clear_text(self, tap: Wiretap, dialect: Dialect, **keywords: Any) -> None:
        """Check that TLS begins with the first byte, or after the answer to STARTTLS."""
        said = tap.from_client
        if keywords.get("type") != "tls":
            before, command, said = said.partition(dialect.starttls)
            self.assertEqual(dialect.starttls, command)
            self.assertNotIn(dialect.request, before)
        self.assertTrue(records(said), said)


class StartTLSTests(Fixture):
    """Servers that switch to TLS."""

    async def check(self, configure: Configure, dialect: Dialect) -> None:
        server = await self.serve(configure)
        for kind in ("starttls", "network"):
            tap = await self.check_opens(server.port, dialect, type=kind)
            self.assert_no_clear_text(tap, dialect)
            await self.check_refuses(server.port, dialect, type=kind)

    async def test_imap(self) -> None:
        await self.check(servers.dovecot("imap"), IMAP)

    async def test_pop3(self) -> None:
        await self.check(servers.dovecot("pop3"), POP3)

    async def test_sieve(self) -> None:
        await self.check(servers.dovecot("sieve"), SIEVE)

    async def test_lmtp(self) -> None:
        await self.check(servers.dovecot("lmtp"), LMTP)

    async def test_submission(self) -> None:
        await self.check(servers.dovecot("submission"), SUBMISSION)

    async def test_smtp(self) -> None:
        await self.check(servers.postfix(), SMTP)

    async def test_ldap(self) -> None:
        await self.check(servers.slapd, LDAP)

    async def test_postgres(self) -> None:
        await self.check(servers.postgres, POSTGRES)

    async def test_xmpp(self) -> None:
        await self.check(servers.prosody, XMPP)

    async def test_irc(self) -> None:
        await self.check(servers.inspircd, IRC)

    async def test_nntp(self) -> None:
        await self.check(servers.nnrpd, NNTP)

    async def test_ftp(self) -> None:
        await self.check(servers.vsftpd, FTP)


class TLSTests(Fixture):
    """Servers whose TLS begins with the first byte."""

    async def check(self, configure: Configure, dialect: Dialect, is_second: bool) -> None:
        server = await self.serve(configure)
        port = server.place.second_port if is_second else server.port
        tap = await self.check_opens(port, dialect, type="tls")
        self.assert_no_clear_text(tap, dialect, type="tls")
        await self.check_refuses(port, dialect, type="tls")

    async def test_imap(self) -> None:
        await self.check(servers.dovecot("imap", is_secure=True), IMAP, is_second=False)

    async def test_ldap(self) -> None:
        await self.check(servers.slapd, LDAP, is_second=True)

    async def test_xmpp(self) -> None:
        await self.check(servers.prosody, XMPP, is_second=True)


class RefusalTests(Fixture):
    """Servers that do not support what the client requires."""

    async def test_a_server_without_starttls(self) -> None:
        server = await self.serve(servers.ngircd)
        tap = await self.tapped(server.port)
        process, properties = await self.open(tap.own_port, "irc")
        self.assertEqual((None, "plain"), (process, properties.type))
        self.assertEqual("Server does not support TLS", properties.error)
        self.assertEqual(b"CAP LS 302\r\n", tap.from_client)

    async def test_a_domain_that_is_not_served(self) -> None:
        server = await self.serve(servers.prosody)
        error = await self.refusal(
            server.port, "xmpp", tls_parameters=self.trusting(hostname="other.example")
        )
        self.assertRegex(error, "^the server refuses: host-unknown .*other.example")

    async def test_a_client_whose_name_is_not_wanted(self) -> None:
        server = await self.serve(
            servers.postfix(
                "smtpd_delay_reject = no\n"
                "smtpd_helo_restrictions = check_helo_access inline:{me.example=OK}, reject"
            )
        )
        for kind in ("starttls", "network"):
            error = await self.refusal(server.port, "smtp", type=kind)
            self.assertRegex(error, r"^the server refuses: 554 5\.7\.1 .*Helo command rejected")
        process, properties = await self.open(server.port, "smtp", client_name="me.example")
        self.assertIsNotNone(process)
        self.assertEqual("tls", properties.type)

    async def test_a_server_in_clear_text(self) -> None:
        """The server does not begin with TLS, and netproc tries nothing else."""
        server = await self.serve(servers.postfix())
        tap = await self.tapped(server.port)
        error = await self.refusal(tap.own_port, "smtp", type="tls")
        self.assertEqual("TLS handshake failed: wrong version number", told(error))
        self.assertTrue(records(tap.from_client))

    async def test_an_anonymous_offer(self) -> None:
        """A client refuses a server without a certificate, unless it allows anonymous servers."""
        server = await self.serve(servers.postfix("smtpd_tls_cert_file = none"))
        tap = await self.tapped(server.port)
        self.assertIn("handshake failure", await self.refusal(tap.own_port, "smtp"))
        self.assert_no_clear_text(tap, SMTP)
        anonymous = self.trusting(type="anon", allow_anonymous=True)
        process, properties = await self.open(server.port, "smtp", tls_parameters=anonymous)
        assert process is not None
        self.assertEqual("tls", properties.type)
        self.assertIn("ANON", str((process.peer_status() or {})["key_exchange"]))
