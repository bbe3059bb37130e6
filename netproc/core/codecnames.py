"""The names of coding systems: Emacs's, and the codec of Python's that each stands for.

`core/coding.py` looks names up here.  A system's first name is the one that Emacs shows when it has found out the
line ends.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable

#: First name and aliases, and the codec.
_NAMES: dict[str, str] = {
    "utf-8 mule-utf-8 cp65001 utf-8-emacs emacs-internal": "utf-8",
    "utf-7": "utf-7",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
    "us-ascii ascii iso-safe": "ascii",
    "iso-latin-1 iso-8859-1 latin-1": "latin-1",
    "iso-latin-2 iso-8859-2 latin-2": "iso8859-2",
    "iso-latin-3 iso-8859-3 latin-3": "iso8859-3",
    "iso-latin-4 iso-8859-4 latin-4": "iso8859-4",
    "cyrillic-iso-8bit iso-8859-5": "iso8859-5",
    "iso-8859-6 arabic-iso-8bit": "iso8859-6",
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
    "koi8-t cyrillic-koi8-t": "koi8-t",
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
    "cp850 ibm850": "cp850",
    "cp852 ibm852": "cp852",
    "cp866 cyrillic-alternativnyj": "cp866",
    "mac-roman": "mac-roman",
    "chinese-iso-8bit cn-gb-2312 euc-china euc-cn cn-gb gb2312": "gb2312",
    "chinese-gbk gbk cp936 windows-936": "gbk",
    "chinese-gb18030 gb18030": "gb18030",
    "chinese-hz hz-gb-2312 hz": "hz",
    "chinese-big5 big5 cn-big5 cp950": "big5",
    "chinese-big5-hkscs big5-hkscs cn-big5-hkscs": "big5hkscs",
    "japanese-shift-jis shift_jis sjis": "shift_jis",
    "japanese-cp932 cp932 windows-31j": "cp932",
    "japanese-iso-8bit euc-japan-1990 euc-japan euc-jp": "euc-jp",
    "euc-jis-2004 euc-jisx0213": "euc-jis-2004",
    "iso-2022-jp junet": "iso2022-jp",
    "iso-2022-jp-2": "iso2022-jp-2",
    "iso-2022-jp-2004 iso-2022-jp-3": "iso2022-jp-2004",
    "korean-iso-8bit euc-kr euc-korea": "euc-kr",
    "korean-cp949 cp949": "cp949",
    "korean-iso-7bit-lock iso-2022-kr": "iso2022-kr",
}

#: Every name, with the first name of its system and the codec.
CODECS: dict[str, tuple[str, str]] = {
    name: (names.split()[0], codec) for names, codec in _NAMES.items() for name in names.split()
}

#: How bytes that are not valid stay what they are: as lone surrogates (PEP 383), where Emacs has
#: eight-bit characters.  Python's own handler gives up where a codec complains of an ASCII byte.
ESCAPE = "netproc.escape"


def _escape(error: UnicodeError) -> tuple[str, int]:
    """A decoding goes on behind the first byte that is not valid."""
    assert isinstance(error, UnicodeDecodeError)
    byte = error.object[error.start]
    return chr(0xDC00 + byte if byte >= 0x80 else byte), error.start + 1


def _substitute(by: bytes) -> Callable[[UnicodeError], tuple[bytes, int]]:
    """What is sent for a character that the system has not: BY, but the byte that was escaped."""

    def handler(error: UnicodeError) -> tuple[bytes, int]:
        assert isinstance(error, UnicodeEncodeError)
        code = ord(error.object[error.start])
        return bytes([code - 0xDC00]) if 0xDC80 <= code <= 0xDCFF else by, error.start + 1

    return handler


#: By what Emacs replaces characters that a system has not (N198).
QUESTION_MARK, SPACE = "netproc.question-mark", "netproc.space"

codecs.register_error(ESCAPE, _escape)
codecs.register_error(QUESTION_MARK, _substitute(b"?"))
codecs.register_error(SPACE, _substitute(b" "))
