r"""What a dialect is made of: where an answer ends, what it says, and which command comes next.

`core/dialects.py` has the dialects of known protocols, with `core/ldap.py` and `core/xmpp.py`.  `core/streamspec.py` makes
a dialect of the generic keywords of open_network_stream.  `core/negotiate.py` leads the dialogue.

In patterns ``^`` and ``$`` are the borders of lines and case does not matter, as in Emacs.  Text is UTF-8,
whatever the coding system of the process is.  Invalid bytes become lone surrogates, which give every byte back.
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

#: Looks at bytes that grow.  It yields when it needs more of them.  It yields True if it has not looked at all of
#: them yet: then the caller resumes it with True after a moment, even if no more bytes have come.
Scan: TypeAlias = Generator[bool, bool | None, T]
#: Begins to look for the end of the answer that some bytes begin with; the scan returns how long the answer is.
#: The scan raises UnexpectedAnswerError if the bytes cannot become an answer.
End: TypeAlias = Callable[[bytearray], Scan[int]]
#: Whether an answer says something.
Test: TypeAlias = Callable[[bytes], bool]
#: The command for what the server said, if it said anything; None for no command.
Command: TypeAlias = Callable[[str | None], bytes | None]
#: What an answer says that refuses something.
Words: TypeAlias = Callable[[bytes], str]


class UnexpectedAnswerError(Exception):
    """SHOWN, its argument, begins no answer of the dialect; `core/negotiate.py` says which it waits for."""

    def __init__(self, shown: bytes) -> None:
        super().__init__(shown)
        self.shown = shown


def to_text(data: bytes | bytearray) -> str:
    """The text of a complete answer."""
    return data.decode("utf-8", "surrogateescape")


def to_bytes(text: str) -> bytes:
    """The bytes of TEXT, also of what is invalid in it."""
    return text.encode("utf-8", "surrogateescape")


def pattern(expression: str) -> re.Pattern[str]:
    """EXPRESSION with the flags that Emacs's regular expressions have."""
    return re.compile(expression, FLAGS)


# --- Scans. ---------------------------------------------------------------------------------------------


def find(data: bytearray, what: bytes, start: int) -> Scan[int]:
    """Where the first WHAT at START or after it ends.  Each byte is looked at once."""
    while (found := data.find(what, start)) < 0:
        start = max(start, len(data) - len(what) + 1)
        yield False
    return found + len(what)


def line_end(data: bytearray, start: int) -> Scan[int]:
    """Where the line that begins at START ends."""
    return find(data, b"\n", start)


# --- Ends. ----------------------------------------------------------------------------------------------

#: The search for a pattern is repeated with every piece until so many bytes have come ...
_SEARCH_ALWAYS = 1024
#: ... and then when this part of what was searched has come anew: that keeps all searches together linear.
_SEARCH_AFTER = 1 / 8


@dataclass(frozen=True, slots=True)
class Until:
    """An end: that of the first match in everything that has come."""

    pattern: re.Pattern[str]

    def __call__(self, data: bytearray) -> Scan[int]:
        """An `End`."""
        while (end := self._search(data)) is None:
            searched = len(data)
            due: bool | None = False
            while not (due or _worth_a_search(searched, len(data))):
                due = yield len(data) > searched
        return end

    def _search(self, data: bytearray) -> int | None:
        # The rest of a character may be on its way.
        text, _ = utf_8_decode(data, "surrogateescape", False)
        match = self.pattern.search(text)
        return None if match is None else len(to_bytes(text[: match.end()]))


def _worth_a_search(searched: int, size: int) -> bool:
    new = size - searched
    return new > 0 and (size <= _SEARCH_ALWAYS or new >= searched * _SEARCH_AFTER)


@dataclass(frozen=True, slots=True)
class Polled:
    """An end: what `function` finds in everything that has come, None as long as it finds none."""

    function: Callable[[bytearray], int | None]

    def __call__(self, data: bytearray) -> Scan[int]:
        """An `End`."""
        while (end := self.function(data)) is None:
            yield False
        return end


@dataclass(frozen=True, slots=True)
class LastLine:
    """An end: that of the first line that matches.  Each line is looked at once."""

    pattern: re.Pattern[str]
    #: How the first line begins, if this is the protocol at all.
    form: re.Pattern[str]
    #: Where a line ends: in some protocols a line can hold strings with line ends in them.
    line: Callable[[bytearray, int], Scan[int]] = line_end

    def __call__(self, data: bytearray) -> Scan[int]:
        """An `End`."""
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
    """A test: the pattern is somewhere in the answer."""

    pattern: re.Pattern[str]

    def __call__(self, answer: bytes) -> bool:
        """A `Test`."""
        return self.pattern.search(to_text(answer)) is not None


@dataclass(frozen=True, slots=True)
class Offer:
    """The command that starts TLS, if the pattern is somewhere in the capabilities."""

    pattern: re.Pattern[str]
    command: bytes

    def __call__(self, capabilities: str | None) -> bytes | None:
        """A `Command`."""
        return self.command if self.pattern.search(capabilities or "") else None


@dataclass(frozen=True, slots=True)
class Always:
    """The same command whatever the server said."""

    command: bytes

    def __call__(self, said: str | None) -> bytes:
        """A `Command`."""
        return self.command


@dataclass(frozen=True, slots=True)
class Since:
    """Words: the answer from the first match of the pattern on; all of it if nothing matches."""

    pattern: re.Pattern[str]

    def __call__(self, answer: bytes) -> str:
        """Some `Words`."""
        text = to_text(answer)
        match = self.pattern.search(text)
        return text if match is None else text[match.start() :]


class Afterwards(enum.Enum):
    """Where the capabilities come from that count once there is TLS."""

    ASK = enum.auto()
    #: The server tells them unasked.  A server that is silent is asked.
    LISTEN = enum.auto()
    NOTHING = enum.auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgrade:
    """How a dialect goes over from clear text to TLS."""

    #: Made of the capabilities; None if they do not offer TLS.
    command: Command
    answer_end: End
    success: Test
    #: After such a greeting there is no TLS, whatever the capabilities say.
    barred: Test | None = None
    afterwards: Afterwards = Afterwards.ASK


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One protocol's way to open a stream; a step that is None is left out."""

    #: What errors call it.
    name: str
    greeting_end: End | None = None
    #: Whether a greeting lets us in.
    welcome: Test | None = None
    #: Made of the greeting.
    capability_command: Command | None = None
    capability_end: End | None = None
    #: Whether an answer to the capability command lists capabilities.  Any other answer refuses to.
    lists: Test | None = None
    #: Whether such an answer is the server's last word.
    dismissal: Test | None = None
    upgrade: Upgrade | None = None
    #: What of an answer that refuses something is shown.  No words: it says only that there is no TLS.
    words: Words = to_text
    #: Whether the server may say something between an answer and the next command.
    unsolicited: Test | None = None
