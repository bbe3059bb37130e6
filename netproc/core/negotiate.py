"""The dialogue that opens a stream, with greeting, capabilities and STARTTLS, as a state machine.

`net/opening/dialogue.py` calls the machine with what happens to the connection (`start`, `receive`, `tls_started`), then
takes the `actions` and does them in order.  The machine calls no other code and has no clock: the caller has the deadline,
and ends the connection.  The action `Wake` asks the caller to call `woken` after some seconds.

The sequence is Emacs's (N265, N266, N268), with these differences:

* There is no way back to clear text: after the server has agreed to TLS, the stream is encrypted or closed.
* An answer has an exact end.  Bytes after the answer that agrees to TLS go to the TLS engine, where injected text is an
  error.  Bytes before STARTTLS is sent make the dialogue fail.  Other bytes belong to the next answer.
* The capabilities are those of the encrypted stream if there is one, never older ones.
* A greeting that refuses, another protocol, and an answer that is too long are errors at once.
* If the server refuses a command and the stream stays in clear text, `StreamProperties.error` has the server's words.
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
from .search import LOOK_AFTER

T = TypeVar("T")
#: A part of the dialogue; it yields when it needs more input.  It is resumed with True if the seconds of a `Wake` are
#: over.
Steps: TypeAlias = Generator[None, bool | None, T]


class WhenTLS(enum.Enum):
    """When a type of stream has TLS."""

    NEVER = enum.auto()
    IF_OFFERED = enum.auto()
    REQUIRED = enum.auto()
    #: Before the first byte: the machine starts after the handshake.
    FIRST = enum.auto()


@dataclass(frozen=True, slots=True)
class StreamType:
    """The meaning of a `type` of `open_network_stream` (N261)."""

    tls: WhenTLS
    #: Whether the server is asked for its capabilities without `always_query_capabilities`.
    queries: bool

    @property
    def negotiates(self) -> bool:
        """Whether the stream may change to TLS with STARTTLS."""
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
    """Begin the handshake; `unread` is what the server sent after its answer, for the engine."""

    unread: bytes


@dataclass(frozen=True, slots=True)
class Wake:
    """Call `woken` after `seconds`, whatever happens before."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Done:
    """The stream is open; `unread` is the beginning of its input."""

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

#: The message that the documentation of Emacs shows.
NO_TLS = "Server does not support TLS"

#: How many seconds netproc waits for a server that must send something without being asked.  Then it asks.
SILENCE = 1.0


def _is(what: str) -> str:
    """Return the beginning of an error about WHAT the server sent."""
    return f"the server's {what} {'are' if what is CAPABILITIES else 'is'}"


class Negotiation:
    """One dialogue.  It ends with the action `Done` or `Failed`; nothing may be called after that."""

    def __init__(
        self,
        stream_type: StreamType,
        dialect: Dialect,
        *,
        always_query: bool = False,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        #: What the server has to do next, for the message of a timeout.
        self.waiting_for = GREETING
        self._type = stream_type
        self._dialect = dialect
        self._queries = always_query or stream_type.queries
        self._answer_cap = limits.answer_cap
        self._room = limits.dialogue_cap
        self._greeting: str | None = None
        self._capabilities: str | None = None
        # The server's words when it refused a command on the way to TLS.
        self._refusal = ""
        self._secure = stream_type.tls is WhenTLS.FIRST
        self._unread = bytearray()
        self._is_to_be_woken = False
        self._actions: list[Action] = []
        self._over = False
        self._dialogue = self._lead()

    # --- For the caller.

    def start(self, unread: bytes = b"") -> None:
        """Begin: the connection is open, with TLS if the type begins with it; UNREAD is input that has come already."""
        self._unread += unread
        self._advance(None)

    def receive(self, data: bytes) -> None:
        """Take DATA from the server.  Input during a handshake is for the engine, not for this machine."""
        assert self.waiting_for is not HANDSHAKE
        self._unread += data
        self._advance(False)

    def tls_started(self, unread: bytes = b"") -> None:
        """Continue: the handshake is done and the certificate accepted; UNREAD is input that came encrypted."""
        assert self.waiting_for is HANDSHAKE
        self._unread += unread
        self._advance(False)

    def woken(self) -> None:
        """Continue: the seconds of the last `Wake` are over."""
        self._is_to_be_woken = False
        # The dialogue may not need it any more.
        if not self._over and self.waiting_for is not HANDSHAKE:
            self._advance(True)

    def actions(self) -> list[Action]:
        """Return the actions to do now, in order; each is returned once."""
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
        """Return what is known so far, with ERROR, the reason why there is no stream."""
        kind: Literal["plain", "tls"] = "tls" if self._secure else "plain"
        return StreamProperties(self._greeting, self._capabilities, kind, error)

    def _lead(self) -> Steps[None]:
        """Run the whole dialogue."""
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
        # If nothing says how an answer ends, do not wait for one (N264).
        if end is None:
            return
        answer = yield from self._read(CAPABILITIES, end)
        self._capabilities = to_text(answer)
        if dismissal is not None and dismissal(answer):
            raise NegotiationError(self._refused(answer))

    def _listen(self) -> Steps[None]:
        """Read the capabilities that the server sends without being asked; ask a silent server."""
        if not (yield from self._speaks()):
            yield from self._ask_capabilities()
            # The capabilities may have been on their way when the server was asked; then it sends them twice.
            if not (yield from self._speaks()):
                return
        yield from self._read_capabilities()

    def _speaks(self) -> Steps[bool]:
        """Whether the server sends something within `SILENCE` seconds."""
        if not self._unread:
            self._wake(SILENCE)
        is_late: bool | None = False
        while not (self._unread or is_late):
            is_late = yield
        return bool(self._unread)

    def _negotiate(self) -> Steps[None]:
        """Change to TLS if the server offers it."""
        upgrade = self._dialect.upgrade
        if upgrade is not None and (yield from self._server_agrees(upgrade)):
            yield from self._change_to_tls(upgrade)
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
        """Return the server's words if it refused to list capabilities, else an empty text."""
        answer, lists = to_bytes(self._capabilities or ""), self._dialect.lists
        return "" if lists is None or lists(answer) else self._refused(answer)

    def _refused(self, answer: bytes, what: str = "") -> str:
        """Return the message for an ANSWER that refuses WHAT, empty if the answer has no words."""
        words = " ".join(self._dialect.words(answer).split())
        return f"the server refuses{what}: {escape(words)}" if words else ""

    def _check_unread(self) -> None:
        """Raise NegotiationError if there is input before STARTTLS is sent.

        Either an attacker has injected it as the answer, or the pattern for the end of the capabilities matched too early.
        """
        may_be = self._dialect.unsolicited
        unread = bytes(self._unread)
        if unread and not (may_be is not None and may_be(unread)):
            shown = escape(to_text(unread))
            raise NegotiationError(f"the server spoke before STARTTLS was sent: {shown}")

    def _change_to_tls(self, upgrade: Upgrade) -> Steps[None]:
        # Capabilities in clear text say nothing about the encrypted stream.
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
        """Return the next answer when it is complete."""
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
        """Return the length of the answer, or None if it is not complete.  Unread input is moved to the bytes that CAME."""
        # Search no more than the limit allows, so that the division into chunks makes no difference.
        room = most + 1 - len(came)
        came += self._unread[:room]
        del self._unread[:room]
        size = None
        try:
            if scan.send(is_late):
                self._wake(LOOK_AFTER)
        except StopIteration as found:
            size = found.value
        except UnexpectedAnswerError as error:
            shown = escape(to_text(error.shown))
            raise NegotiationError(f"{_is(what)} not {self._dialect.name}: {shown}") from None
        if (len(came) if size is None else size) > most:
            raise AnswerSizeError(f"{_is(what)} longer than {most} bytes")
        return size
