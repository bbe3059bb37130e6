r"""The parts of a dialect: where an answer ends, what it says, and which command comes next.

`core/dialects.py` has the dialects of known protocols, with `core/ldap.py` and `core/xmpp.py`.  `core/streamspec.py` makes
a dialect from the keywords of `open_network_stream`.  `core/negotiate.py` runs the dialogue.

In patterns ``^`` and ``$`` match at the borders of lines, and case does not matter, as in Emacs.  Text is UTF-8,
whatever the coding system of the process is.  Invalid bytes become lone surrogates, which encode to the same bytes.
"""

from __future__ import annotations

import enum
import re
from codecs import utf_8_decode
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

T = TypeVar("T")

FLAGS = re.MULTILINE | re.IGNORECASE

#: A search in received bytes, to which the caller adds more.  The scan yields when it needs more bytes.  It yields True if
#: it has not looked at all of them yet: then the caller resumes it with True after a moment, even if no more bytes came.
Scan: TypeAlias = Generator[bool, bool | None, T]
#: A function that begins to look for the end of an answer; its argument is the received bytes, which begin with the
#: answer.  The scan returns the length of the answer, or raises UnexpectedAnswerError if the bytes cannot become one.
End: TypeAlias = Callable[[bytearray], Scan[int]]
#: A function that returns whether an answer says something.
Test: TypeAlias = Callable[[bytes], bool]
#: A function that returns the command to send, or None for no command.  Its argument is what the server said, or None.
Command: TypeAlias = Callable[[str | None], bytes | None]
#: A function that returns the text of an answer with which the server refuses something.
Words: TypeAlias = Callable[[bytes], str]


class UnexpectedAnswerError(Exception):
    """The received bytes are not an answer of the dialect; SHOWN is their beginning.  `core/negotiate.py` reports the error."""

    def __init__(self, shown: bytes) -> None:
        super().__init__(shown)
        self.shown = shown


def to_text(data: bytes | bytearray) -> str:
    """Return the text of DATA, a complete answer."""
    return data.decode("utf-8", "surrogateescape")


def to_bytes(text: str) -> bytes:
    """Return the bytes of TEXT; a lone surrogate that stands for an invalid byte becomes that byte."""
    return text.encode("utf-8", "surrogateescape")


def pattern(expression: str) -> re.Pattern[str]:
    """Return EXPRESSION, compiled with the flags that correspond to Emacs's regular expressions."""
    return re.compile(expression, FLAGS)


# --- Scans. ---------------------------------------------------------------------------------------------


def find(data: bytearray, what: bytes, start: int) -> Scan[int]:
    """Return the end of the first WHAT at or after START.  Each byte is looked at once."""
    while (found := data.find(what, start)) < 0:
        start = max(start, len(data) - len(what) + 1)
        yield False
    return found + len(what)


def line_end(data: bytearray, start: int) -> Scan[int]:
    """Return the end of the line that begins at START."""
    return find(data, b"\n", start)


# --- Ends. ----------------------------------------------------------------------------------------------

#: Until this many bytes have come, the search for a pattern is repeated with every piece ...
_SEARCH_ALWAYS = 1024
#: ... and after that when the new bytes are this part of the searched ones.  So the cost of all searches together is
#: linear.
_SEARCH_AFTER = 1 / 8


@dataclass(frozen=True, slots=True)
class Until:
    """An `End`: the end of the first match in the received bytes."""

    pattern: re.Pattern[str]

    def __call__(self, data: bytearray) -> Scan[int]:
        while (end := self._search(data)) is None:
            searched = len(data)
            due: bool | None = False
            while not (due or _worth_a_search(searched, len(data))):
                due = yield len(data) > searched
        return end

    def _search(self, data: bytearray) -> int | None:
        # The last character may be incomplete.
        text, _ = utf_8_decode(data, "surrogateescape", False)
        match = self.pattern.search(text)
        return None if match is None else len(to_bytes(text[: match.end()]))


def _worth_a_search(searched: int, size: int) -> bool:
    new = size - searched
    return new > 0 and (size <= _SEARCH_ALWAYS or new >= searched * _SEARCH_AFTER)


@dataclass(frozen=True, slots=True)
class Polled:
    """An `End`: the place that `function` returns for the received bytes; it returns None as long as it finds none."""

    function: Callable[[bytearray], int | None]

    def __call__(self, data: bytearray) -> Scan[int]:
        while (end := self.function(data)) is None:
            yield False
        return end


@dataclass(frozen=True, slots=True)
class LastLine:
    """An `End`: the end of the first line that matches.  Each line is looked at once."""

    pattern: re.Pattern[str]
    #: What the first line must match; if it does not, the server speaks another protocol.
    form: re.Pattern[str]
    #: The scan for the end of a line: in some protocols a line can contain strings with line ends in them.
    line: Callable[[bytearray, int], Scan[int]] = line_end

    def __call__(self, data: bytearray) -> Scan[int]:
        end = yield from self.line(data, 0)
        line = to_text(data[:end])
        if not self.form.match(line):
            raise UnexpectedAnswerError(bytes(data[: data.index(b"\n")]))
        while not self.pattern.match(line):
            start, end = end, (yield from self.line(data, end))
            line = to_text(data[start:end])
        return end


# --- Tests, commands, and what to show. -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Has:
    """A `Test`: whether the pattern matches somewhere in the answer."""

    pattern: re.Pattern[str]

    def __call__(self, answer: bytes) -> bool:
        return self.pattern.search(to_text(answer)) is not None


@dataclass(frozen=True, slots=True)
class Offer:
    """A `Command`: the one that starts TLS, if the pattern matches somewhere in the capabilities."""

    pattern: re.Pattern[str]
    command: bytes

    def __call__(self, capabilities: str | None) -> bytes | None:
        return self.command if self.pattern.search(capabilities or "") else None


@dataclass(frozen=True, slots=True)
class Always:
    """A `Command`: the same one, whatever the server said."""

    command: bytes

    def __call__(self, said: str | None) -> bytes:
        return self.command


@dataclass(frozen=True, slots=True)
class Since:
    """`Words`: the answer from the first match of the pattern on, or all of it if nothing matches."""

    pattern: re.Pattern[str]

    def __call__(self, answer: bytes) -> str:
        text = to_text(answer)
        match = self.pattern.search(text)
        return text if match is None else text[match.start() :]


class Afterwards(enum.Enum):
    """How the capabilities are read after the change to TLS."""

    ASK = enum.auto()
    #: The server sends them without being asked.  A silent server is asked after a while.
    LISTEN = enum.auto()
    NOTHING = enum.auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgrade:
    """How a dialect changes from clear text to TLS."""

    #: Makes the command from the capabilities; it is None if they do not offer TLS.
    command: Command
    answer_end: End
    success: Test
    #: After a greeting of this kind TLS cannot be started, whatever the capabilities say.
    barred: Test | None = None
    afterwards: Afterwards = Afterwards.ASK


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How a stream of one protocol is opened; a step that is None is left out."""

    #: The name of the protocol in error messages.
    name: str
    greeting_end: End | None = None
    #: Whether the server accepts the connection, by its greeting.
    welcome: Test | None = None
    #: Makes the command from the greeting.
    capability_command: Command | None = None
    capability_end: End | None = None
    #: Whether an answer to the capability command lists capabilities.  Any other answer refuses to.
    lists: Test | None = None
    #: Whether an answer to the capability command ends the dialogue.
    dismissal: Test | None = None
    upgrade: Upgrade | None = None
    #: The text that an error shows of an answer with which the server refuses something.  Empty text means only that the
    #: server has no TLS.
    words: Words = to_text
    #: Whether the server may say something between an answer and the next command.
    unsolicited: Test | None = None
