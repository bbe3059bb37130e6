"""core/negotiate.py: the negotiation machine, with a small dialect made for these tests."""

from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from netproc.core.answers import (
    Afterwards,
    Always,
    Dialect,
    Has,
    LastLine,
    Offer,
    Until,
    Upgrade,
    pattern,
)
from netproc.core.dialects import dialect
from netproc.core.errors import (
    AnswerSizeError,
    NegotiationError,
    ProcessArgumentError,
    StartTLSError,
)
from netproc.core.limits import Limits
from netproc.core.negotiate import (
    HANDSHAKE,
    NETWORK,
    PLAIN,
    SHELL,
    STARTTLS,
    TLS,
    Done,
    Negotiation,
    Send,
    StartTLS,
    StreamProperties,
    StreamType,
    Wake,
)
from netproc.test.support.dialogue import Outcome, Server

LINE = Until(pattern(r"^.*\n"))
UPGRADE = Upgrade(
    command=Offer(pattern("tls"), b"go\n"), answer_end=LINE, success=Has(pattern("^yes"))
)
SMALL = Dialect(
    name="small",
    greeting_end=LINE,
    capability_command=Always(b"what\n"),
    capability_end=LINE,
    upgrade=UPGRADE,
)


def negotiation(stream_type: StreamType, made: Dialect = SMALL, **more: object) -> Negotiation:
    return Negotiation(stream_type, made, **more)


def converse(
    stream_type: StreamType, script: list[bytes], made: Dialect = SMALL, **more: object
) -> Outcome:
    return Server(negotiation(stream_type, made, **more), script).run()


class TypeTests(SynchronousTestCase):
    def test_plain(self) -> None:
        outcome = converse(PLAIN, [b"hello\nmore"])
        self.assertEqual(StreamProperties("hello\n", None, "plain"), outcome.properties)
        self.assertEqual(([], b"more"), (outcome.sent, outcome.rest))

    def test_plain_with_capabilities(self) -> None:
        outcome = converse(PLAIN, [b"hello\n", b"tls\n"], always_query=True)
        self.assertEqual(StreamProperties("hello\n", "tls\n", "plain"), outcome.properties)
        self.assertEqual([b"what\n"], outcome.sent)

    def test_shell(self) -> None:
        outcome = converse(SHELL, [b"hello\n", b"tls\n"])
        self.assertEqual(StreamProperties("hello\n", "tls\n", "plain"), outcome.properties)

    def test_tls_from_the_beginning(self) -> None:
        outcome = converse(TLS, [b"hello\n", b"tls\n"])
        self.assertEqual(StreamProperties("hello\n", "tls\n", "tls"), outcome.properties)
        self.assertEqual((None, [b"what\n"]), (outcome.engine, outcome.sent))

    def test_starttls(self) -> None:
        for stream_type in (STARTTLS, NETWORK):
            outcome = converse(stream_type, [b"hello\n", b"tls\n", b"yes\n", b"inside\nmore"])
            self.assertEqual(StreamProperties("hello\n", "inside\n", "tls"), outcome.properties)
            self.assertEqual([b"what\n", b"go\n", b"what\n"], outcome.sent)
            self.assertEqual((b"", b"more"), (outcome.engine, outcome.rest))

    def test_the_actions_one_by_one(self) -> None:
        machine = negotiation(STARTTLS)
        machine.start()
        self.assertEqual(([], "greeting"), (machine.actions(), machine.waiting_for))
        machine.receive(b"hello\n")
        self.assertEqual([Send(b"what\n")], machine.actions())
        self.assertEqual(([], "capabilities"), (machine.actions(), machine.waiting_for))
        machine.receive(b"tls\n")
        self.assertEqual([Send(b"go\n")], machine.actions())
        self.assertEqual("answer to STARTTLS", machine.waiting_for)
        machine.receive(b"yes\n\x16\x03")
        self.assertEqual([StartTLS(b"\x16\x03")], machine.actions())
        self.assertEqual("TLS handshake", machine.waiting_for)
        machine.tls_started()
        self.assertEqual([Send(b"what\n")], machine.actions())
        machine.receive(b"inside\n")
        expected = StreamProperties("hello\n", "inside\n", "tls")
        self.assertEqual([Done(expected, b"")], machine.actions())

    def test_required_and_not_offered(self) -> None:
        outcome = converse(STARTTLS, [b"hello\n", b"nothing\n"])
        self.assertIsInstance(outcome.error, StartTLSError)
        expected = StreamProperties("hello\n", "nothing\n", "plain", "Server does not support TLS")
        self.assertEqual(expected, outcome.properties)

    def test_welcome_and_not_offered(self) -> None:
        outcome = converse(NETWORK, [b"hello\n", b"nothing\nmore"])
        self.assertEqual(StreamProperties("hello\n", "nothing\n", "plain"), outcome.properties)
        self.assertEqual(b"more", outcome.rest)

    def test_welcome_and_refused(self) -> None:
        outcome = converse(NETWORK, [b"hello\n", b"tls\n", b"no\x07\nmore"])
        refusal = r"the server refuses TLS: no\x07"
        self.assertEqual(StreamProperties("hello\n", "tls\n", "plain", refusal), outcome.properties)
        self.assertEqual((None, b"more"), (outcome.engine, outcome.rest))

    def test_required_and_refused(self) -> None:
        outcome = converse(STARTTLS, [b"hello\n", b"tls\n", b"no\n"])
        self.assertIsInstance(outcome.error, StartTLSError)
        self.assertEqual("the server refuses TLS: no", outcome.properties.error)

    def test_refused_without_words(self) -> None:
        made = dataclasses.replace(SMALL, words=lambda answer: "")
        for stream_type, error in ((NETWORK, None), (STARTTLS, "Server does not support TLS")):
            outcome = converse(stream_type, [b"hello\n", b"tls\n", b"no\n"], made)
            self.assertEqual(error, outcome.properties.error)

    def test_no_list_of_capabilities(self) -> None:
        """If STARTTLS is not sent, an answer that lists no capabilities is reported as a refusal."""
        made = dataclasses.replace(SMALL, lists=Has(pattern("tls")), dismissal=Has(pattern("bye")))
        script = [b"hello\n", b"what?\n"]
        for stream_type in (NETWORK, STARTTLS):
            outcome = converse(stream_type, script, made)
            self.assertEqual("the server refuses: what?", outcome.properties.error)
            self.assertEqual(stream_type is NETWORK, outcome.error is None)
        self.assertIsNone(converse(TLS, script, made).properties.error)
        for stream_type in (NETWORK, STARTTLS, TLS):
            outcome = converse(stream_type, [b"hello\n", b"bye!\n"], made)
            self.assertEqual("the server refuses: bye!", str(outcome.error))

    def test_a_dialect_without_tls(self) -> None:
        made = dataclasses.replace(SMALL, upgrade=None)
        self.assertIsNone(converse(NETWORK, [b"hello\n", b"tls\n"], made).error)
        self.assertIsInstance(converse(STARTTLS, [b"hello\n", b"tls\n"], made).error, StartTLSError)


class StepTests(SynchronousTestCase):
    """Steps that are left out."""

    def test_no_greeting(self) -> None:
        made = dataclasses.replace(SMALL, greeting_end=None)
        outcome = converse(TLS, [b"", b"tls\n"], made)
        self.assertEqual(StreamProperties(None, "tls\n", "tls"), outcome.properties)

    def test_nothing_to_say(self) -> None:
        machine = negotiation(PLAIN, Dialect(name="none"))
        machine.start()
        self.assertEqual([Done(StreamProperties(None, None, "plain"), b"")], machine.actions())

    def test_no_command_for_this_greeting(self) -> None:
        made = dataclasses.replace(SMALL, capability_command=lambda greeting: None)
        outcome = converse(NETWORK, [b"hello\n"], made)
        self.assertEqual(StreamProperties("hello\n", None, "plain"), outcome.properties)

    def test_the_command_is_made_of_the_greeting(self) -> None:
        heard: list[str | None] = []

        def command(greeting: str | None) -> bytes:
            heard.append(greeting)
            return b"you\n"

        made = dataclasses.replace(SMALL, capability_command=command)
        outcome = converse(NETWORK, [b"hello\n", b"tls\n", b"yes\n", b"inside\n"], made)
        self.assertEqual([b"you\n", b"go\n", b"you\n"], outcome.sent)
        self.assertEqual(["hello\n"] * 2, heard)

    def test_capabilities_without_an_end_are_not_waited_for(self) -> None:
        made = dataclasses.replace(SMALL, capability_end=None)
        outcome = converse(NETWORK, [b"hello\n"], made)
        self.assertEqual(([b"what\n"], None), (outcome.sent, outcome.error))
        self.assertIsNone(outcome.properties.capabilities)

    def test_afterwards(self) -> None:
        for afterwards, last, sent in (
            (Afterwards.LISTEN, "unasked\n", [b"what\n", b"go\n"]),
            (Afterwards.NOTHING, None, [b"what\n", b"go\n"]),
        ):
            upgrade = dataclasses.replace(UPGRADE, afterwards=afterwards)
            made = dataclasses.replace(SMALL, upgrade=upgrade)
            script = [b"hello\n", b"tls\n", b"yes\n", b"unasked\n"]
            outcome = converse(STARTTLS, script, made)
            self.assertEqual(
                (last, "tls"), (outcome.properties.capabilities, outcome.properties.type)
            )
            self.assertEqual(sent, outcome.sent)


class ListenTests(SynchronousTestCase):
    """Servers that send their capabilities inside TLS without being asked, or should."""

    made = dataclasses.replace(
        SMALL, upgrade=dataclasses.replace(UPGRADE, afterwards=Afterwards.LISTEN)
    )
    before = [b"hello\n", b"tls\n", b"yes\n"]

    def check(self, capabilities: str, sent: list[bytes], inside: list[bytes]) -> None:
        outcome = converse(STARTTLS, [*self.before, *inside], self.made)
        self.assertIsNone(outcome.error)
        self.assertEqual(capabilities, outcome.properties.capabilities)
        self.assertEqual(([b"what\n", b"go\n", *sent], b""), (outcome.sent, outcome.rest))

    def test_it_speaks(self) -> None:
        self.check("unasked\n", [], [b"unasked\n"])

    def test_it_is_silent(self) -> None:
        self.check("asked\n", [b"what\n"], [b"", b"asked\n", b""])

    def test_it_speaks_late(self) -> None:
        """The answer to the question comes after it, and is not left for the program."""
        self.check("asked\n", [b"what\n"], [b"", b"late\n", b"asked\n"])
        self.check("asked\n", [b"what\n"], [b"", b"late\nasked\n"])

    def test_it_stops_in_the_middle(self) -> None:
        """The server has begun to send them, so it is not asked."""
        self.check("unasked\n", [], [b"un", b"", b"asked\n"])

    def test_the_machine_asks_for_a_call(self) -> None:
        machine = negotiation(STARTTLS, self.made)
        machine.start()
        for data in self.before:
            machine.receive(data)
        machine.tls_started()
        self.assertEqual([Wake(1.0)], machine.actions()[-1:])
        self.assertEqual("capabilities", machine.waiting_for)
        machine.woken()
        self.assertEqual([Send(b"what\n")], machine.actions())

    def test_calls_that_come_late(self) -> None:
        """When no call is pending, during the handshake, and after the end."""
        machine = negotiation(STARTTLS)
        machine.start()
        machine.woken()
        machine.receive(b"hello" + b"x" * 2000)
        machine.receive(b"x")
        self.assertEqual([Wake(0.05)], machine.actions())
        machine.receive(b"x")
        self.assertEqual([], machine.actions())
        machine.receive(b"y\n" + b"z" * 1000)
        machine.receive(b"tls\n")
        machine.receive(b"yes\n")
        machine.woken()
        self.assertEqual("TLS handshake", machine.waiting_for)
        machine.tls_started(b"what it can do\n")
        machine.actions()
        machine.woken()
        self.assertEqual([], machine.actions())


class PeerTests(SynchronousTestCase):
    """Servers, and attackers on the wire, that break the protocol."""

    def test_text_before_starttls(self) -> None:
        for stream_type in (STARTTLS, NETWORK):
            outcome = converse(stream_type, [b"hello\n", b"tls\nyes\x1b\n"])
            self.assertIs(NegotiationError, type(outcome.error))
            problem = r"the server spoke before STARTTLS was sent: yes\x1b\n"
            self.assertEqual((problem, [b"what\n"]), (str(outcome.error), outcome.sent))

    def test_late_text_before_starttls_is_the_answer(self) -> None:
        machine = negotiation(STARTTLS)
        machine.start()
        machine.receive(b"hello\n")
        machine.receive(b"tls\n")
        machine.receive(b"yes\n")
        # The server's own answer will go to the TLS engine, which cannot read it.
        self.assertEqual(StartTLS(b""), machine.actions()[-1])
        self.assertEqual(HANDSHAKE, machine.waiting_for)

    def test_text_between_greeting_and_capabilities_begins_them(self) -> None:
        outcome = converse(TLS, [b"hello\nso", b" long\n"])
        self.assertEqual("so long\n", outcome.properties.capabilities)

    def test_another_protocol(self) -> None:
        outcome = converse(NETWORK, [b"220 h\r\n"], dialect("imap", "h"))
        self.assertIs(NegotiationError, type(outcome.error))
        self.assertEqual(r"the server's greeting is not imap: 220 h\r", str(outcome.error))

    def test_a_server_that_lets_nobody_in(self) -> None:
        outcome = converse(NETWORK, [b"* BYE \x07\r\n"], dialect("imap", "h"))
        self.assertEqual(r"the server refuses: * BYE \x07", str(outcome.error))
        self.assertEqual("* BYE \x07\r\n", outcome.properties.greeting)

    def test_a_greeting_that_bars_tls(self) -> None:
        script = [b"* PREAUTH h\r\n", b"* CAPABILITY STARTTLS\r\nnp1 OK x\r\n"]
        outcome = converse(STARTTLS, script, dialect("imap", "h"))
        self.assertIsInstance(outcome.error, StartTLSError)
        self.assertEqual([b"np1 CAPABILITY\r\n"], outcome.sent)

    def test_the_connection_ends(self) -> None:
        script = [b"hello\n", b"tls\n", b"yes\n", b"inside\n"]
        for size, when in enumerate(("greeting", "capabilities", "answer to STARTTLS")):
            outcome = converse(NETWORK, script[:size])
            self.assertIs(NegotiationError, type(outcome.error))
            self.assertEqual(f"connection closed before the {when}", str(outcome.error))
            self.assertEqual(str(outcome.error), outcome.properties.error)
        outcome = converse(NETWORK, script[:3])
        self.assertEqual("connection closed before the capabilities", str(outcome.error))
        self.assertEqual(("tls", None), (outcome.properties.type, outcome.properties.capabilities))

    def test_the_handshake_fails(self) -> None:
        for stream_type in (STARTTLS, NETWORK):
            machine = negotiation(stream_type)
            machine.start()
            for data in (b"hello\n", b"tls\n", b"yes\n"):
                machine.receive(data)
            expected = StreamProperties("hello\n", None, "plain", "bad certificate")
            self.assertEqual(expected, machine.properties("bad certificate"))

    def test_nothing_is_taken_when_it_is_not_due(self) -> None:
        machine = negotiation(STARTTLS)
        machine.start()
        self.assertRaises(AssertionError, machine.tls_started)
        for data in (b"hello\n", b"tls\n", b"yes\n"):
            machine.receive(data)
        self.assertRaises(AssertionError, machine.receive, b"plain")
        machine.tls_started()
        self.assertRaises(AssertionError, machine.tls_started)

    def test_a_function_fails(self) -> None:
        reason = ProcessArgumentError("capability_command", "the function failed")

        def command(greeting: str | None) -> bytes:
            raise reason

        made = dataclasses.replace(SMALL, capability_command=command)
        outcome = converse(NETWORK, [b"hello\n"], made)
        self.assertIs(reason, outcome.error)
        self.assertEqual("capability_command: the function failed", outcome.properties.error)


class SizeTests(SynchronousTestCase):
    def test_an_answer_has_a_limit(self) -> None:
        limits = Limits(answer_cap=10, dialogue_cap=100)
        for greeting in (b"x" * 11, b"x" * 10 + b"\n", b"x" * 50):
            outcome = converse(PLAIN, [greeting], limits=limits)
            self.assertIsInstance(outcome.error, AnswerSizeError)
            self.assertEqual("the server's greeting is longer than 10 bytes", str(outcome.error))
        outcome = converse(PLAIN, [b"x" * 9 + b"\n" + b"more" * 9], limits=limits)
        self.assertEqual((None, b"more" * 9), (outcome.error, outcome.rest))

    def test_the_dialogue_has_a_limit(self) -> None:
        limits = Limits(answer_cap=10, dialogue_cap=14)
        outcome = converse(TLS, [b"123456789\n", b"123\n"], limits=limits)
        self.assertIsNone(outcome.error)
        outcome = converse(TLS, [b"123456789\n", b"1234\n"], limits=limits)
        self.assertIsInstance(outcome.error, AnswerSizeError)
        self.assertEqual("the server's capabilities are longer than 4 bytes", str(outcome.error))

    def test_a_server_that_sends_byte_by_byte_costs_little(self) -> None:
        """Each line is examined once: some ten thousand characters, not hundreds of millions."""
        looked = 0
        row = dialect("smtp", "h")
        end = row.greeting_end
        assert isinstance(end, LastLine)

        class Counted:
            def __init__(self, answer: bool) -> None:
                self.answer = answer

            def match(self, line: str) -> bool:
                nonlocal looked
                looked += len(line)
                return self.answer

        counted = dataclasses.replace(end, pattern=Counted(False), form=Counted(True))
        machine = negotiation(PLAIN, dataclasses.replace(row, greeting_end=counted))
        machine.start()
        for _ in range(5000):
            for byte in b"220-x\r\n":
                machine.receive(bytes([byte]))
        self.assertEqual(35_007, looked)


class SplitTests(SynchronousTestCase):
    @given(
        st.sampled_from([PLAIN, NETWORK, STARTTLS, TLS, SHELL]),
        st.booleans(),
        st.lists(st.sampled_from([b"hello\n", b"tls\n", b"yes\n", b"\xc3\xa9\n", b"x" * 30, b""])),
        st.sampled_from([b"", b"glued", b"\xff\n"]),
        st.lists(st.integers(0, 99)),
    )
    def test_the_cuts_make_no_difference(
        self,
        stream_type: StreamType,
        always: bool,
        script: list[bytes],
        last: bytes,
        cuts: list[int],
    ) -> None:
        made = dataclasses.replace(SMALL, unsolicited=lambda data: True)
        limits = Limits(answer_cap=20, dialogue_cap=40)
        script = [*script[:-1], *(answer + last for answer in script[-1:])]

        def outcome(cuts: list[int]) -> tuple[object, ...]:
            machine = negotiation(stream_type, made, always_query=always, limits=limits)
            return Server(machine, script, cuts).run().comparable

        self.assertEqual(outcome([]), outcome(cuts))
