"""Coding systems: what each of Emacs's names means for decoding and encoding.

`core/spec.py` and `process/settings.py` look coding systems up by name.  `core/delivery.py` decodes input with a decoder
that is made here (`core/decoders.py`), and `process/process.py` encodes output.

A name is one of `core/codecnames.py`, or one of those below that are not codecs.  The suffix "-unix", "-dos" or "-mac"
says how lines end; without it, decoding detects the line ends and encoding leaves newlines as they are (N194).
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from .codecnames import CODECS, ESCAPE
from .decoders import (
    NO_CONVERSION,
    Decoder,
    EolDecoder,
    MarkedDecoder,
    Text,
    UndecidedDecoder,
    Utf8Decoder,
    bytes_decoder,
    codec_decoder,
    encode_units,
)
from .errors import ProcessArgumentError, argument
from .escape import escape, shown

__all__ = ["DEFAULT", "Coding", "CodingSystem", "Decoder", "Text", "coding_pair", "coding_system"]

_NEWLINES = {"dos": "\r\n", "mac": "\r"}


@dataclass(frozen=True, slots=True)
class CodingSystem:
    """A coding system by its Emacs name."""

    name: str
    #: The first name of the coding system, without a suffix.
    base: str
    #: Python's codec; None if bytes stay bytes.
    codec: str | None
    #: "unix", "dos", "mac", or None if decoding detects it.
    eol: str | None
    #: "undecided" if the input decides, "marked" if a byte-order mark does, "escaped" if input is never decoded, else None.
    looks: str | None = None
    #: The bytes that are written before the first text.
    signature: bytes = b""

    #: Whether it decodes, so that the filter is called with str.
    multibyte: bool = field(init=False)
    #: Whether writing text changes the coding system, see `settled`.
    unsettled: bool = field(init=False)
    #: Whether bytes are written as they are.
    keeps_bytes: bool = field(init=False)
    # How text is written.
    _newline: str | None = field(init=False)
    _writes: tuple[str, str] = field(init=False)
    # Whether writing is encoding in UTF-8 and nothing else.
    _is_plain: bool = field(init=False)

    def __post_init__(self) -> None:
        """Set the attributes that every `send` needs."""
        codec = self.codec or "utf-8"
        found = {
            "multibyte": self.codec is not None,
            "unsettled": self.eol is None or bool(self.signature),
            "keeps_bytes": self.eol not in _NEWLINES,
            "_newline": _NEWLINES.get(self.eol or ""),
            "_is_plain": codec == "utf-8" and self.eol not in _NEWLINES and not self.signature,
            "_writes": (codec, "strict" if codec.startswith("utf-16") else "surrogateescape"),
        }
        for name, value in found.items():
            object.__setattr__(self, name, value)

    def decoder(self, multibyte: bool = True) -> Decoder:
        """Return a new decoder; without MULTIBYTE it gives bytes whatever the coding system is (D11)."""
        made = self._decoder(multibyte)
        if self.eol == "unix":
            return made
        if multibyte and self.multibyte:
            return EolDecoder(made, None if self.looks else self.base, self.eol, is_text=True)
        return EolDecoder(made, "raw-text", self.eol, is_text=False)

    def _decoder(self, multibyte: bool) -> Decoder:
        if self.codec is None:
            return bytes_decoder(self.name)
        if not multibyte:
            return bytes_decoder(f"raw-text{self._suffix}")
        if self.looks == "undecided":
            return UndecidedDecoder(self.name, self._suffix)
        if self.looks == "marked":
            return MarkedDecoder(self.name, self.codec, self._suffix)
        if self.looks == "escaped":
            return codec_decoder(self.name, "ascii")
        if self.codec == "utf-8":
            return Utf8Decoder(self.name)
        return codec_decoder(self.name, self.codec)

    @property
    def _suffix(self) -> str:
        return f"-{self.eol}" if self.eol is not None else ""

    def encode(self, text: str) -> bytes:
        """Return the bytes of TEXT; a coding system that does not decode encodes in UTF-8 (N194).

        Characters that the coding system does not have are replaced as in Emacs (N198).  Raises
        ProcessArgumentError for lone surrogates that stand for no byte, since they have no encoding.
        """
        if self._is_plain:
            try:
                return text.encode()
            except UnicodeEncodeError:
                pass
        return self._encode(text)

    def _encode(self, text: str) -> bytes:
        if self._newline is not None:
            text = text.replace("\n", self._newline)
        try:
            data = text.encode(*self._writes)
        except UnicodeEncodeError:
            data = self._encode_replacing(text)
        return self.signature + data if self.signature and text else data

    def _encode_replacing(self, text: str) -> bytes:
        codec, _ = self._writes
        if codec.startswith("utf-16"):
            return encode_units(text, codec)
        missing = {character for character in set(text) if not _has(codec, character)}
        if missing and codec == "utf-8":
            problem = f"character {min(missing)!r} has no encoding in {self.name}"
            raise ProcessArgumentError("text", problem)
        by = "?" if codec == "ascii" else " "
        return text.translate({ord(character): by for character in missing}).encode(codec, ESCAPE)

    def encode_bytes(self, data: bytes) -> bytes:
        """Return DATA with its line ends written as those of text are (N198)."""
        return data.replace(b"\n", self._newline.encode()) if self._newline is not None else data

    @property
    def settled(self) -> CodingSystem:
        """The coding system that an `unsettled` one becomes when text has been written.

        Emacs then shows the first name, and a suffix for the line ends (N193).
        """
        base = "utf-8" if self.looks == "undecided" else self.base
        eol = self.eol or "unix"
        return replace(self, name=f"{base}-{eol}", base=base, eol=eol, signature=b"")

    def for_writing(self) -> CodingSystem:
        """Return the coding system for output: the same, with "-unix" line ends if it says none (N199)."""
        if self.eol is not None:
            return self
        return replace(self, name=f"{self.base}-unix", eol="unix")


def _has(codec: str, character: str) -> bool:
    """Whether CODEC has CHARACTER; a surrogate that stands for a byte counts too."""
    try:
        character.encode(codec, ESCAPE)
    except UnicodeEncodeError:
        return False
    return True


#: The decoding and the encoding system of a process.
Coding: TypeAlias = tuple[CodingSystem, CodingSystem]

_BYTES = ("binary", "no-conversion")
_LOOKING: dict[str, tuple[str, str, bytes]] = {
    "undecided": ("undecided", "utf-8", b""),
    "prefer-utf-8": ("undecided", "utf-8", b""),
    "utf-16": ("marked", "utf-16-be", codecs.BOM_UTF16_BE),
    "utf-16be-with-signature": ("marked", "utf-16-be", codecs.BOM_UTF16_BE),
    "utf-16-be": ("marked", "utf-16-be", codecs.BOM_UTF16_BE),
    "utf-16le-with-signature": ("marked", "utf-16-le", codecs.BOM_UTF16_LE),
    "utf-16-le": ("marked", "utf-16-le", codecs.BOM_UTF16_LE),
    "utf-8-with-signature": ("marked", "utf-8", codecs.BOM_UTF8),
    "utf-8-auto": ("marked", "utf-8", b""),
}


def _known(name: str) -> CodingSystem | None:
    """Return the coding system NAME, or None."""
    if name in _BYTES:
        return CodingSystem(name, name, None, "unix")
    if name == NO_CONVERSION:
        return CodingSystem(name, name, "utf-8", "unix", "escaped")
    base, eol = name, None
    for kind in ("unix", "dos", "mac"):
        if name.endswith(f"-{kind}"):
            base, eol = name.removesuffix(f"-{kind}"), kind
    if base == "raw-text":
        return CodingSystem(name, base, None, eol)
    if base in _LOOKING:
        return CodingSystem(
            name, base, _LOOKING[base][1], eol, _LOOKING[base][0], _LOOKING[base][2]
        )
    if base in CODECS:
        first, codec = CODECS[base]
        return CodingSystem(name, first, codec, eol)
    return None


_found: dict[str, CodingSystem] = {}


def coding_system(name: object) -> CodingSystem:
    """Return the coding system NAME; raise ProcessArgumentError if there is none of this name."""
    if not isinstance(name, str):
        raise ProcessArgumentError("coding", f"{shown(name)} is not the name of a coding system")
    if name not in _found:
        system = _known(name)
        if system is None:
            raise ProcessArgumentError("coding", f"Invalid coding system: {escape(name)}")
        _found[name] = system
    return _found[name]


#: Without `coding` (D12): the input decides how it is decoded, its line ends stay, and output is UTF-8.
DEFAULT: Coding = (coding_system("undecided-unix"), coding_system("utf-8-unix"))


@argument("coding")
def coding_pair(value: object) -> Coding:
    """Return the coding systems that VALUE names: None, one name for both ways, or (decoding, encoding).

    Raises ProcessArgumentError for anything else.
    """
    if value is None:
        return DEFAULT
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            raise ProcessArgumentError("coding", f"{shown(value)} is not (decoding, encoding)")
        decoding, encoding = value
        return (
            DEFAULT[0] if decoding is None else coding_system(decoding),
            DEFAULT[1] if encoding is None else coding_system(encoding),
        )
    system = coding_system(value)
    return system, system
