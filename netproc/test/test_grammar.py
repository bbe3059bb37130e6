"""core/dialects.py: answers that the RFCs allow, and answers of real servers, cut at every byte."""

from __future__ import annotations

import re
from dataclasses import dataclass

from twisted.trial.unittest import SynchronousTestCase

from netproc.core import xmpp
from netproc.core.answers import End
from netproc.core.dialects import dialect
from netproc.core.negotiate import NETWORK
from netproc.test.support.transcripts import (
    AGREES,
    COMMANDS,
    IRC_NOTICE,
    WITHOUT_CAPABILITIES,
    XMPP_ANSWER,
    XMPP_INSIDE,
    converse,
)

TLS = "urn:ietf:params:xml:ns:xmpp-tls"
STREAMS = "http://etherx.jabber.org/streams"


@dataclass(frozen=True)
class Case:
    """A server with an unusual answer that still leads to TLS; its other answers are the usual ones."""

    protocol: str
    #: Where the answer is from.
    source: str
    greeting: bytes | None = None
    capabilities: bytes | None = None
    answer: bytes | None = None
    inside: bytes | None = None

    @property
    def script(self) -> list[bytes]:
        given = [self.greeting, self.capabilities, self.answer, self.inside]
        if self.protocol in WITHOUT_CAPABILITIES:
            given = [self.greeting, self.answer]
        usual = AGREES[self.protocol]
        return [new if new is not None else old for new, old in zip(given, usual, strict=True)]


def case(protocol: str, source: str, **said: bytes) -> Case:
    return Case(protocol, source, **said)


def xmpp_case(source: str, features: str, header: str = "", **said: bytes) -> Case:
    """XMPP with an unusual HEADER."""
    text = header or XMPP_ANSWER.decode()
    return case("xmpp", source, capabilities=(text + features).encode(), **said)


GRAMMAR = [
    # -- SMTP and LMTP.
    case("smtp", "RFC 5321, 4.2: no text behind the code", greeting=b"220\r\n"),
    case("smtp", "RFC 5321, 4.2.1: no text in a line", greeting=b"220-\r\n220-h\r\n220 \r\n"),
    case("smtp", "RFC 5321, 2.4: keywords in any case", capabilities=b"250-h\r\n250 StartTLS\r\n"),
    case("smtp", "white space at the end", capabilities=b"250-h\r\n250 STARTTLS \t\r\n"),
    case("smtp", "LF alone", greeting=b"220-h\n220 h\n", capabilities=b"250-h\n250 STARTTLS\n"),
    case("smtp", "RFC 6531: text in UTF-8", greeting="220 hé\r\n".encode()),
    case("smtp", "text in no encoding", greeting=b"220 h\xe9\r\n"),
    case("lmtp", "RFC 2033, 4.1: several lines", capabilities=b"250-h\r\n250-X\r\n250 STARTTLS\r\n"),
    # -- IMAP.
    case("imap", "RFC 9051, 2.2.1: any case", capabilities=b"* capability starttls\r\nnp1 ok x\r\n"),
    case(
        "imap",
        "RFC 9051, 7: untagged at any time",
        capabilities=b"* OK wait\r\n* CAPABILITY STARTTLS\r\n* 5 EXISTS\r\nnp1 OK x\r\n* OK still\r\n",
    ),
    case(
        "imap",
        "RFC 9051, 4.3: literals",
        capabilities=b"* CAPABILITY STARTTLS\r\n* LIST () NIL {7}\r\nnp1 OK \r\nnp1 OK done\r\n",
    ),
    case(
        "imap",
        "RFC 9051, 4.3: a line with two",
        answer=b"* X {8}\r\nnp2 NO\r\n {4+}\r\nnp2  y\r\nnp2 OK go\r\n",
    ),
    case("imap", "RFC 9051, 9: text is no literal", greeting=b"* OK ready {99}\r\n"),
    case("imap", "no text", greeting=b"* OK\r\n", answer=b"np2 OK\r\n"),
    case("imap", "RFC 9051, 7.1: a code", greeting=b"* OK [ALERT] np1 NO np2 BAD\r\n"),
    # -- POP3.
    case("pop3", "RFC 1939, 3: no text", greeting=b"+OK\r\n", answer=b"+OK\r\n"),
    case("pop3", "RFC 2449, 5: any case", capabilities=b"+ok list\r\nstls\r\n.\r\n"),
    case("pop3", "RFC 1939, 3: a dot is doubled", capabilities=b"+OK\r\n..\r\n.x\r\nSTLS\r\n.\r\n"),
    case("pop3", "what looks like an error", capabilities=b"+OK\r\n-ERR-X\r\nSTLS\r\n.\r\n"),
    # -- ManageSieve.
    case("sieve", "RFC 5804, 4: a literal", greeting=b"OK {13}\r\nReady, take 2\r\n"),
    case("sieve", "RFC 5804, 4: a long one", greeting=b'"X" {13}\r\nServer\r\nOK go\r\nOK\r\n'),
    case("sieve", "RFC 5804, 4: an empty one", greeting=b'"X" {0}\r\n\r\nOK\r\n'),
    case("sieve", "RFC 5804, 4: a quoted line end", greeting=b'"X" "a\r\nOK b"\r\nOK\r\n'),
    case("sieve", "RFC 5804, 4: an escape", greeting=b'"X" "\\"a\\\\"\r\nOK "b"\r\n'),
    case("sieve", "RFC 5804, 1.3: a code", answer=b'OK (TAG {3}\r\nNO\n) "go"\r\n'),
    case("sieve", "RFC 5804, 4: quotes in a literal", greeting=b'"X" {2}\r\n"a\r\nOK\r\n'),
    case("sieve", "RFC 5804, 4: literal names", capabilities=b"{8}\r\nSTARTTLS\r\nOK\r\n"),
    case("sieve", "RFC 5804, 1.1: any case", capabilities=b'"starttls"\r\nok "x"\r\n'),
    # -- NNTP.
    case("nntp", "RFC 3977, 5.1: no posting", greeting=b"201 h\r\n"),
    case("nntp", "RFC 3977, 3.1: no text", greeting=b"200\r\n", answer=b"382\r\n"),
    case("nntp", "RFC 3977, 3.1.1: any lines", capabilities=b"101\r\n\r\n400 x\r\nSTARTTLS\r\n.\r\n"),
    case("nntp", "RFC 3977, 3.1: any case", capabilities=b"101 x\r\nstarttls\r\n.\r\n"),
    # -- IRC.
    case("irc", "RFC 1459, 2.3: empty lines", greeting=b"\r\n\n" + IRC_NOTICE),
    case("irc", "RFC 1459, 2.3.1: blanks", capabilities=b":s  CAP  *  LS  :tls\r\n"),
    case("irc", "IRCv3: no prefix", capabilities=b"CAP * LS :tls\r\n"),
    case("irc", "IRCv3: values", capabilities=b":s CAP * LS :a=tls tls=x sasl=PLAIN\r\n"),
    case("irc", "IRCv3: the nick", capabilities=b":s CAP nick LS tls\r\n"),
    case("irc", "IRCv3: several", capabilities=b":s CAP * LS  * :tls\r\n:s CAP * LS :x\r\n"),
    case("irc", "RFC 1459, 4.6.2: a ping", greeting=b"PING :1\r\n", answer=b"\r\n670 * :go\r\n"),
    # -- FTP.
    case("ftp", "RFC 959, 4.2: any lines", greeting=b"220-h\r\n150 users\r\n150\r\n\r\n220 x\r\n"),
    case("ftp", "RFC 959, 4.2: a longer number", greeting=b"220-h\r\n2200 users\r\n220 x\r\n"),
    case("ftp", "RFC 959, 4.2: another hyphen", greeting=b"220-h\r\n220-x\r\n221 y\r\n220 z\r\n"),
    case("ftp", "RFC 959, 5.4: soon", greeting=b"120-wait\r\n220 x\r\n120 2 minutes\r\n220 now\r\n"),
    case("ftp", "no text", greeting=b"220\r\n", answer=b"234\r\n"),
    case("ftp", "RFC 959, 4.2: in AUTH", answer=b"234-go\r\n431 not\r\n234 go\r\n"),
    case("ftp", "RFC 2228: more to say", answer=b"334 go\r\n"),
    case("ftp", "RFC 4217, 6: AUTH alone", capabilities=b"211-x\r\n AUTH\r\n500 MB\r\n211 End\r\n"),
    case("ftp", "a list", capabilities=b"211-x\r\n AUTH SSL;TLS;\r\n211 End\r\n"),
    case("ftp", "codes", capabilities=b"211-x\r\n211-AUTH TLS\r\n211 End\r\n"),
    case("ftp", "a tab", capabilities=b"211-x\r\n\tauth\ttls\r\n211 End\r\n"),
    case("ftp", "RFC 4217, 4: no list before the login", capabilities=b"530 log in\r\n"),
    case("ftp", "RFC 2389, 3.2: no list", capabilities=b"500 what\r\n", inside=b"502-x\r\n502 y\r\n"),
    # -- XMPP.
    xmpp_case(
        "RFC 6120, 4.6.1: white space",
        f"\n<stream:features>\n <starttls xmlns='{TLS}'/></stream:features>\r\n ",
        answer=f"\n<proceed xmlns='{TLS}'/>".encode(),
        inside=b" \n" + XMPP_INSIDE,
    ),
    xmpp_case(
        "RFC 6120, 4.8.5: no prefix",
        f"<features><starttls xmlns='{TLS}'/></features>",
        f"<stream version='1.0' xmlns='{STREAMS}'>",
    ),
    xmpp_case(
        "RFC 6120, 4.8.5: any prefix",
        f"<s:features><t:starttls xmlns:t='{TLS}'><t:required/></t:starttls></s:features>",
        f'<s:stream version="1.0" xmlns="jabber:client" xmlns:s="{STREAMS}">',
        answer=f"<t:proceed xmlns:t='{TLS}' />".encode(),
    ),
    xmpp_case(
        "a prefix of the header",
        "<s:features><t:starttls/></s:features>",
        f"<s:stream xmlns:t='{TLS}' version='1.0' xmlns:s='{STREAMS}'>",
        answer=b"<t:proceed></t:proceed>",
    ),
    xmpp_case(
        "tags in values, comments and sections",
        "<!-- </stream:features> > --><stream:features><x a='/stream:features>' b='/>'/>"
        f"<![CDATA[</stream:features>]]><?x </stream:features>?><starttls xmlns='{TLS}'/></stream:features>",
    ),
    xmpp_case(
        "RFC 6120, 11.6: always UTF-8",
        f"<stream:features><starttls xmlns='{TLS}'/></stream:features>",
        f"<?xml version='1.0' encoding='x'?><stream:stream version='1.0' xmlns:stream='{STREAMS}'>",
    ),
    xmpp_case(
        "no white space, other quotes",
        f'<stream:features><starttls xmlns="{TLS}"/></stream:features >',
        answer=f"<proceed xmlns='{TLS}'></proceed>".encode(),
    ),
    xmpp_case(
        "elements with the names further in",
        f"<stream:features><x><features/><error/></x><starttls xmlns='{TLS}'/></stream:features>",
    ),
    # -- LDAP.
    case(
        "ldap",
        "RFC 4511, 5.1: long lengths",
        answer=b"\x30\x84\x00\x00\x00\x10\x02\x01\x01\x78\x84\x00\x00\x00\x07\x0a\x01\x00\x04\x00\x04\x00",
    ),
    case(
        "ldap",
        "RFC 4511, 4.1.9: a message",
        answer=b"\x30\x0e\x02\x01\x01\x78\x09\x0a\x01\x00\x04\x00\x04\x02ok",
    ),
]  # fmt: skip


class Counted(bytearray):
    """Bytes that count how many of them are examined."""

    looked = 0

    def find(self, what: bytes, start: int) -> int:
        found = super().find(what, start)
        self.looked += (len(self) if found < 0 else found) - min(start, len(self)) + 1
        return found

    def __getitem__(self, key: int | slice) -> object:
        self.looked += len(range(*key.indices(len(self)))) if isinstance(key, slice) else 1
        return super().__getitem__(key)


class CountedPattern:
    """A pattern that counts how many bytes it searches."""

    def __init__(self, pattern: re.Pattern[bytes]) -> None:
        self.pattern = pattern

    def search(self, data: Counted, start: int) -> re.Match[bytes] | None:
        found = self.pattern.search(data, start)
        data.looked += (len(data) if found is None else found.end()) - start
        return found


class WorkTests(SynchronousTestCase):
    """Each byte is examined a few times only, however small the pieces are."""

    def looked(self, end: End, data: bytes) -> int:
        came = Counted()
        scan = end(came)
        scan.send(None)
        for byte in data:
            came.append(byte)
            scan.send(False)
        return came.looked

    def test_xmpp(self) -> None:
        self.patch(xmpp, "_QUOTE_OR_END", CountedPattern(xmpp._QUOTE_OR_END))
        self.patch(xmpp, "_NOT_SPACE", CountedPattern(xmpp._NOT_SPACE))
        end = dialect("xmpp", "h").capability_end
        for begin, more in (
            ("", "<a/>"),
            ("", " "),
            ("<s version='1.0'>", "text "),
            ("<s version='1.0'>", "<features/x>"),
            ("<", "name"),
            ("<s x='", '>">'),
            ("<s", " x='>' "),
            ("<!--", "-> "),
            ("<?", "> "),
        ):
            data = (begin + more * 500).encode()
            self.assertLess(self.looked(end, data), 12 * len(data), begin + more)

    def test_lines(self) -> None:
        for protocol, begin, more in (
            ("ftp", "220-\r\n", "220-\r\n"),
            ("ftp", "220-\r\n", "x"),
            ("imap", "", "* X {1}\r\nx\r\n"),
            ("sieve", '"', "x\r\n"),
            ("sieve", "", '"x" {1}\r\nx\r\n'),
            ("irc", "", "PING x\r\n"),
        ):
            row = dialect(protocol, "h")
            data = (begin + more * 500).encode()
            looked = self.looked(row.greeting_end or row.capability_end, data)
            self.assertLess(looked, 12 * len(data), (protocol, more))

    def test_messages(self) -> None:
        upgrade = dialect("ldap", "h").upgrade
        assert upgrade is not None
        data = b"\x30\x82\x10\x00" + bytes(4000)
        self.assertLess(self.looked(upgrade.answer_end, data), 12 * len(data))


class GrammarTests(SynchronousTestCase):
    def test_every_server_gets_to_tls(self) -> None:
        for case in GRAMMAR:
            outcome = converse(case.protocol, case.script)
            self.assertIsNone(outcome.error, case)
            self.assertEqual((b"", "tls"), (outcome.engine, outcome.properties.type), case)
            self.assertEqual(COMMANDS[case.protocol], outcome.sent, case)

    def test_capabilities_inside(self) -> None:
        for case in GRAMMAR:
            expected = None if case.protocol in WITHOUT_CAPABILITIES else case.script[-1].decode()
            outcome = converse(case.protocol, case.script)
            self.assertEqual(expected, outcome.properties.capabilities, case)

    def test_pieces_at_every_byte(self) -> None:
        for case in GRAMMAR:
            whole = converse(case.protocol, case.script, NETWORK).comparable
            for cuts in ([place] for place in range(max(map(len, case.script)))):
                cut = converse(case.protocol, case.script, NETWORK, cuts).comparable
                self.assertEqual(whole, cut, (case, cuts))
            bytewise = converse(case.protocol, case.script, NETWORK, bytewise=True).comparable
            self.assertEqual(whole, bytewise, case)

    def test_what_is_no_xml_yet_has_no_elements(self) -> None:
        self.assertEqual([], xmpp._elements(b""))
