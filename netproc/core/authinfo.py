"""Parser of ~/.authinfo and ~/.netrc, which finds client certificates.

`streams/clientcert.py` reads the files and calls `find`.

An entry begins with ``machine NAME`` (or ``host``), or with ``default`` for every host.  Pairs of a key and a value
follow, on any number of lines.  Values may be in quotes.  ``#`` begins a comment where a key could stand.
User names and passwords are skipped and not kept.  Errors do not quote the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_WORD = re.compile(r"""\s*(?:"([^"\n]*)"|'([^'\n]*)'|(\S+))""")
_COMMENTS = re.compile(r"\s*(?:#.*\s*)*")
#: A macro of ftp ends with the next empty line.
_MACRO = re.compile(r".*?(?:\n[ \t]*\n|\Z)", re.DOTALL)

_BEGINNINGS = ("machine", "host", "default")
#: The keys that are kept, and the fields of `Entry` for them.
_FIELDS = {"port": "port", "protocol": "port", "key": "key", "cert": "certificate"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry.  A `host` of None stands for every host, a `port` of None for every port; a port is a number or a name."""

    host: str | None
    port: str | None = None
    key: str | None = None
    certificate: str | None = None


def find(text: str, host: str, is_port: Callable[[str], bool]) -> tuple[str, str] | None:
    """Return key and certificate of the first entry of TEXT for HOST that has both, or None.

    The entry must be for every port, or for a port for which IS_PORT returns True.  Raises ValueError with the number of
    the line if the text before that entry is wrong.
    """
    for entry in entries(text):
        if entry.host in (None, host) and (entry.port is None or is_port(entry.port)):
            if entry.key is not None and entry.certificate is not None:
                return entry.key, entry.certificate
    return None


def entries(text: str) -> Iterator[Entry]:
    """Yield the entries of TEXT in their order; raise ValueError as `find` does."""
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
    """A reader of the words of a text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0

    def key(self) -> str | None:
        """Return the next word, or None at the end."""
        self._skip(_COMMENTS)
        return self._next()

    def value(self) -> str:
        """Return the next word, the value of the key before it; raise ValueError if there is none."""
        start = self._place
        word = self._next()
        if word is None or self._text[start : self._place].strip() == "machine":
            raise self.error("a value is missing")
        return word

    def skip_macro(self) -> None:
        """Continue after the macro."""
        self._skip(_MACRO)

    def error(self, problem: str) -> ValueError:
        """Return an error with PROBLEM and the number of the current line."""
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
