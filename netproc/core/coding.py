"""Coding systems: names, incremental decoding, encoding.

`core/spec.py` and `process.py` look systems up by name; `core/delivery.py` decodes what arrives with
a decoder made here, `process.py` encodes what is sent.

A coding system is a name of Emacs that gives a way to read bytes and a way to write text.  Decoders
keep what a chunk leaves unfinished, never fail and never lose a byte: what is not valid becomes a
lone surrogate (PEP 383) that encodes back to the same byte, where Emacs has its eight-bit
characters (N196).
"""

from __future__ import annotations

from codecs import utf_8_decode
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from .errors import ProcessArgumentError, not_yet

#: What a filter is given: str, or bytes where the coding system does not decode.
Text: TypeAlias = str | bytes


class Decoder(Protocol):
    """Turns chunks into text, in order."""

    #: The bytes of an unfinished character.
    tail: bytes

    def decode(self, data: bytes) -> Text:
        """The text of DATA, as far as it is complete."""

    def finish(self) -> Text:
        """The text of the unfinished tail: there will be no more data."""


class BytesDecoder:
    """Hands bytes on as they are."""

    __slots__ = ()
    tail = b""

    def decode(self, data: bytes) -> bytes:
        """DATA."""
        return data

    def finish(self) -> bytes:
        """Nothing: there is no tail."""
        return b""


class Utf8Decoder:
    """UTF-8; bytes that are not valid become lone surrogates."""

    __slots__ = ("tail",)

    def __init__(self) -> None:
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


_BYTES = BytesDecoder()


@dataclass(frozen=True, slots=True)
class CodingSystem:
    """A coding system by its Emacs name."""

    name: str
    #: Does it decode, so that the filter gets str?
    multibyte: bool

    def decoder(self, multibyte: bool = True) -> Decoder:
        """A new decoder; without MULTIBYTE the filter wants bytes all the same (D11)."""
        return Utf8Decoder() if self.multibyte and multibyte else _BYTES

    def encode(self, text: str) -> bytes:
        """The bytes of TEXT; a system that does not decode writes UTF-8 too (N194).

        Raises ProcessArgumentError for what has no encoding: surrogates that stand for no byte.
        """
        try:
            return text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError as error:
            problem = f"character {text[error.start]!r} has no encoding in {self.name}"
            raise ProcessArgumentError("text", problem) from None


#: The decoding and the encoding system of a process.
Coding: TypeAlias = tuple[CodingSystem, CodingSystem]

_SYSTEMS = {
    name: CodingSystem(name, multibyte)
    for name, multibyte in (
        ("undecided", True),
        ("undecided-unix", True),
        ("utf-8", True),
        ("utf-8-unix", True),
        ("binary", False),
        ("no-conversion", False),
    )
}

#: Without `coding=` (D12): characters by what arrives, line ends untouched; UTF-8 is sent.
DEFAULT: Coding = (_SYSTEMS["undecided-unix"], _SYSTEMS["utf-8-unix"])


def coding_system(name: object) -> CodingSystem:
    """The coding system NAME, or ProcessArgumentError."""
    if not isinstance(name, str):
        raise ProcessArgumentError("coding", f"{name!r} is not the name of a coding system")
    try:
        return _SYSTEMS[name]
    except KeyError:
        raise not_yet("coding", f"coding system {name!r}") from None


def coding_pair(value: object) -> Coding:
    """What `coding=` was given: None, a name for both ways, or (decoding, encoding)."""
    if value is None:
        return DEFAULT
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            raise ProcessArgumentError("coding", f"{value!r} is not (decoding, encoding)")
        decoding, encoding = value
        return (
            DEFAULT[0] if decoding is None else coding_system(decoding),
            DEFAULT[1] if encoding is None else coding_system(encoding),
        )
    system = coding_system(value)
    return system, system
