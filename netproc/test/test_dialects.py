"""core/dialects.py: each protocol's dialogue with servers that agree, refuse, do not offer, or are none."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import assume, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from netproc.core.dialects import DIALECTS, dialect
from netproc.core.errors import (
    AnswerSizeError,
    NegotiationError,
    ProcessArgumentError,
    StartTLSError,
)
from netproc.core.negotiate import (
    NETWORK,
    NO_TLS,
    PLAIN,
    STARTTLS,
    TLS,
    Negotiation,
    StreamProperties,
    StreamType,
)
from netproc.test.dialogue import Outcome, Server

XMPP_TLS = b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
XMPP_OPEN = (
    b"<?xml version='1.0'?><stream:stream to=\"h\" version='1.0' xmlns='jabber:client' "
    b"xmlns:stream='http://etherx.jabber.org/streams'>"
)
XMPP_ANSWER = b"<?xml version='1.0'?><stream:stream id='1' from='h'>"
XMPP_OFFER = (
    XMPP_ANSWER + b"<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'>"
    b"<required/></starttls></stream:features>"
)
XMPP_INSIDE = XMPP_ANSWER + b"<stream:features><mechanisms/></stream:features>"
LDAP_TLS = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037"
#: With the name of the response behind the three fields that every result has.
LDAP_OK = b"\x30\x24\x02\x01\x01\x78\x1f\x0a\x01\x00\x04\x00\x04\x00\x8a\x161.3.6.1.4.1.1466.20037"
IRC_NOTICE = b":s NOTICE * :*** Looking up your hostname\r\n"

#: What a server with TLS says, in order: its greeting (empty for none), its answers, and the last
#: inside TLS.
AGREES: dict[str, list[bytes]] = {
    "smtp": [
        b"220-h ESMTP\r\n220 ready\r\n",
        b"250-h\r\n250-PIPELINING\r\n250 STARTTLS\r\n",
        b"220 2.0.0 go ahead\r\n",
        b"250-h\r\n250 AUTH PLAIN\r\n",
    ],
    "lmtp": [
        b"220 h LMTP\r\n",
        b"250-h\r\n250-STARTTLS\r\n250 8BITMIME\r\n",
        b"220 go\n",
        b"250 h\r\n",
    ],
    "imap": [
        b"* OK [CAPABILITY IMAP4rev1] h\xc3\xa9 ready\r\n",
        b"* CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED\r\nnp1 OK done\r\n",
        b"* OK by the way\r\nnp2 OK begin\r\n",
        b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\nnp1 OK done\r\n",
    ],
    "pop3": [
        b"+OK h ready <1@h>\r\n",
        b"+OK\r\nTOP\r\nSTLS\r\nUIDL\r\n.\r\n",
        b"+OK begin\r\n",
        b"+OK\r\nUSER\r\n.\r\n",
    ],
    "sieve": [
        b'"IMPLEMENTATION" "h"\r\n"SIEVE" "fileinto"\r\n"STARTTLS"\r\nOK "ready"\r\n',
        b'"IMPLEMENTATION" "h"\r\n"STARTTLS"\r\nOK\r\n',
        b"OK begin\r\n",
        b'"IMPLEMENTATION" "h"\r\n"SASL" "PLAIN"\r\nOK "TLS negotiation successful."\r\n',
    ],
    "nntp": [
        b"200 h ready\r\n",
        b"101 list\r\nVERSION 2\r\nSTARTTLS\r\nREADER\r\n.\r\n",
        b"382 continue\r\n",
        b"101 list\r\nVERSION 2\r\nAUTHINFO USER\r\n.\r\n",
    ],
    "irc": [
        IRC_NOTICE,
        b":s CAP * LS * :multi-prefix tls\r\n:s CAP * LS :sasl\r\n" + IRC_NOTICE,
        b":s 670 * :STARTTLS successful\r\n",
        b":s CAP * LS :multi-prefix sasl\r\n",
    ],
    "ftp": [
        b"220-h\r\n  a line\r\n220 ready\r\n",
        b"211-Features:\r\n MDTM\r\n AUTH SSL;TLS;\r\n211 End\r\n",
        b"234 go\r\n",
        b"211-Features:\r\n PROT\r\n211 End\r\n",
    ],
    "xmpp": [
        b"",
        XMPP_OFFER,
        b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
        XMPP_INSIDE,
    ],
    "ldap": [b"", LDAP_OK],
    "postgres": [b"", b"S"],
}

#: What the client says to these servers.
COMMANDS: dict[str, list[bytes]] = {
    "smtp": [b"EHLO [127.0.0.1]\r\n", b"STARTTLS\r\n", b"EHLO [127.0.0.1]\r\n"],
    "lmtp": [b"LHLO [127.0.0.1]\r\n", b"STARTTLS\r\n", b"LHLO [127.0.0.1]\r\n"],
    "imap": [b"np1 CAPABILITY\r\n", b"np2 STARTTLS\r\n", b"np1 CAPABILITY\r\n"],
    "pop3": [b"CAPA\r\n", b"STLS\r\n", b"CAPA\r\n"],
    "sieve": [b"CAPABILITY\r\n", b"STARTTLS\r\n"],
    "nntp": [b"CAPABILITIES\r\n", b"STARTTLS\r\n", b"CAPABILITIES\r\n"],
    "irc": [b"CAP LS 302\r\n", b"STARTTLS\r\n", b"CAP LS 302\r\n"],
    "ftp": [b"FEAT\r\n", b"AUTH TLS\r\n", b"FEAT\r\n"],
    "xmpp": [XMPP_OPEN, XMPP_TLS, XMPP_OPEN],
    "ldap": [LDAP_TLS],
    "postgres": [b"\x00\x00\x00\x08\x04\xd2\x16\x2f"],
}

#: Answers in the place of the one to STARTTLS.
REFUSALS: dict[str, list[bytes]] = {
    "smtp": [b"454 4.7.0 TLS not available\r\n", b"501-no\r\n501 no\r\n", b"250 2200 no\r\n"],
    "lmtp": [b"454 no\r\n"],
    "imap": [b"np2 NO not now\r\n", b"np2 BAD what\r\n", b"* np2 OK\r\nnp2 BAD what\r\n"],
    "pop3": [b"-ERR no\r\n"],
    "sieve": [b"NO no\r\n", b'BYE "no"\r\n'],
    "nntp": [b"580 no\r\n", b"502 unavailable\r\n"],
    "irc": [b":s 691 * :failed\r\n", b"421 * STARTTLS :what\r\n", b":s 451 STARTTLS :first\r\n"],
    "ftp": [b"534 no\r\n", b"421-bye\r\n421 bye\r\n"],
    "xmpp": [
        b"<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
        b"<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'> </failure>",
        b"<stream:error><reset/></stream:error></stream:stream>",
    ],
    "ldap": [
        b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x34\x04\x00\x04\x00",
        # As Active Directory writes lengths.
        b"\x30\x84\x00\x00\x00\x10\x02\x01\x01\x78\x84\x00\x00\x00\x07\x0a\x01\x02\x04\x00\x04\x00",
        # Another message, another operation, nothing at all, a part longer than the whole.
        b"\x30\x0c\x02\x01\x00\x78\x07\x0a\x01\x00\x04\x00\x04\x00",
        b"\x30\x0c\x02\x01\x01\x65\x07\x0a\x01\x00\x04\x00\x04\x00",
        b"\x30\x00",
        b"\x30\x03\x02\x05\x01",
        b"\x30\x04\x02\x89\x01\x01",
    ],
    "postgres": [b"N"],
}

#: Capabilities that have no STARTTLS, or that only look so.
NO_OFFERS: dict[str, list[bytes]] = {
    "smtp": [
        b"250-STARTTLS\r\n250 SIZE\r\n",
        b"250 STARTTLS\r\n",
        b"250-h\r\n250 XSTARTTLS\r\n",
        b"250-h\r\n250 SIZE STARTTLS\r\n",
        b"502 what\r\n",
    ],
    "lmtp": [b"250 h\r\n"],
    "imap": [
        b"* CAPABILITY IMAP4rev1 X-STARTTLS STARTTLS2\r\nnp1 OK done\r\n",
        b"* OK STARTTLS\r\nnp1 OK STARTTLS\r\n",
        b"np1 BAD what\r\n",
    ],
    "pop3": [b"+OK STLS\r\nXSTLS\r\nSTLS2\r\n.\r\n", b"-ERR what\r\n"],
    "sieve": [b'"SIEVE" "\\"STARTTLS\\""\r\nOK "STARTTLS"\r\n', b"NO what\r\n"],
    "nntp": [b"101 STARTTLS\r\nREADER\r\nXSTARTTLS\r\n.\r\n", b"500 what\r\n", b"480 first\r\n"],
    "irc": [
        b":s CAP * LS :xtls tls2 sts=port=6697\r\n",
        b":s 421 * CAP :what\r\n",
        b":s 410 x\r\n",
    ],
    "ftp": [b"211-Features:\r\n AUTH KERBEROS\r\n211 AUTHTLS\r\n", b"500 what\r\n"],
    "xmpp": [XMPP_INSIDE, XMPP_ANSWER + b"<stream:features/>", b"<x/></stream:stream>"],
    "ldap": [],
    "postgres": [],
}

#: Greetings of servers that let nobody in.
CLOSED: dict[str, list[bytes]] = {
    "smtp": [b"554-no\r\n554 go away\r\n", b"421 later\r\n"],
    "lmtp": [b"421 later\r\n"],
    "imap": [b"* BYE overloaded\r\n"],
    "pop3": [b"-ERR in use\r\n"],
    "sieve": [b'BYE "no"\r\n', b"NO\r\n"],
    "nntp": [b"400 later\r\n", b"502 no\r\n"],
    "ftp": [b"421 too many\r\n", b"120 in 5 minutes\r\n"],
}

SSH = b"SSH-2.0-OpenSSH_9.6\r\n"
HTTP = b"HTTP/1.1 400 Bad Request\r\n\r\n"

#: Those whose answers are told from other protocols'; the tags of XMPP can come at any time.
TEXT = [name for name in AGREES if name not in ("ldap", "postgres", "xmpp")]


def converse(
    name: str,
    script: Sequence[bytes],
    stream_type: StreamType = STARTTLS,
    cuts: Sequence[int] | None = None,
    bytewise: bool = False,
) -> Outcome:
    return Server(Negotiation(stream_type, dialect(name, "h")), script, cuts, bytewise).run()


def said(name: str, index: int) -> str | None:
    """The text of the INDEXth of what an agreeing server says, None if it has no such."""
    script = AGREES[name]
    return script[index].decode() if script[index] and len(script) > 2 else None


class TableTests(SynchronousTestCase):
    def test_all_have_their_transcripts(self) -> None:
        for table in (AGREES, COMMANDS, REFUSALS, NO_OFFERS):
            self.assertEqual(DIALECTS.keys(), table.keys())
        for name, row in DIALECTS.items():
            self.assertEqual(name, row.name)

    def test_greetings_that_can_refuse_have_transcripts(self) -> None:
        self.assertEqual(CLOSED.keys(), {name for name, row in DIALECTS.items() if row.welcome})

    def test_the_host_is_quoted(self) -> None:
        command = dialect("xmpp", "a\"'<b>&é").capability_command
        assert command is not None
        self.assertIn(b'to="a&quot;\'&lt;b&gt;&amp;\xc3\xa9" ', command(None))

    def test_a_domain_that_cannot_be_said(self) -> None:
        error = self.assertRaises(ProcessArgumentError, dialect, "xmpp", "\ud800")
        self.assertEqual("host", error.keyword)

    def test_no_such_protocol(self) -> None:
        for value in ("gopher", 5, None):
            error = self.assertRaises(ProcessArgumentError, dialect, value, "h")
            self.assertEqual("protocol", error.keyword)
            self.assertIn("smtp, lmtp, imap", error.problem)


class TranscriptTests(SynchronousTestCase):
    def test_success(self) -> None:
        for name, script in AGREES.items():
            outcome = converse(name, script)
            self.assertEqual((None, b"", b""), (outcome.error, outcome.engine, outcome.rest), name)
            self.assertEqual(COMMANDS[name], outcome.sent)
            greeting = None if name == "irc" else said(name, 0)
            expected = StreamProperties(greeting, said(name, -1), "tls")
            self.assertEqual(expected, outcome.properties, name)

    def test_success_where_tls_is_welcome(self) -> None:
        for name, script in AGREES.items():
            opportunistic = converse(name, script, NETWORK)
            self.assertEqual(converse(name, script).comparable, opportunistic.comparable, name)

    def test_success_byte_by_byte(self) -> None:
        for name, script in AGREES.items():
            cut = converse(name, script, bytewise=True)
            self.assertEqual(converse(name, script).comparable, cut.comparable, name)

    def test_inside_tls_there_is_no_starttls(self) -> None:
        for name, script in AGREES.items():
            outcome = converse(name, [script[0], *script[-1:]], TLS)
            self.assertIsNone(outcome.error, name)
            self.assertNotIn(COMMANDS[name][-1] * 2, outcome.sent, name)
            self.assertEqual((None, "tls"), (outcome.engine, outcome.properties.type), name)
            if name != "irc":
                self.assertEqual(said(name, -1), outcome.properties.capabilities, name)

    def test_plain_reads_the_greeting_only(self) -> None:
        for name, script in AGREES.items():
            outcome = converse(name, script[:1], PLAIN)
            self.assertEqual(([], None, None), (outcome.sent, outcome.engine, outcome.error), name)
            self.assertEqual("plain", outcome.properties.type)
            self.assertEqual(None if name == "irc" else said(name, 0), outcome.properties.greeting)

    def test_refused(self) -> None:
        for name, answers in REFUSALS.items():
            for answer in answers:
                before = AGREES[name][: len(COMMANDS[name][:2])]
                before = AGREES[name][:1] if name in ("ldap", "postgres") else before
                self.check_no_tls(name, [*before, answer])

    def test_not_offered(self) -> None:
        for name, answers in NO_OFFERS.items():
            for answer in answers:
                self.check_no_tls(name, [AGREES[name][0], answer])

    def check_no_tls(self, name: str, script: list[bytes]) -> None:
        for bytewise in (False, True):
            required = converse(name, script, STARTTLS, bytewise=bytewise)
            self.assertIsInstance(required.error, StartTLSError, script)
            self.assertEqual((NO_TLS, NO_TLS), (str(required.error), required.properties.error))
            welcome = converse(name, script, NETWORK, bytewise=bytewise)
            self.assertEqual((None, b""), (welcome.error, welcome.rest), script)
            self.assertEqual((None, "plain"), (welcome.engine, welcome.properties.type), script)
            self.assertEqual(self.capabilities(name, script), welcome.properties.capabilities)

    def capabilities(self, name: str, script: list[bytes]) -> str | None:
        if name in ("ldap", "postgres"):
            return None
        if name == "irc":
            # The notice at the beginning is no greeting, and the one at the end is of the next answer.
            return (script[0] + script[1].removesuffix(IRC_NOTICE)).decode()
        return script[1].decode()

    def test_who_is_logged_in_has_no_tls(self) -> None:
        script = [b"* PREAUTH hello\r\n", *AGREES["imap"][1:]]
        self.check_no_tls("imap", script[:2])
        self.assertEqual(
            ["np1 CAPABILITY\r\n"], [c.decode() for c in converse("imap", script).sent]
        )

    def test_the_server_is_closed(self) -> None:
        for name, greetings in CLOSED.items():
            for greeting in greetings:
                for stream_type in (STARTTLS, NETWORK, PLAIN, TLS):
                    outcome = converse(name, [greeting, *AGREES[name][1:]], stream_type)
                    self.assertIs(NegotiationError, type(outcome.error), greeting)
                    self.assertIn("the server refuses: ", outcome.properties.error)
                    self.assertEqual(
                        (greeting.decode(), []), (outcome.properties.greeting, outcome.sent)
                    )

    def test_another_protocol(self) -> None:
        for name in TEXT:
            self.check_garbage(name, [SSH], "SSH-2.0-OpenSSH_9.6")
        for name in ("smtp", "imap", "pop3", "sieve", "nntp", "ftp"):
            self.check_garbage(name, [HTTP], "HTTP/1.1 400")

    def test_garbage_in_the_place_of_the_answer(self) -> None:
        for name in TEXT:
            if name != "irc":
                self.check_garbage(name, [*AGREES[name][:2], b"\x16\x03\x01\r\n"], r"\x16\x03\x01")
        for name in ("ldap", "postgres"):
            self.check_garbage(name, [b"", HTTP], "H")
        self.check_garbage("ldap", [b"", b"\x30\x80\x02\x01\x01"], r"0\udc80")
        self.check_garbage("ldap", [b"", b"\x30\x85\x00\x00\x00\x00\x07"], r"0\udc85")
        self.check_garbage("postgres", [b"", b"EFATAL\0"], "E")

    def check_garbage(self, name: str, script: list[bytes], shown: str) -> None:
        for stream_type in (STARTTLS, NETWORK):
            outcome = converse(name, script, stream_type)
            self.assertIs(NegotiationError, type(outcome.error), name)
            self.assertRegex(str(outcome.error), f"^no [A-Za-z ]+ of {name}: ")
            self.assertIn(shown, str(outcome.error))
            self.assertEqual(str(outcome.error), outcome.properties.error)
            cut = converse(name, script, stream_type, bytewise=True)
            self.assertEqual(outcome.comparable, cut.comparable)

    def test_oversize(self) -> None:
        # A line without end, and lines without end.
        for name in (*TEXT, "xmpp"):
            self.check_oversize(name, [b"x" * 200_000])
        self.check_oversize("smtp", [b"220-x\r\n" * 40_000])
        self.check_oversize("lmtp", [b"220-x\r\n" * 40_000])
        self.check_oversize("imap", [*AGREES["imap"][:2], b"* OK\r\n" * 40_000])
        self.check_oversize("pop3", [b"+OK\r\n", b"+OK\r\n" + b"X\r\n" * 40_000])
        self.check_oversize("sieve", [b'"X"\r\n' * 40_000])
        self.check_oversize("nntp", [b"200\r\n", b"101\r\n" + b"X\r\n" * 40_000])
        self.check_oversize("irc", [b"NOTICE x\r\n" * 40_000])
        self.check_oversize("ftp", [b"220-\r\n" + b" x\r\n" * 40_000])
        self.check_oversize("ldap", [b"", b"\x30\x83\x01\x00\x00" + bytes(70_000)])

    def check_oversize(self, name: str, script: list[bytes]) -> None:
        outcome = converse(name, script, cuts=range(0, len(script[-1]), 1000))
        self.assertIsInstance(outcome.error, AnswerSizeError, name)
        self.assertRegex(str(outcome.error), "^the [A-Za-z ]+ is longer than 6[0-9]+ bytes$")
        self.assertEqual(converse(name, script).comparable, outcome.comparable)

    @given(st.sampled_from(sorted(AGREES)), st.binary(max_size=40), st.lists(st.integers(0, 999)))
    def test_what_is_glued_to_the_answer_is_for_the_engine(
        self, name: str, glued: bytes, cuts: list[int]
    ) -> None:
        script = list(AGREES[name])
        script[1 if name in ("ldap", "postgres") else 2] += glued
        outcome = converse(name, script, cuts=cuts)
        self.assertEqual((None, glued), (outcome.error, outcome.engine))
        self.assertEqual(said(name, -1), outcome.properties.capabilities)

    @given(st.sampled_from(sorted(AGREES)), st.data(), st.lists(st.integers(0, 999)))
    def test_any_server_gives_the_same_for_any_cuts(
        self, name: str, data: st.DataObject, cuts: list[int]
    ) -> None:
        before = AGREES[name][: 1 if name in ("ldap", "postgres") else 2]
        refusal = st.sampled_from(REFUSALS[name]).map(lambda answer: [*before, answer])
        options = [st.just(AGREES[name]), refusal]
        if NO_OFFERS[name]:
            options.append(st.sampled_from(NO_OFFERS[name]).map(lambda a: [AGREES[name][0], a]))
        if name in CLOSED:
            options.append(st.sampled_from(CLOSED[name]).map(lambda greeting: [greeting]))
        script = data.draw(st.one_of(options))
        for stream_type in (STARTTLS, NETWORK):
            whole = converse(name, script, stream_type)
            cut = converse(name, script, stream_type, cuts)
            self.assertEqual(whole.comparable, cut.comparable)

    @given(st.sampled_from(sorted(AGREES)), st.binary(), st.lists(st.integers(0, 999)))
    def test_a_server_of_noise_never_brings_tls_by_itself(
        self, name: str, noise: bytes, cuts: list[int]
    ) -> None:
        # One byte is all that a server of PostgreSQL says.
        assume(name != "postgres" or not noise.startswith(b"S"))
        whole = converse(name, [noise], STARTTLS)
        self.assertIsNotNone(whole.error)
        self.assertIsNone(whole.engine)
        self.assertEqual(type(whole.error), type(converse(name, [noise], STARTTLS, cuts).error))
