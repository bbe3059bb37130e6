"""core/dialects.py: dialogues with servers that agree to TLS, refuse it, or do not offer it, and with other programs."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from netproc.core.answers import Always
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
    StreamProperties,
)
from netproc.test.support.transcripts import (
    AGREES,
    CLOSED,
    COMMANDS,
    DISMISSED,
    IRC_NOTICE,
    NO_OFFERS,
    REFUSALS,
    UNLISTED,
    WITHOUT_CAPABILITIES,
    converse,
    said,
    until_answer,
)

SSH = b"SSH-2.0-OpenSSH_9.6\r\n"
HTTP = b"HTTP/1.1 400 Bad Request\r\n\r\n"

#: The protocols whose answers are lines.
TEXT = [name for name in AGREES if name not in (*WITHOUT_CAPABILITIES, "xmpp")]


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

    def test_the_name_of_the_client(self) -> None:
        for name, command in (("smtp", b"EHLO a.example\r\n"), ("lmtp", b"LHLO a.example\r\n")):
            self.assertEqual(Always(command), dialect(name, "h", "a.example").capability_command)

    def test_names_that_cannot_be_said(self) -> None:
        for name in ("", "a b", "a\r\nQUIT", "é", "\ud800", "x" * 256, 5):
            error = self.assertRaises(ProcessArgumentError, dialect, "smtp", "h", name)
            self.assertEqual("client_name", error.keyword)
        error = self.assertRaises(ProcessArgumentError, dialect, "imap", "h", "a.example")
        self.assertEqual(
            ("client_name", "the protocol 'imap' sends no name; only smtp and lmtp do"),
            (error.keyword, error.problem),
        )

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
            for answer, words in answers:
                error = f"the server refuses TLS: {words}" if words else None
                self.check_no_tls(name, [*until_answer(name), answer], error)

    def test_not_offered(self) -> None:
        for name, answers in NO_OFFERS.items():
            for answer in answers:
                self.check_no_tls(name, [AGREES[name][0], answer])

    def test_not_listed(self) -> None:
        for name, answers in UNLISTED.items():
            for answer, words in answers:
                self.check_no_tls(name, [AGREES[name][0], answer], f"the server refuses: {words}")

    def test_dismissed(self) -> None:
        for name, answers in DISMISSED.items():
            for answer, words in answers:
                for stream_type in (STARTTLS, NETWORK, TLS):
                    outcome = converse(name, [AGREES[name][0], answer], stream_type)
                    self.assertIs(NegotiationError, type(outcome.error), answer)
                    self.assertEqual(f"the server refuses: {words}", outcome.properties.error)
                    self.assertTrue(
                        (outcome.properties.capabilities or "").endswith(answer.decode())
                    )

    def check_no_tls(self, name: str, script: list[bytes], error: str | None = None) -> None:
        """If the stream may stay in clear text, it does and reports ERROR; otherwise it is not opened."""
        for bytewise in (False, True):
            required = converse(name, script, STARTTLS, bytewise=bytewise)
            self.assertIsInstance(required.error, StartTLSError, script)
            self.assertEqual(error or NO_TLS, str(required.error))
            self.assertEqual(error or NO_TLS, required.properties.error)
            welcome = converse(name, script, NETWORK, bytewise=bytewise)
            self.assertEqual((None, b""), (welcome.error, welcome.rest), script)
            self.assertEqual(error, welcome.properties.error)
            self.assertEqual((None, "plain"), (welcome.engine, welcome.properties.type), script)
            self.assertEqual(self.capabilities(name, script), welcome.properties.capabilities)

    def capabilities(self, name: str, script: list[bytes]) -> str | None:
        if name in WITHOUT_CAPABILITIES:
            return None
        if name == "irc":
            # The notice at the beginning is not a greeting, and the one at the end belongs to the next answer.
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
                    self.assertEqual(greeting.decode(), outcome.properties.greeting)
                    self.assertEqual([], outcome.sent)

    def test_another_protocol(self) -> None:
        for name in (*TEXT, "xmpp"):
            self.check_garbage(name, [SSH], "SSH-2.0-OpenSSH_9.6")
        for name in ("smtp", "imap", "pop3", "sieve", "nntp", "ftp", "xmpp"):
            self.check_garbage(name, [HTTP], "HTTP/1.1 400")

    def test_garbage_in_the_place_of_the_answer(self) -> None:
        for name in TEXT:
            if name != "irc":
                self.check_garbage(name, [*AGREES[name][:2], b"\x16\x03\x01\r\n"], r"\x16\x03\x01")
        for name in WITHOUT_CAPABILITIES:
            self.check_garbage(name, [b"", HTTP], "H")
        self.check_garbage("ldap", [b"", b"\x30\x80\x02\x01\x01"], r"0\udc80")
        self.check_garbage("ldap", [b"", b"\x30\x85\x00\x00\x00\x00\x07"], r"0\udc85")
        self.check_garbage("postgres", [b"", b"EFATAL\0"], "E")
        # A document type could define entities.
        self.check_garbage("xmpp", [b"", b"<?xml version='1.0'?><!DOCTYPE x>"], "<!DO")

    def check_garbage(self, name: str, script: list[bytes], shown: str) -> None:
        for stream_type in (STARTTLS, NETWORK):
            outcome = converse(name, script, stream_type)
            self.assertIs(NegotiationError, type(outcome.error), name)
            self.assertRegex(str(outcome.error), f"^the server's [A-Za-z ]+ (is|are) not {name}: ")
            self.assertIn(shown, str(outcome.error))
            self.assertEqual(str(outcome.error), outcome.properties.error)
            cut = converse(name, script, stream_type, bytewise=True)
            self.assertEqual(outcome.comparable, cut.comparable)

    def test_oversize(self) -> None:
        # An endless line, and endless lines.
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
        self.assertRegex(
            str(outcome.error), "^the server's [A-Za-z ]+ (is|are) longer than 6[0-9]+ bytes$"
        )
        self.assertEqual(converse(name, script).comparable, outcome.comparable)

    @given(st.sampled_from(sorted(AGREES)), st.binary(max_size=40), st.lists(st.integers(0, 999)))
    def test_what_is_glued_to_the_answer_is_for_the_engine(
        self, name: str, glued: bytes, cuts: list[int]
    ) -> None:
        script = list(AGREES[name])
        script[len(until_answer(name))] += glued
        outcome = converse(name, script, cuts=cuts)
        self.assertEqual((None, glued), (outcome.error, outcome.engine))
        self.assertEqual(said(name, -1), outcome.properties.capabilities)

    @given(st.sampled_from(sorted(AGREES)), st.data(), st.lists(st.integers(0, 999)))
    def test_any_server_gives_the_same_for_any_cuts(
        self, name: str, data: st.DataObject, cuts: list[int]
    ) -> None:
        before = until_answer(name)
        scripts = [
            AGREES[name],
            *([*before, answer] for answer, _ in REFUSALS[name]),
            *([before[0], answer] for answer in NO_OFFERS[name]),
            *([before[0], answer] for answer, _ in UNLISTED.get(name, ())),
            *([before[0], answer] for answer, _ in DISMISSED.get(name, ())),
            *([greeting] for greeting in CLOSED.get(name, ())),
        ]
        script = data.draw(st.sampled_from(scripts))
        for stream_type in (STARTTLS, NETWORK):
            whole = converse(name, script, stream_type)
            cut = converse(name, script, stream_type, cuts)
            self.assertEqual(whole.comparable, cut.comparable)

    @given(st.sampled_from(sorted(AGREES)), st.binary(), st.lists(st.integers(0, 999)))
    def test_a_server_of_noise_never_brings_tls_by_itself(
        self, name: str, noise: bytes, cuts: list[int]
    ) -> None:
        # A PostgreSQL server answers with a single byte.
        assume(name != "postgres" or not noise.startswith(b"S"))
        whole = converse(name, [noise], STARTTLS)
        self.assertIsNotNone(whole.error)
        self.assertIsNone(whole.engine)
        self.assertEqual(type(whole.error), type(converse(name, [noise], STARTTLS, cuts).error))
