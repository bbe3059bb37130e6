"""Greeting, capabilities, STARTTLS: the dialogue that opens a stream, as a machine.

`net/opening/dialogue.py` feeds it what the connection tells (`start`, `receive`, `tls_started`), and after each of these
takes the `actions` and does them, in order.  The machine makes no call and has no clock: the deadline, and the end of the
connection, are the caller's.  The action `Wake` asks the caller for a call of `woken` after some seconds.

The sequence is Emacs's (N265, N266, N268); what differs:

* there is no way back to clear text: once the server agreed to TLS, the stream is encrypted or lost;
* an answer ends where its end says.  What follows one that agrees to TLS goes to the TLS engine, where
  injected text is an error, and what follows that before it makes the dialogue fail.  Elsewhere it
  is the beginning of what comes next;
* capabilities are those of the encrypted stream if there is one, never older ones;
* a greeting that refuses, another protocol and too long an answer are errors at once;
* if a server refuses a command and the stream stays in clear text, `StreamProperties.error` says in which words.
"""

from __future__ import annotations

import enum
from collections.abc import Generator
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeVar

from .answers import (
    Afterwards,
    Dialect,
    End,
    Scan,
    UnexpectedAnswerError,
    Upgrade,
    to_bytes,
    to_text,
)
from .errors import AnswerSizeError, NegotiationError, NetprocError, StartTLSError
from .escape import escape
from .limits import DEFAULT_LIMITS, Limits

T = TypeVar("T")
#: A part of the dialogue; it yields where it needs more from the server.  It is resumed with True if the seconds of a
#: `Wake` are over.
Steps: TypeAlias = Generator[None, bool | None, T]


class WhenTLS(enum.Enum):
    """When a type of stream has TLS."""

    NEVER = enum.auto()
    IF_OFFERED = enum.auto()
    REQUIRED = enum.auto()
    #: Before the first byte: the machine starts when TLS has.
    FIRST = enum.auto()


@dataclass(frozen=True, slots=True)
class StreamType:
    """What `type=` of open_network_stream stands for (N261)."""

    tls: WhenTLS
    #: Are the server's capabilities asked for without always_query_capabilities?
    queries: bool

    @property
    def negotiates(self) -> bool:
        """May STARTTLS be said?"""
        return self.tls in (WhenTLS.IF_OFFERED, WhenTLS.REQUIRED)


PLAIN = StreamType(WhenTLS.NEVER, queries=False)
NETWORK = StreamType(WhenTLS.IF_OFFERED, queries=True)
STARTTLS = StreamType(WhenTLS.REQUIRED, queries=True)
TLS = StreamType(WhenTLS.FIRST, queries=True)
SHELL = StreamType(WhenTLS.NEVER, queries=True)


@dataclass(frozen=True, slots=True)
class StreamProperties:  # N263
    """What netproc has found out while it opened a stream.

    Attributes:
        greeting: The greeting of the server, as text, or None.  The server may have sent it before TLS.
        capabilities: The capabilities of the server, as text, or None.  If `type` is "tls", the server has sent them over
            TLS.
        type: "plain" or "tls".
        error: What went wrong, as text, or None.  If the stream is open and has an `error`, the stream is not encrypted
            because the server has refused TLS or another command.
    """

    greeting: str | None
    capabilities: str | None
    type: Literal["plain", "tls"]
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Send:
    """Write these bytes to the server."""

    data: bytes


@dataclass(frozen=True, slots=True)
class StartTLS:
    """Begin the handshake; the engine gets UNREAD first, which the server sent behind its answer."""

    unread: bytes


@dataclass(frozen=True, slots=True)
class Wake:
    """Call `woken` after so many seconds, whatever happens in the meantime."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Done:
    """The stream is open; UNREAD is the beginning of its input."""

    properties: StreamProperties
    unread: bytes


@dataclass(frozen=True, slots=True)
class Failed:
    """Drop the connection."""

    error: NetprocError


Action: TypeAlias = Send | StartTLS | Wake | Done | Failed

GREETING = "greeting"
CAPABILITIES = "capabilities"
ANSWER = "answer to STARTTLS"
HANDSHAKE = "TLS handshake"

#: What the documentation of Emacs lets a program see.
NO_TLS = "Server does not support TLS"

#: How long a server may be silent that has to speak unasked.  Then it is asked.
SILENCE = 1.0
#: After this time all of an answer is looked at, even if little of it is new.  Emacs looks as often (N264).
LOOK = 0.05


class Negotiation:
    """One dialogue; it is over with its `Done` or `Failed`, after which it takes nothing more."""

    def __init__(
        self,
        stream_type: StreamType,
        dialect: Dialect,
        *,
        always_query: bool = False,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        #: What the server has to do next: for the message when it does not.
        self.waiting_for = GREETING
        self._type = stream_type
        self._dialect = dialect
        self._queries = always_query or stream_type.queries
        self._answer_cap = limits.answer_cap
        self._room = limits.dialogue_cap
        self._greeting: str | None = None
        self._capabilities: str | None = None
        # How the server has refused what would have led to TLS.
        self._refusal = ""
        self._secure = stream_type.tls is WhenTLS.FIRST
        self._unread = bytearray()
        self._is_to_be_woken = False
        self._actions: list[Action] = []
        self._over = False
        self._dialogue = self._lead()

    # --- What the caller tells and takes.

    def start(self, unread: bytes = b"") -> None:
        """The stream is connected, and encrypted if it is so from the beginning; UNREAD has come already."""
        self._unread += unread
        self._advance(None)

    def receive(self, data: bytes) -> None:
        """The server sent DATA; what comes during a handshake is not for here but for its engine."""
        assert self.waiting_for is not HANDSHAKE
        self._unread += data
        self._advance(False)

    def tls_started(self, unread: bytes = b"") -> None:
        """The handshake is complete and the certificate is what it should be; UNREAD came encrypted."""
        assert self.waiting_for is HANDSHAKE
        self._unread += unread
        self._advance(False)

    def woken(self) -> None:
        """The seconds of the last `Wake` are over."""
        self._is_to_be_woken = False
        # What it was to look at may have been seen already.
        if not self._over and self.waiting_for is not HANDSHAKE:
            self._advance(True)

    def actions(self) -> list[Action]:
        """What is to be done now, in order; each is told once."""
        actions, self._actions = self._actions, []
        return actions

    # --- The dialogue.

    def _advance(self, is_late: bool | None) -> None:
        assert not self._over
        try:
            self._dialogue.send(is_late)
        except StopIteration:
            self._finish(Done(self.properties(self._refusal or None), bytes(self._unread)))
        except NetprocError as error:
            self._finish(Failed(error))

    def _finish(self, action: Done | Failed) -> None:
        self._over = True
        self._actions.append(action)

    def properties(self, error: str | None = None) -> StreamProperties:
        """Return what has been found out so far, with ERROR, the reason why there is no stream."""
        kind: Literal["plain", "tls"] = "tls" if self._secure else "plain"
        return StreamProperties(self._greeting, self._capabilities, kind, error)

    def _lead(self) -> Steps[None]:
        """The whole dialogue."""
        yield from self._greet()
        if self._queries:
            yield from self._ask_capabilities()
        if self._type.negotiates:
            yield from self._negotiate()

    def _greet(self) -> Steps[None]:
        end, welcome = self._dialect.greeting_end, self._dialect.welcome
        if end is None:
            return
        greeting = yield from self._read(GREETING, end)
        self._greeting = to_text(greeting)
        if welcome is not None and not welcome(greeting):
            raise NegotiationError(self._refused(greeting))

    def _ask_capabilities(self) -> Steps[None]:
        make = self._dialect.capability_command
        command = None if make is None else make(self._greeting)
        if command is not None:
            self._actions.append(Send(command))
            yield from self._read_capabilities()

    def _read_capabilities(self) -> Steps[None]:
        end, dismissal = self._dialect.capability_end, self._dialect.dismissal
        # Where nothing says how an answer ends, none is waited for (N264).
        if end is None:
            return
        answer = yield from self._read(CAPABILITIES, end)
        self._capabilities = to_text(answer)
        if dismissal is not None and dismissal(answer):
            raise NegotiationError(self._refused(answer))

    def _listen(self) -> Steps[None]:
        """Read the capabilities that the server says unasked.  Ask a server that is silent."""
        if not (yield from self._speaks()):
            yield from self._ask_capabilities()
            # What it says may have been on its way when it was asked, and then there is another answer.
            if not (yield from self._speaks()):
                return
        yield from self._read_capabilities()

    def _speaks(self) -> Steps[bool]:
        """Whether the server says something before it has been silent for too long."""
        if not self._unread:
            self._wake(SILENCE)
        is_late: bool | None = False
        while not (self._unread or is_late):
            is_late = yield
        return bool(self._unread)

    def _negotiate(self) -> Steps[None]:
        """Go over to TLS, if the server does it."""
        upgrade = self._dialect.upgrade
        if upgrade is not None and (yield from self._server_agrees(upgrade)):
            yield from self._go_over(upgrade)
        elif self._type.tls is WhenTLS.REQUIRED:
            raise StartTLSError(self._refusal or NO_TLS)

    def _server_agrees(self, upgrade: Upgrade) -> Steps[bool]:
        if upgrade.barred is not None and upgrade.barred(to_bytes(self._greeting or "")):
            return False
        command = upgrade.command(self._capabilities)
        if command is None:
            self._refusal = self._no_capabilities()
            return False
        self._check_unread()
        self._actions.append(Send(command))
        answer = yield from self._read(ANSWER, upgrade.answer_end)
        if upgrade.success(answer):
            return True
        self._refusal = self._refused(answer, " TLS")
        return False

    def _no_capabilities(self) -> str:
        """How the server has refused to list capabilities, empty if it has not."""
        answer, lists = to_bytes(self._capabilities or ""), self._dialect.lists
        return "" if lists is None or lists(answer) else self._refused(answer)

    def _refused(self, answer: bytes, what: str = "") -> str:
        """The text for the ANSWER that refuses WHAT, empty if the answer has no words for that."""
        words = " ".join(self._dialect.words(answer).split())
        return f"the server refuses{what}: {escape(words)}" if words else ""

    def _check_unread(self) -> None:
        """Somebody may want what has come before STARTTLS to be the answer, or the pattern of an end is too short."""
        may_be = self._dialect.unsolicited
        unread = bytes(self._unread)
        if unread and not (may_be is not None and may_be(unread)):
            shown = escape(to_text(unread))
            raise NegotiationError(f"the server spoke before STARTTLS was said: {shown}")

    def _go_over(self, upgrade: Upgrade) -> Steps[None]:
        # What was said in clear text is not what the stream can do.
        self._capabilities = None
        unread = bytes(self._unread)
        self._unread.clear()
        self._actions.append(StartTLS(unread))
        self.waiting_for = HANDSHAKE
        yield
        self._secure = True
        self.waiting_for = CAPABILITIES
        if upgrade.afterwards is Afterwards.ASK:
            yield from self._ask_capabilities()
        elif upgrade.afterwards is Afterwards.LISTEN:
            yield from self._listen()

    def _wake(self, seconds: float) -> None:
        if not self._is_to_be_woken:
            self._is_to_be_woken = True
            self._actions.append(Wake(seconds))

    def _read(self, what: str, end: End) -> Steps[bytes]:
        """The next answer, as soon as it is complete."""
        self.waiting_for = what
        most = min(self._answer_cap, self._room)
        came = bytearray()
        scan = end(came)
        is_late: bool | None = None
        while (size := self._measure(what, scan, came, most, is_late)) is None:
            is_late = yield
        answer = bytes(came[:size])
        self._unread[:0] = came[size:]
        self._room -= size
        return answer

    def _measure(
        self, what: str, scan: Scan[int], came: bytearray, most: int, is_late: bool | None
    ) -> int | None:
        """How long the answer is, None if it is not complete.  What is unread goes to what CAME."""
        # No more is looked at than may be, so that the cuts between chunks make no difference.
        room = most + 1 - len(came)
        came += self._unread[:room]
        del self._unread[:room]
        size = None
        try:
            if scan.send(is_late):
                self._wake(LOOK)
        except StopIteration as found:
            size = found.value
        except UnexpectedAnswerError as error:
            shown = escape(to_text(error.shown))
            raise NegotiationError(f"no {what} of {self._dialect.name}: {shown}") from None
        if (len(came) if size is None else size) > most:
            raise AnswerSizeError(f"the {what} is longer than {most} bytes")
        return size
