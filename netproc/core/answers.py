r"""What a dialect is made of: where an answer ends, what it says, which command is next.

`core/dialects.py` has the dialects of known protocols, `core/streamspec.py` makes one of the generic keywords
of open_network_stream, `core/negotiate.py` leads the dialogue by it.

In patterns ``^`` and ``$`` are the borders of lines and case does not matter, as in Emacs.  Text is UTF-8,
whatever the coding system of the process: what is invalid becomes lone surrogates, which give every
byte back.
"""

from __future__ import annotations

import enum
import re
from codecs import utf_8_decode
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

FLAGS = re.MULTILINE | re.IGNORECASE

#: Where the answer at the beginning of some bytes ends, or None if it is not complete; the first so many
#: of them held no end when they were all.  Raises ForeignAnswerError for what cannot become an answer.
End: TypeAlias = Callable[[bytes, int], int | None]
#: Is this the answer that was hoped for?
Test: TypeAlias = Callable[[bytes], bool]
#: The command for what the server said, if it said anything; None for no command.
Command: TypeAlias = Callable[[str | None], bytes | None]


class ForeignAnswerError(Exception):
    """SHOWN, its argument, begins no answer of the dialect; `core/negotiate.py` says which it waits for."""

    def __init__(self, shown: bytes) -> None:
        super().__init__(shown)
        self.shown = shown


def to_text(data: bytes) -> str:
    """The text of a complete answer."""
    return data.decode("utf-8", "surrogateescape")


def to_bytes(text: str) -> bytes:
    """The bytes of TEXT, also of what is invalid in it."""
    return text.encode("utf-8", "surrogateescape")


def pattern(expression: str) -> re.Pattern[str]:
    """EXPRESSION with the flags that Emacs's regular expressions have."""
    return re.compile(expression, FLAGS)


@dataclass(frozen=True, slots=True)
class Until:
    """An end: that of the first match."""

    pattern: re.Pattern[str]

    def __call__(self, data: bytes, seen: int) -> int | None:
        """An `End`."""
        # The rest of a character may be on its way.
        text, _ = utf_8_decode(data, "surrogateescape", False)
        match = self.pattern.search(text)
        return None if match is None else len(to_bytes(text[: match.end()]))


@dataclass(frozen=True, slots=True)
class LastLine:
    """An end: that of the first line that matches.  Each line is looked at once."""

    pattern: re.Pattern[str]
    #: How the first line begins, if this is the protocol at all.
    form: re.Pattern[str]

    def __call__(self, data: bytes, seen: int) -> int | None:
        """An `End`."""
        start = data.rfind(b"\n", 0, seen) + 1
        lines = to_text(data[start : data.rfind(b"\n") + 1])
        if lines and not start and not self.form.match(lines):
            raise ForeignAnswerError(data[: data.index(b"\n")])
        match = self.pattern.search(lines)
        return None if match is None else start + len(to_bytes(lines[: match.end()]))


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


class Afterwards(enum.Enum):
    """Where the capabilities come from that count once there is TLS."""

    ASK = enum.auto()
    #: The server tells them unasked.
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
    #: Does the server let us in?
    welcome: Test | None = None
    #: Made of the greeting.
    capability_command: Command | None = None
    capability_end: End | None = None
    upgrade: Upgrade | None = None
    #: May the server say something between an answer and the next command?
    unsolicited: bool = False
