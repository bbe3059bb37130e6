"""Decoders: chunks of bytes to text, in order.

`core/coding.py` makes the one that a coding system needs; `core/delivery.py` and `packets.py` feed it.

Decoders keep what a chunk leaves unfinished, never fail and never lose a byte: what is not valid becomes a
lone surrogate (PEP 383) that encodes back to the same byte, where Emacs has its eight-bit characters
(N196).
"""

from __future__ import annotations

import codecs
from codecs import utf_8_decode
from typing import Protocol, TypeAlias

from .codecnames import ESCAPE

#: What a filter is given: str, or bytes where the coding system does not decode.
Text: TypeAlias = str | bytes


class Decoder(Protocol):
    """Turns chunks into text, in order."""

    @property
    def name(self) -> str:
        """The name of the system, as far as it has been found out."""

    @property
    def tail(self) -> bytes:
        """The bytes of an unfinished character."""

    def decode(self, data: bytes) -> Text:
        """The text of DATA, never empty, as far as it is complete."""

    def finish(self) -> Text:
        """The text of the unfinished tail: there will be no more data."""


class BytesDecoder:
    """Hands bytes on as they are."""

    __slots__ = ("name",)
    tail = b""

    def __init__(self, name: str) -> None:
        self.name = name

    def decode(self, data: bytes) -> bytes:
        """DATA."""
        return data

    def finish(self) -> bytes:
        """Nothing: there is no tail."""
        return b""


class Utf8Decoder:
    """UTF-8, by far the most usual: Python's incremental decoder takes much longer."""

    __slots__ = ("name", "tail")

    def __init__(self, name: str) -> None:
        self.name = name
        self.tail = b""

    def decode(self, data: bytes) -> str:
        """The complete characters of the tail so far and DATA."""
        if self.tail:
            data = self.tail + data
        text, used = utf_8_decode(data, "surrogateescape", False)
        if used != len(data):
            self.tail = data[used:]
        elif data[-1] >= 0x80 and "\udc80" <= text[-1] <= "\udcff":
            # Emacs too looks at the next byte before it calls one invalid.
            self.tail = data[-1:]
            return text[:-1]
        else:
            self.tail = b""
        return text

    def finish(self) -> str:
        """The tail as lone surrogates."""
        tail, self.tail = self.tail, b""
        return tail.decode("utf-8", "surrogateescape")


class CodecDecoder:
    """Any codec of Python's."""

    __slots__ = ("_decoder", "_utf_16", "name")

    def __init__(self, name: str, codec: str) -> None:
        self.name = name
        # UTF-16 has surrogates of its own, and one of them without the other is not valid.
        self._utf_16 = codec if codec.startswith("utf-16") else None
        errors = ESCAPE if self._utf_16 is None else "surrogatepass"
        self._decoder = codecs.getincrementaldecoder(codec)(errors)

    @property
    def tail(self) -> bytes:
        """See Decoder."""
        return self._decoder.getstate()[0]

    def decode(self, data: bytes) -> str:
        """See Decoder."""
        return self._decoder.decode(data)

    def finish(self) -> str:
        """See Decoder."""
        tail, text = self.tail, ""
        self._decoder.reset()
        if self._utf_16 is not None:
            # The first half of a pair; half of a code unit cannot be kept as text.
            whole = len(tail) // 2 * 2
            text, tail = tail[:whole].decode(self._utf_16, "surrogatepass"), tail[whole:]
        return text + tail.decode("ascii", ESCAPE)


class MarkedDecoder:
    """UTF-8 or UTF-16 with a byte-order mark in front, which is no text; without one it is DEFAULT."""

    __slots__ = ("_default", "_inner", "_start", "name")

    MARKS = (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
    )

    def __init__(self, name: str, default: str) -> None:
        self.name = name
        self._default = default
        self._start = b""
        self._inner: Decoder | None = None

    @property
    def tail(self) -> bytes:
        """See Decoder."""
        return self._inner.tail if self._inner is not None else self._start

    def decode(self, data: bytes) -> Text:
        """See Decoder."""
        if self._inner is not None:
            return self._inner.decode(data)
        data = self._start + data
        if may_become_mark(data):
            self._start = data
            return ""
        self._start = b""
        return self._begin(data)

    def _begin(self, data: bytes) -> Text:
        codec = self._default
        for mark, found in self.MARKS:
            if data.startswith(mark) and (found == "utf-8") == (self._default == "utf-8"):
                data, codec = data[len(mark) :], found
                break
        self._inner = CodecDecoder(self.name, codec)
        return self._inner.decode(data) if data else ""

    def finish(self) -> Text:
        """See Decoder."""
        start, self._start = self._start, b""
        text = self._begin(start) if start else ""
        return text + self._inner.finish() if self._inner is not None else text  # type: ignore[operator]


def may_become_mark(data: bytes) -> bool:
    """Is DATA the beginning of a byte-order mark, but not all of it?"""
    return data in (b"", b"\xef", b"\xef\xbb", b"\xfe", b"\xff")


class UndecidedDecoder:
    """Decides at the first data that is not ASCII what all of it is (D12).

    A byte-order mark in front says so; what is valid UTF-8 so far is UTF-8; a NUL byte among it
    means that nothing is to be decoded, and anything else is Latin-1.
    """

    __slots__ = ("_began", "_eol", "_inner", "_tail", "name")

    def __init__(self, name: str, eol_suffix: str) -> None:
        self.name = name
        self._eol = eol_suffix
        self._inner: Decoder | None = None
        self._tail = b""
        # Has any text been given out?
        self._began = False

    @property
    def tail(self) -> bytes:
        """See Decoder."""
        return self._inner.tail if self._inner is not None else self._tail

    def decode(self, data: bytes) -> Text:
        """See Decoder."""
        if self._inner is not None:
            return self._inner.decode(data)
        if self._tail:
            data = self._tail + data
            self._tail = b""
        elif data.isascii():
            self._began = True
            return data.decode("ascii")
        return self._look(data, at_end=False)

    def finish(self) -> Text:
        """See Decoder."""
        if self._inner is None and self._tail:
            tail, self._tail = self._tail, b""
            return self._look(tail, at_end=True)
        return self._inner.finish() if self._inner is not None else ""

    def _look(self, data: bytes, at_end: bool) -> Text:
        """Decide, unless all that is not ASCII in DATA is unfinished; its text."""
        if not self._began and not at_end and may_become_mark(data):
            self._tail = data
            return ""
        decided = self._decide(data, at_end)
        if decided is None:
            # The first character that is not ASCII is not complete.
            split = next(i for i, byte in enumerate(data) if byte >= 0x80)
            self._began = self._began or split > 0
            self._tail = data[split:]
            return data[:split].decode("ascii")
        self._inner = decided
        self.name = decided.name
        return decided.decode(data)

    def _decide(self, data: bytes, at_end: bool) -> Decoder | None:
        if not self._began and data.startswith((codecs.BOM_UTF16_BE, codecs.BOM_UTF16_LE)):
            return MarkedDecoder(f"utf-16{self._eol}", "utf-16-be")
        if not self._began and data.startswith(codecs.BOM_UTF8):
            return MarkedDecoder(f"utf-8-with-signature{self._eol}", "utf-8")
        if 0 in data:
            return CodecDecoder("no-conversion", "ascii")
        try:
            text, _ = utf_8_decode(data, "strict", at_end)
        except UnicodeDecodeError:
            return CodecDecoder(f"iso-latin-1{self._eol}", "latin-1")
        if text.isascii():
            return None
        return Utf8Decoder(f"utf-8{self._eol}")


class EolDecoder:
    """Line ends of another decoder's text to newlines: of the KIND "dos" or "mac", or as the first
    line end has it, for good (N194, N195).
    """

    __slots__ = ("_base", "_cr", "_crlf", "_found", "_held", "_inner", "_kind", "_lf")

    def __init__(self, inner: Decoder, base: str, kind: str | None, is_text: bool) -> None:
        self._inner = inner
        # The first name of the system, which takes the suffix of what is found.
        self._base = base
        self._kind = kind
        self._cr: Text = "\r" if is_text else b"\r"
        self._lf: Text = "\n" if is_text else b"\n"
        self._crlf: Text = "\r\n" if is_text else b"\r\n"
        # Has reading found out the kind?
        self._found = False
        # A CR that may be the first half of a line end.
        self._held = False

    @property
    def name(self) -> str:
        """See Decoder."""
        if not self._found:
            return self._inner.name
        # Undecided finds out a name by itself.
        undecided = isinstance(self._inner, UndecidedDecoder)
        return f"{self._inner.name if undecided else self._base}-{self._kind}"

    @property
    def tail(self) -> bytes:
        """See Decoder."""
        return (b"\r" if self._held else b"") + self._inner.tail

    def decode(self, data: bytes) -> Text:
        """See Decoder."""
        return self._convert(self._inner.decode(data))

    def finish(self) -> Text:
        """See Decoder."""
        text = self._inner.finish()
        text = self._convert(text) if text else text
        if self._held:
            self._held = False
            text += self._cr  # type: ignore[operator]
        return text

    def _convert(self, text: Text) -> Text:
        if self._kind == "unix" or not text:
            return text
        if self._kind == "mac":
            return text.replace(self._cr, self._lf)  # type: ignore[arg-type]
        if self._held:
            text = self._cr + text  # type: ignore[operator]
            self._held = False
        if self._kind is None and not self._find_out(text):
            return text
        if text.endswith(self._cr):  # type: ignore[arg-type]
            self._held = True
            text = text[:-1]
        return text.replace(self._crlf, self._lf)  # type: ignore[arg-type]

    def _find_out(self, text: Text) -> bool:
        """Is it "dos", or nothing yet that could be held back?  Not if it is "unix" for good."""
        ends = text.count(self._lf)  # type: ignore[arg-type]
        if not ends:
            return True
        pairs = text.count(self._crlf)  # type: ignore[arg-type]
        lone = text.rstrip(self._cr).count(self._cr) - pairs  # type: ignore[arg-type]
        self._kind = "dos" if pairs == ends and lone == 0 else "unix"
        self._found = True
        return self._kind == "dos"
