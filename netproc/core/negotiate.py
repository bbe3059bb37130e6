"""Greeting, capabilities, STARTTLS: the dialogue that opens a stream, as a machine.

`net/opening/dialogue.py` feeds it what the connection tells (`start`, `receive`, `tls_started`), and after each of these
takes the `actions` and does them, in order.  The machine makes no call and has no clock: the deadline, and the end of the
connection, are the caller's.

The sequence is Emacs's (N265, N266, N268); what differs:

* there is no way back to clear text: once the server agreed to TLS, the stream is encrypted or lost;
* an answer ends where its end says.  What follows one that agrees to TLS goes to the TLS engine, where
  injected text is an error, and what follows that before it makes the dialogue fail.  Elsewhere it
  is the beginning of what comes next;
* capabilities are those of the encrypted stream if there is one, never older ones;
* a greeting that refuses, another protocol and too long an answer are errors at once.
"""

from __future__ import annotations

import enum
from collections.abc import Generator
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeVar

from .answers import Afterwards, Dialect, End, ForeignAnswerError, Upgrade, to_bytes, to_text
from .errors import (
    AnswerSizeError,
    NegotiationError,
    NetprocError,
    StartTLSError,
)
from .escape import escape
from .limits import DEFAULT_LIMITS, Limits

T = TypeVar("T")
#: A part of the dialogue; it yields where it needs more from the server.
Steps: TypeAlias = Generator[None, None, T]


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
class StreamProperties:
    """What opening a stream found out (N263).

    `greeting` and `capabilities` are text, or None if there were none; a greeting may be from before TLS,
    capabilities are not if `type` is "tls".  `error` is the text of what went wrong, or None.
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
class Done:
    """The stream is open; UNREAD is the beginning of its input."""

    properties: StreamProperties
    unread: bytes


@dataclass(frozen=True, slots=True)
class Failed:
    """Drop the connection."""

    error: NetprocError


Action: TypeAlias = Send | StartTLS | Done | Failed

GREETING = "greeting"
CAPABILITIES = "capabilities"
ANSWER = "answer to STARTTLS"
HANDSHAKE = "TLS handshake"

#: What the documentation of Emacs lets a program see.
NO_TLS = "Server does not support TLS"


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
        self._secure = stream_type.tls is WhenTLS.FIRST
        self._unread = b""
        self._actions: list[Action] = []
        self._over = False
        self._dialogue = self._lead()

    # --- What the caller tells and takes.

    def start(self, unread: bytes = b"") -> None:
        """The stream is connected, and encrypted if it is so from the beginning; UNREAD has come already."""
        self._unread += unread
        self._advance()

    def receive(self, data: bytes) -> None:
        """The server sent DATA; what comes during a handshake is not for here but for its engine."""
        assert self.waiting_for is not HANDSHAKE
        self._unread += data
        self._advance()

    def tls_started(self, unread: bytes = b"") -> None:
        """The handshake is complete and the certificate is what it should be; UNREAD came encrypted."""
        assert self.waiting_for is HANDSHAKE
        self._unread += unread
        self._advance()

    def actions(self) -> list[Action]:
        """What is to be done now, in order; each is told once."""
        actions, self._actions = self._actions, []
        return actions

    # --- The dialogue.

    def _advance(self) -> None:
        assert not self._over
        try:
            next(self._dialogue)
        except StopIteration:
            self._finish(Done(self.properties(), self._unread))
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
            raise NegotiationError(f"the server refuses: {escape(self._greeting.rstrip())}")

    def _ask_capabilities(self) -> Steps[None]:
        make = self._dialect.capability_command
        command = None if make is None else make(self._greeting)
        if command is not None:
            self._actions.append(Send(command))
            yield from self._read_capabilities()

    def _read_capabilities(self) -> Steps[None]:
        end = self._dialect.capability_end
        # Where nothing says how an answer ends, none is waited for (N264).
        if end is not None:
            self._capabilities = to_text((yield from self._read(CAPABILITIES, end)))

    def _negotiate(self) -> Steps[None]:
        """Go over to TLS, if the server does it."""
        upgrade = self._dialect.upgrade
        if upgrade is not None and (yield from self._server_agrees(upgrade)):
            yield from self._go_over(upgrade)
        elif self._type.tls is WhenTLS.REQUIRED:
            raise StartTLSError(NO_TLS)

    def _server_agrees(self, upgrade: Upgrade) -> Steps[bool]:
        if upgrade.barred is not None and upgrade.barred(to_bytes(self._greeting or "")):
            return False
        command = upgrade.command(self._capabilities)
        if command is None:
            return False
        if self._unread and not self._dialect.unsolicited:
            # Somebody wants this to be the answer, or the pattern of an end is too short.
            shown = escape(to_text(self._unread))
            raise NegotiationError(f"the server spoke before STARTTLS was said: {shown}")
        self._actions.append(Send(command))
        return upgrade.success((yield from self._read(ANSWER, upgrade.answer_end)))

    def _go_over(self, upgrade: Upgrade) -> Steps[None]:
        # What was said in clear text is not what the stream can do.
        self._capabilities = None
        unread, self._unread = self._unread, b""
        self._actions.append(StartTLS(unread))
        self.waiting_for = HANDSHAKE
        yield
        self._secure = True
        if upgrade.afterwards is Afterwards.ASK:
            yield from self._ask_capabilities()
        elif upgrade.afterwards is Afterwards.LISTEN:
            yield from self._read_capabilities()

    def _read(self, what: str, end: End) -> Steps[bytes]:
        """The next answer, as soon as it is complete."""
        self.waiting_for = what
        seen = 0
        while (size := self._measure(what, end, seen)) is None:
            seen = len(self._unread)
            yield
        answer, self._unread = self._unread[:size], self._unread[size:]
        self._room -= size
        return answer

    def _measure(self, what: str, end: End, seen: int) -> int | None:
        """How long the answer is, None if it is not complete."""
        most = min(self._answer_cap, self._room)
        # No more is looked at than may be, so that the cuts between chunks make no difference.
        data = self._unread[: most + 1]
        try:
            size = end(data, seen)
        except ForeignAnswerError as error:
            shown = escape(to_text(error.shown))
            raise NegotiationError(f"no {what} of {self._dialect.name}: {shown}") from None
        if (len(data) if size is None else size) > most:
            raise AnswerSizeError(f"the {what} is longer than {most} bytes")
        return size
