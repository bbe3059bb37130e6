"""The entries of ~/.authinfo and ~/.netrc, as far as they are about client certificates.

`streams/clientcert.py` reads the files and asks here.

An entry begins with ``machine NAME`` (or ``host``), or with ``default`` for every host, and goes on with pairs
of a key and a value, over as many lines as it likes.  Values may be in quotes.  ``#`` begins a comment where
a key could be.  Passwords and names of users are passed over and kept nowhere, errors show no text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_WORD = re.compile(r"""\s*(?:"([^"\n]*)"|'([^'\n]*)'|(\S+))""")
_COMMENTS = re.compile(r"\s*(?:#.*\s*)*")
#: A macro of ftp goes to the next empty line.
_MACRO = re.compile(r".*?(?:\n[ \t]*\n|\Z)", re.DOTALL)

_BEGINNINGS = ("machine", "host", "default")
#: The names of what is kept.
_FIELDS = {"port": "port", "protocol": "port", "key": "key", "cert": "certificate"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry; HOST is None for every host, PORT for every port, as a number or a name."""

    host: str | None
    port: str | None = None
    key: str | None = None
    certificate: str | None = None


def find(text: str, host: str, is_port: Callable[[str], bool]) -> tuple[str, str] | None:
    """Key and certificate of the first entry of TEXT that has both for HOST, and for every port or one that IS_PORT.

    Raises ValueError with the line for what is no entry, if that comes first.
    """
    for entry in entries(text):
        if entry.host in (None, host) and (entry.port is None or is_port(entry.port)):
            if entry.key is not None and entry.certificate is not None:
                return entry.key, entry.certificate
    return None


def entries(text: str) -> Iterator[Entry]:
    """The entries of TEXT in their order; raises ValueError as `find` does."""
    words = _Words(text)
    host: str | None = None
    fields: dict[str, str] | None = None
    while (key := words.key()) is not None:
        if key in _BEGINNINGS:
            if fields is not None:
                yield Entry(host, **fields)
            host = None if key == "default" else words.value()
            fields = {}
        elif key == "macdef":
            words.skip_macro()
        elif fields is None:
            raise words.error("nothing says for which machine this is")
        else:
            value = words.value()
            if key in _FIELDS:
                fields[_FIELDS[key]] = value
    if fields is not None:
        yield Entry(host, **fields)


class _Words:
    """The words of a text, one after the other."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0

    def key(self) -> str | None:
        """The next word, or None at the end."""
        self._skip(_COMMENTS)
        return self._next()

    def value(self) -> str:
        """The next word, which belongs to the one before it."""
        start = self._place
        word = self._next()
        if word is None or self._text[start : self._place].strip() == "machine":
            raise self.error("a value is missing")
        return word

    def skip_macro(self) -> None:
        """Go behind the macro."""
        self._skip(_MACRO)

    def error(self, problem: str) -> ValueError:
        """For where it is now."""
        return ValueError(f"line {self._text.count(chr(10), 0, self._place) + 1}: {problem}")

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self._text, self._place)
        assert match is not None
        self._place = match.end()

    def _next(self) -> str | None:
        match = _WORD.match(self._text, self._place)
        if match is None:
            return None
        self._place = match.end()
        return next(word for word in match.groups() if word is not None)
