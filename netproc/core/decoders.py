"""Decoders: conversion of received bytes to text, piece by piece.

`core/coding.py` makes the decoder of a coding system.

A decoder keeps an incomplete character until the next piece.  It never fails and never loses a byte: an invalid byte
becomes a lone surrogate (PEP 383), which encodes to the same byte.  Emacs has eight-bit characters there (N196).
"""

from __future__ import annotations

import codecs
import re
from codecs import utf_8_decode
from functools import cache
from typing import Any, Protocol, TypeAlias

from .codecnames import ESCAPE_UNITS, UNDO, decode_errors

#: The input of a filter: str, or bytes if the coding system does not decode.
Text: TypeAlias = str | bytes


class Decoder(Protocol):
    """Converts pieces of a stream of bytes to text, in order."""

    @property
    def name(self) -> str:
        """The name of the coding system, as far as it has been detected."""

    @property
    def codec(self) -> str:
        """Python's codec that is in use now; "ascii" if bytes stay bytes."""

    @property
    def tail(self) -> bytes:
        """The bytes of an incomplete character."""

    @property
    def keeps_bytes(self) -> bool:
        """Whether decoding returns the bytes as they are, so that `decode` need not be called."""

    def decode(self, data: bytes) -> Text:
        """Return the complete characters of the tail and DATA, which is usually not empty."""

    def finish(self) -> Text:
        """Return the text of the incomplete tail, since no more data will come."""

    def undo(self, text: Any) -> bytes:
        """Return bytes that decode to TEXT.

        For text of this decoder these are the bytes that it was decoded from, except where different line ends or
        escape sequences decode to the same text.
        """


class BytesDecoder:
    """A decoder that returns bytes as they are.  It has no state, so `bytes_decoder` makes one for each NAME."""

    __slots__ = ("name",)
    codec = "ascii"
    tail = b""
    keeps_bytes = True

    def __init__(self, name: str) -> None:
        self.name = name

    def decode(self, data: bytes) -> bytes:
        return data

    def finish(self) -> bytes:
        return b""

    def undo(self, text: bytes) -> bytes:
        return text


bytes_decoder = cache(BytesDecoder)


class Utf8Decoder:
    """A decoder of UTF-8, by far the most usual encoding.  Python's incremental decoder takes much longer."""

    __slots__ = ("name", "tail")
    keeps_bytes = False
    codec = "utf-8"

    def __init__(self, name: str) -> None:
        self.name = name
        self.tail = b""

    def decode(self, data: bytes) -> str:
        """Return the complete characters of the tail and DATA."""
        try:
            if data[-1] < 0x80 and not self.tail:
                # No character is incomplete.  This takes half the time of the code below.
                return data.decode()
        except IndexError:
            # The transport of another library may deliver an empty piece.
            return ""
        except UnicodeDecodeError:
            pass
        return self._decode_carefully(self.tail + data)

    def _decode_carefully(self, data: bytes) -> str:
        text, used = utf_8_decode(data, "surrogateescape", False)
        if used != len(data):
            self.tail = data[used:]
        elif data[-1] >= 0x80 and "\udc80" <= text[-1] <= "\udcff":
            # Like Emacs, look at the next byte before this one counts as invalid.
            self.tail = data[-1:]
            return text[:-1]
        else:
            self.tail = b""
        return text

    def finish(self) -> str:
        """Return the tail as lone surrogates."""
        tail, self.tail = self.tail, b""
        return tail.decode("utf-8", "surrogateescape")

    def undo(self, text: str) -> bytes:
        return encode_all(text, "utf-8")


class CodecDecoder:
    """A decoder that uses any of Python's codecs."""

    __slots__ = ("_decoder", "_errors", "codec", "name")
    keeps_bytes = False

    def __init__(self, name: str, codec: str) -> None:
        self.name = name
        self.codec = codec
        self._errors = decode_errors(codec)
        self._decoder = codecs.getincrementaldecoder(codec)(self._errors)

    @property
    def tail(self) -> bytes:
        return self._decoder.getstate()[0]

    def decode(self, data: bytes) -> str:
        return self._decoder.decode(data)

    def finish(self) -> str:
        text = self._give_up_tail()
        self._decoder.reset()
        return text

    def undo(self, text: str) -> bytes:
        if self._errors == ESCAPE_UNITS:
            return encode_units(text, self.codec)
        return encode_all(text, self.codec)

    def _give_up_tail(self) -> str:
        """Return the tail as invalid bytes; the other state of the codec stays."""
        tail, state = self._decoder.getstate()
        self._decoder.setstate((b"", state))
        return tail.decode(self.codec if self._errors == ESCAPE_UNITS else "ascii", self._errors)


class EscapeSequenceDecoder(CodecDecoder):
    """A decoder of ISO 2022, which changes its character set by escape sequences.

    After an ESC, Python's decoders wait for up to 16 bytes, and raise UnicodeError after more than 8.  So they get only
    an ESC that can begin an escape sequence; any other ESC is a character.
    """

    __slots__ = ("_held",)

    # Sequences such as ESC B, ESC ( B, ESC $ B and ESC $ ( B, and the ESC & @ that may stand before ESC $ B.
    _UNFINISHED = re.compile(rb"\x1b(?:\$?[(-/]?|&@?|&@\x1b\$?)\Z")
    _STRAY = re.compile(rb"\x1b(?!\$?[(-/]?[@-Z]|&@\x1b\$B)")

    def __init__(self, name: str, codec: str) -> None:
        super().__init__(name, codec)
        # The beginning of an incomplete sequence.
        self._held = b""

    @property
    def tail(self) -> bytes:
        return super().tail + self._held

    def decode(self, data: bytes) -> str:
        data = self._held + data
        unfinished = self._UNFINISHED.search(data)
        complete = unfinished.start() if unfinished else len(data)
        data, self._held = data[:complete], data[complete:]
        *before, last = self._STRAY.split(data)
        pieces = []
        for piece in before:
            pieces += [self._decoder.decode(piece), self._give_up_tail(), "\x1b"]
        return "".join(pieces) + self._decoder.decode(last)

    def finish(self) -> str:
        held, self._held = self._held, b""
        return super().finish() + held.decode("ascii")


def codec_decoder(name: str, codec: str) -> CodecDecoder:
    """Return a decoder for the coding system NAME, which uses Python's CODEC."""
    kind = EscapeSequenceDecoder if codec.startswith("iso2022") else CodecDecoder
    return kind(name, codec)


def encode_all(text: str, codec: str) -> bytes:
    """Return TEXT encoded by CODEC; characters that the codec does not have are encoded as UTF-8."""
    try:
        return text.encode(codec, "surrogateescape")
    except UnicodeEncodeError:
        return text.encode(codec, UNDO)


#: Bytes that were not valid in UTF-16, see `ESCAPE_UNITS`.
_ESCAPED_UNITS = re.compile("([\udc00-\udcff]+)")


def encode_units(text: str, codec: str) -> bytes:
    """Return TEXT encoded by CODEC, a form of UTF-16.

    Surrogates that stand for bytes become these bytes; other surrogates are encoded as they are.
    """
    pieces = enumerate(_ESCAPED_UNITS.split(text))
    return b"".join(
        bytes([ord(unit) & 0xFF for unit in piece])
        if number % 2
        else piece.encode(codec, "surrogatepass")
        for number, piece in pieces
    )


class MarkedDecoder:
    """A decoder of UTF-8 or UTF-16 that drops a byte-order mark at the beginning; without a mark the codec is DEFAULT."""

    __slots__ = ("_default", "_eol", "_inner", "_start", "name")
    keeps_bytes = False

    MARKS = (
        (codecs.BOM_UTF8, "utf-8", "utf-8-with-signature"),
        (codecs.BOM_UTF16_BE, "utf-16-be", "utf-16be-with-signature"),
        (codecs.BOM_UTF16_LE, "utf-16-le", "utf-16le-with-signature"),
    )

    def __init__(self, name: str, default: str, eol_suffix: str) -> None:
        self.name = name
        self._default = default
        self._eol = eol_suffix
        self._start = b""
        self._inner: CodecDecoder | None = None

    @property
    def codec(self) -> str:
        return self._inner.codec if self._inner is not None else self._default

    @property
    def tail(self) -> bytes:
        return self._inner.tail if self._inner is not None else self._start

    def decode(self, data: bytes) -> Text:
        if self._inner is not None:
            return self._inner.decode(data)
        data = self._start + data
        if may_become_mark(data):
            self._start = data
            return ""
        self._start = b""
        return self._begin(data)

    def _begin(self, data: bytes) -> str:
        codec = self._default
        for mark, found, name in self.MARKS:
            if data.startswith(mark) and (found == "utf-8") == (self._default == "utf-8"):
                data, codec = data[len(mark) :], found
                self.name = name + self._eol
                break
        self._inner = codec_decoder(self.name, codec)
        return self._inner.decode(data) if data else ""

    def finish(self) -> Text:
        start, self._start = self._start, b""
        text = self._begin(start) if start else ""
        return text + self._inner.finish() if self._inner is not None else text

    def undo(self, text: str) -> bytes:
        return (self._inner or codec_decoder(self.name, self._default)).undo(text)


def may_become_mark(data: bytes) -> bool:
    """Whether DATA is the beginning of a byte-order mark, but not all of it."""
    return data in (b"", b"\xef", b"\xef\xbb", b"\xfe", b"\xff")


#: The coding system that gives text without decoding: bytes that are not ASCII are lone surrogates.
NO_CONVERSION = "no-conversion-multibyte"


class UndecidedDecoder:
    """A decoder that chooses the coding system at the first input that is not ASCII, for all input from then on (D12).

    A byte-order mark at the beginning decides.  Otherwise, if there is a NUL byte, nothing is decoded; valid UTF-8 is
    UTF-8, and anything else is Latin-1.  The result is always text.
    """

    __slots__ = ("_began", "_eol", "_inner", "_tail", "name")
    keeps_bytes = False

    def __init__(self, name: str, eol_suffix: str) -> None:
        self.name = name
        self._eol = eol_suffix
        self._inner: Decoder | None = None
        self._tail = b""
        # Whether any text has been returned.
        self._began = False

    @property
    def codec(self) -> str:
        return self._inner.codec if self._inner is not None else "ascii"

    @property
    def tail(self) -> bytes:
        return self._inner.tail if self._inner is not None else self._tail

    def decode(self, data: bytes) -> Text:
        if self._inner is not None:
            return self._inner.decode(data)
        if not self._tail:
            # A str knows whether it is ASCII; bytes would have to be searched.
            try:
                text = data.decode()
            except UnicodeDecodeError:
                pass
            else:
                if text.isascii():
                    self._began = self._began or bool(text)
                    return text
        data, self._tail = self._tail + data, b""
        return self._look(data)

    def finish(self) -> Text:
        if self._inner is None and self._tail:
            # An incomplete character or byte-order mark: as in Emacs, the input is UTF-8.
            tail, self._tail = self._tail, b""
            begun: Any = self._begin(self._utf_8(), tail)
            return begun + self._finish()  # type: ignore[no-any-return]
        return self._finish()

    def _finish(self) -> Text:
        return self._inner.finish() if self._inner is not None else ""

    def undo(self, text: str) -> bytes:
        return (self._inner or Utf8Decoder(self.name)).undo(text)

    def _look(self, data: bytes) -> Text:
        """Choose the coding system by DATA, unless its only character that is not ASCII is incomplete; return the text."""
        if not self._began and may_become_mark(data):
            self._tail = data
            return ""
        decided = self._decide(data)
        if decided is not None:
            return self._begin(decided, data)
        # The first character that is not ASCII is incomplete.
        split = next(i for i, byte in enumerate(data) if byte >= 0x80)
        self._began = self._began or split > 0
        self._tail = data[split:]
        return data[:split].decode("ascii")

    def _begin(self, decided: Decoder, data: bytes) -> Text:
        self._inner = decided
        text = decided.decode(data)
        self.name = decided.name
        return text

    def _decide(self, data: bytes) -> Decoder | None:
        if not self._began and data.startswith((codecs.BOM_UTF16_BE, codecs.BOM_UTF16_LE)):
            return MarkedDecoder(self.name, "utf-16-be", self._eol)
        if not self._began and data.startswith(codecs.BOM_UTF8):
            return MarkedDecoder(self.name, "utf-8", self._eol)
        if 0 in data:
            return CodecDecoder(NO_CONVERSION, "ascii")
        try:
            text, _ = utf_8_decode(data, "strict", False)
        except UnicodeDecodeError:
            return CodecDecoder(f"iso-latin-1{self._eol}", "latin-1")
        return None if text.isascii() else self._utf_8()

    def _utf_8(self) -> Decoder:
        return Utf8Decoder(f"utf-8{self._eol}")


class EolDecoder:
    """A decoder that changes the line ends of another decoder's text to newlines (N194, N195).

    KIND is "dos" or "mac", or None: then the first input with a line end decides.
    """

    __slots__ = ("_base", "_cr", "_crlf", "_found", "_held", "_inner", "_kind", "_lf", "_passes")
    keeps_bytes = False

    def __init__(self, inner: Decoder, base: str | None, kind: str | None, is_text: bool) -> None:
        self._inner = inner
        # The first name of the coding system, to which the suffix is added; None if INNER detects the coding system.
        self._base = base
        self._kind = kind
        # Of the type that INNER returns.
        self._cr: Any = "\r" if is_text else b"\r"
        self._lf: Any = "\n" if is_text else b"\n"
        self._crlf: Any = "\r\n" if is_text else b"\r\n"
        # Whether the kind was detected.
        self._found = False
        # A CR that may be the first half of a line end.
        self._held = False
        # Whether the kind is "unix", so that nothing is left to do.
        self._passes = False

    @property
    def name(self) -> str:
        if not self._found:
            return self._inner.name
        return f"{self._base or self._inner.name}-{self._kind}"

    @property
    def codec(self) -> str:
        return self._inner.codec

    @property
    def tail(self) -> bytes:
        return ("\r".encode(self.codec) if self._held else b"") + self._inner.tail

    def decode(self, data: bytes) -> Text:
        text = self._inner.decode(data)
        return text if self._passes else self._convert(text, at_end=False)

    def finish(self) -> Text:
        return self._convert(self._inner.finish(), at_end=True)

    def undo(self, text: Any) -> bytes:
        ends = {"dos": self._crlf, "mac": self._cr}
        return self._inner.undo(text.replace(self._lf, ends.get(self._kind or "", self._lf)))

    def _convert(self, text: Any, at_end: bool) -> Text:
        if self._held and (text or at_end):
            text = self._cr + text
            self._held = False
        if self._inner.name == NO_CONVERSION:
            # Input that is not decoded has no lines either.
            self._kind, self._found = "unix", False
        elif self._kind is None:
            self._find_out(text, at_end)
        self._passes = self._kind == "unix"
        if self._kind in (None, "dos") and not at_end and text.endswith(self._cr):
            self._held = True
            text = text[:-1]
        if self._kind == "dos":
            text = text.replace(self._crlf, self._lf)
        elif self._kind == "mac":
            text = text.replace(self._cr, self._lf)
        return text  # type: ignore[no-any-return]

    def _find_out(self, text: Any, at_end: bool) -> None:
        """Set the kind if there is a line end in TEXT.

        With an LF it is "dos" if a CR precedes each LF, otherwise "unix".  With CRs only it is "mac"; a CR at the end
        does not count yet, since it may be half a line end.
        """
        ends = text.count(self._lf)
        if ends:
            self._kind = "dos" if text.count(self._crlf) == ends else "unix"
        elif self._cr in (text if at_end else text[:-1]):
            self._kind = "mac"
        self._found = self._kind is not None
