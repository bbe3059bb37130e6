"""The names of Emacs's coding systems, and Python's codec for each.

`core/coding.py` looks names up here.  The first name of a coding system is the one that Emacs shows after it has
detected the line ends.
"""

from __future__ import annotations

import codecs
import re

#: First name and aliases, and the codec.  UTF-7 is left out, since its decoder may keep input without a limit.
_NAMES: dict[str, str] = {
    "utf-8 mule-utf-8 cp65001 utf-8-emacs emacs-internal": "utf-8",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
    "us-ascii ascii iso-safe": "ascii",
    "iso-latin-1 iso-8859-1 latin-1": "latin-1",
    "iso-latin-2 iso-8859-2 latin-2": "iso8859-2",
    "iso-latin-3 iso-8859-3 latin-3": "iso8859-3",
    "iso-latin-4 iso-8859-4 latin-4": "iso8859-4",
    "cyrillic-iso-8bit iso-8859-5": "iso8859-5",
    "iso-8859-6": "iso8859-6",
    "greek-iso-8bit iso-8859-7": "iso8859-7",
    "hebrew-iso-8bit iso-8859-8 iso-8859-8-e iso-8859-8-i": "iso8859-8",
    "iso-latin-5 iso-8859-9 latin-5": "iso8859-9",
    "iso-latin-6 iso-8859-10 latin-6": "iso8859-10",
    "thai-tis620 th-tis620 tis620 tis-620": "tis-620",
    "iso-8859-11": "iso8859-11",
    "iso-latin-7 iso-8859-13 latin-7": "iso8859-13",
    "iso-latin-8 iso-8859-14 latin-8": "iso8859-14",
    "iso-latin-9 iso-8859-15 latin-9 latin-0": "iso8859-15",
    "iso-latin-10 iso-8859-16 latin-10": "iso8859-16",
    "cyrillic-koi8 koi8-r koi8 cp878": "koi8-r",
    "koi8-u": "koi8-u",
    "koi8-t": "koi8-t",
    "windows-1250 cp1250": "cp1250",
    "windows-1251 cp1251": "cp1251",
    "windows-1252 cp1252": "cp1252",
    "windows-1253 cp1253": "cp1253",
    "windows-1254 cp1254": "cp1254",
    "windows-1255 cp1255": "cp1255",
    "windows-1256 cp1256": "cp1256",
    "windows-1257 cp1257": "cp1257",
    "windows-1258 cp1258": "cp1258",
    "cp437 ibm437": "cp437",
    "cp737": "cp737",
    "cp775 ibm775": "cp775",
    "cp850 ibm850": "cp850",
    "cp852 ibm852": "cp852",
    "cp855 ibm855": "cp855",
    "cp857 ibm857": "cp857",
    "cp858": "cp858",
    "cp860 ibm860": "cp860",
    "cp861 ibm861": "cp861",
    "cp862 ibm862": "cp862",
    "cp863 ibm863": "cp863",
    "cp865 ibm865": "cp865",
    "cp866": "cp866",
    "cp869 ibm869": "cp869",
    "cp874 ibm874": "cp874",
    "cp1125 ruscii cp866u": "cp1125",
    "ibm273 cp273": "cp273",
    "pt154": "ptcp154",
    "hp-roman8 roman8": "hp-roman8",
    "mac-roman macintosh": "mac-roman",
    "chinese-iso-8bit cn-gb-2312 euc-china euc-cn cn-gb gb2312": "gb2312",
    "chinese-gbk gbk cp936 windows-936": "gbk",
    "chinese-gb18030 gb18030": "gb18030",
    "chinese-hz hz-gb-2312 hz": "hz",
    "chinese-big5 big5 cn-big5 cp950": "cp950",
    "chinese-big5-hkscs big5-hkscs cn-big5-hkscs": "big5hkscs",
    "japanese-shift-jis shift_jis sjis": "shift_jis",
    "japanese-shift-jis-2004 shift_jis-2004": "shift-jis-2004",
    "japanese-cp932 cp932": "cp932",
    "japanese-iso-8bit euc-japan-1990 euc-japan euc-jp": "euc-jp",
    "euc-jis-2004 euc-jisx0213": "euc-jis-2004",
    "iso-2022-jp junet": "iso2022-jp",
    "iso-2022-jp-2": "iso2022-jp-2",
    "iso-2022-jp-2004 iso-2022-jp-3": "iso2022-jp-2004",
    "korean-iso-8bit euc-kr euc-korea ks_c_5601-1987": "euc-kr",
    "korean-cp949 cp949": "cp949",
    "iso-2022-kr korean-iso-7bit-lock": "iso2022-kr",
}

#: Every name, with the first name of its system and the codec.
CODECS: dict[str, tuple[str, str]] = {
    name: (names.split()[0], codec) for names, codec in _NAMES.items() for name in names.split()
}

#: Error handlers for invalid bytes: byte B becomes the lone surrogate U+DC00 + B (PEP 383), where Emacs has an eight-bit
#: character.  Python's own handler does that too, but fails if a codec rejects an ASCII byte.  In UTF-16 an ASCII byte
#: is escaped too; in other encodings it becomes its character.  When text is encoded, such a surrogate becomes the byte
#: again.
ESCAPE, ESCAPE_UNITS = "netproc.escape", "netproc.escape-units"

#: As ESCAPE, but it never fails: a character that the codec does not have is written as UTF-8.
UNDO = "netproc.undo"


def decode_errors(codec: str) -> str:
    """Return the name of the error handler for decoding CODEC."""
    if codec.startswith("utf-16"):
        return ESCAPE_UNITS
    return ESCAPE if codec.startswith("iso2022") or codec == "hz" else "surrogateescape"


def _escape(error: UnicodeError) -> tuple[str | bytes, int]:
    """Escape the first invalid byte; decoding continues after it."""
    if isinstance(error, UnicodeEncodeError):
        return _unescape(error)
    assert isinstance(error, UnicodeDecodeError)
    byte = error.object[error.start]
    return chr(0xDC00 + byte if byte >= 0x80 else byte), error.start + 1


def _escape_units(error: UnicodeError) -> tuple[str, int]:
    """Escape the invalid code unit; decoding continues after it."""
    assert isinstance(error, UnicodeDecodeError)
    invalid = error.object[error.start : error.end]
    return "".join([chr(0xDC00 + byte) for byte in invalid]), error.end


def _unescape(error: UnicodeEncodeError) -> tuple[bytes, int]:
    """Encode the surrogates that stand for bytes; raise ERROR if there is none at this place."""
    escaped = _ESCAPED.match(error.object, error.start, error.end)
    if escaped is None:
        raise error
    return bytes([ord(unit) & 0xFF for unit in escaped[0]]), escaped.end()


def _undo(error: UnicodeError) -> tuple[bytes, int]:
    """Encode the characters that the codec does not have."""
    assert isinstance(error, UnicodeEncodeError)
    found = [
        _undone(character, error.encoding) for character in error.object[error.start : error.end]
    ]
    return b"".join(found), error.end


def _undone(character: str, encoding: str) -> bytes:
    if "\udc00" <= character <= "\udcff":
        return bytes([ord(character) & 0xFF])
    if encoding.startswith("iso2022") and "\x80" <= character <= "\x9f":
        # Python decodes a control character after the single shift ESC N to one of these, but does not encode it.
        return b"\x1b.A\x1bN" + bytes([ord(character) & 0x7F])
    return character.encode("utf-8", "surrogatepass")


_ESCAPED = re.compile("[\udc00-\udcff]+")

codecs.register_error(ESCAPE, _escape)
codecs.register_error(ESCAPE_UNITS, _escape_units)
codecs.register_error(UNDO, _undo)
