"""XMPP's answers (RFC 6120, sections 4 and 5): where they end and what they say, with or without a prefix.

`core/dialects.py` makes the dialect from these parts.

An answer ends in the middle of a document, so its end is found by the tags.  A complete answer is read by a parser of
XML, which knows the namespaces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element, ParseError, XMLPullParser
from xml.sax.saxutils import quoteattr

from .answers import Scan, UnexpectedAnswerError, find, to_bytes, to_text

_TLS = "urn:ietf:params:xml:ns:xmpp-tls"
STARTTLS = to_bytes(f"<starttls xmlns='{_TLS}'/>")

_QUOTE_OR_END = re.compile(rb"[>\"']")
_NOT_SPACE = re.compile(rb"\S")
#: The name of an element, without its prefix.
_NAME = re.compile(rb"</?(?:[^\s/>:]+:)?([^\s/>:]+)")
#: Streams before version 1.0 have no features.
_VERSION = re.compile(rb"\sversion\s*=\s*[\"']0*[1-9]")
_DECLARATION = re.compile(rb"\A\s*<\?xml\s.*?\?>", re.DOTALL)
_CLOSED = re.compile(rb"</(?:[^\s/>:]+:)?stream\s*>\Z")
#: Beginnings of parts that are not tags although they begin with "<!", and their ends.  A stream may have no others.
_NO_TAGS = {b"<!--": b"-->", b"<![C": b"]]>"}


def header(domain: str) -> bytes:
    """Return the header that opens a stream to DOMAIN."""
    return to_bytes(
        f"<?xml version='1.0'?><stream:stream to={quoteattr(domain)} version='1.0' "
        "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
    )


# --- Where an answer ends. ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ElementEnd:
    """An `End`: the end of the stream's first element with one of `names`, or of the stream.

    A header without a version ends the answer too, since the server need not send anything after it.
    """

    names: frozenset[bytes]
    #: Whether an earlier answer began with the header of the stream.
    is_inside: bool

    def __call__(self, data: bytearray) -> Scan[int]:
        depth, end = int(self.is_inside), 0
        while True:
            if not depth:
                yield from _begin(data, end)
            tag, end = yield from _next_tag(data, end)
            if tag.startswith(b"</"):
                depth -= 1
                if depth <= 0:
                    return end
            elif not tag.endswith(b"/>"):
                depth += 1
                if depth == 1 and not _VERSION.search(tag):
                    return end
                continue
            if depth == 1 and _name(tag) in self.names:
                return end


def _begin(data: bytearray, start: int) -> Scan[None]:
    """Wait for the first byte of a document; raise UnexpectedAnswerError if it does not begin a tag."""
    start = yield from _search(data, _NOT_SPACE, start)
    if data[start] != ord("<"):
        end = yield from find(data, b"\n", start)
        raise UnexpectedAnswerError(bytes(data[start : end - 1]))


def _next_tag(data: bytearray, start: int) -> Scan[tuple[bytes, int]]:
    """Return the first tag at or after START, and its end."""
    while True:
        start = (yield from find(data, b"<", start)) - 1
        while len(data) < start + 2:
            yield False
        kind = data[start + 1]
        if kind not in b"?!":
            end = yield from _tag_end(data, start)
            return bytes(data[start:end]), end
        start = yield from (find(data, b"?>", start) if kind == ord("?") else _skip(data, start))


def _skip(data: bytearray, start: int) -> Scan[int]:
    """Return the end of the comment or CDATA section at START."""
    while len(data) < start + 4:
        yield False
    kind = bytes(data[start : start + 4])
    if kind not in _NO_TAGS:
        raise UnexpectedAnswerError(kind)
    return (yield from find(data, _NO_TAGS[kind], start + 4))


def _tag_end(data: bytearray, start: int) -> Scan[int]:
    """Return the end of the tag at START; the values of its attributes may contain ">"."""
    while True:
        end = (yield from _search(data, _QUOTE_OR_END, start)) + 1
        last = bytes(data[end - 1 : end])
        if last == b">":
            return end
        start = yield from find(data, last, end)


def _search(data: bytearray, what: re.Pattern[bytes], start: int) -> Scan[int]:
    """Return the place of the first match of WHAT at or after START."""
    while (found := what.search(data, start)) is None:
        start = len(data)
        yield False
    return found.start()


def _name(tag: bytes) -> bytes | None:
    match = _NAME.match(tag)
    return None if match is None else match[1]


# --- What a complete answer says. -----------------------------------------------------------------------


def starttls(capabilities: str | None) -> bytes | None:
    """A `Command`: STARTTLS if an element of the stream offers it."""
    elements = _elements(to_bytes(capabilities or ""))
    offers = any(element.find(f"{{{_TLS}}}starttls") is not None for element in elements)
    return STARTTLS if offers else None


def is_proceed(answer: bytes) -> bool:
    """A `Test` of the answer to `STARTTLS`."""
    return _name(answer.lstrip()) == b"proceed"


def is_over(answer: bytes) -> bool:
    """A `Test`: whether the stream has an error or has ended."""
    return _error(answer) is not None or _CLOSED.search(answer) is not None


def words(answer: bytes) -> str:
    """`Words`: the condition of a stream error, and its text."""
    error = _error(answer)
    if error is None:
        return to_text(answer)
    conditions = [name for name in map(_local_name, error) if name != "text"]
    return " ".join([*conditions, *(child.text for child in error if child.text)])


def _error(answer: bytes) -> Element | None:
    return next((part for part in _elements(answer) if _local_name(part) == "error"), None)


def _elements(answer: bytes) -> list[Element]:
    """Return the elements of the stream in ANSWER, which begins with the header, as far as they are valid XML."""
    parser: XMLPullParser[Element] = XMLPullParser(("start",))
    # There are no entities to expand, since `ElementEnd` rejects a document that defines them.  The encoding is always
    # UTF-8.
    parser.feed(_DECLARATION.sub(b"", answer).lstrip())
    try:
        events: Iterator[Any] = parser.read_events()
        for _, stream in events:
            return list(stream)
    except ParseError:
        pass
    return []


def _local_name(element: Element) -> str:
    return element.tag.rpartition("}")[2]
