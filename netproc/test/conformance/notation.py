"""The notation of text in traces, and the errors of a scenario.

This interpreter and `run_emacs.el` write the same bytes in the same way.
"""

from __future__ import annotations

import hashlib
import re

#: Longer text is written as its length and a digest.
SUMMARY_LIMIT = 2000

PLAIN = re.compile(r"[ -\[\]-~]*")
SUMMARY = re.compile(r"<\d+ escaped characters, sha1")

_NAMED = {10: "\\n", 13: "\\r", 9: "\\t", 92: "\\\\"}


class CallbackError(RuntimeError):
    """The exception that the step {"op": "raise"} raises in a callback; `handle` is the process of the call."""

    def __init__(self, message, handle):
        super().__init__(message)
        self.handle = handle


class ScenarioError(Exception):
    """Raised if the scenario is wrong, or if a process that it needs was not made."""


def escape(data):
    """Return text in printable form: raw bytes as \\xNN, other non-ASCII characters as \\u{N}."""
    raw = isinstance(data, (bytes, bytearray, memoryview))
    text = bytes(data).decode("latin-1") if raw else data
    if PLAIN.fullmatch(text):
        return text
    return "".join(_escape_char(ord(char), raw) for char in text)


def _escape_char(code, raw):
    if code in _NAMED:
        return _NAMED[code]
    if 32 <= code < 127:
        return chr(code)
    if code < 32 or code == 127 or raw:
        return f"\\x{code:02x}"
    if 0xDC80 <= code <= 0xDCFF:
        # A lone surrogate represents a byte.
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{{{code:x}}}"


def short(text):
    """Return TEXT, or its length and a digest if it is long."""
    if len(text) > SUMMARY_LIMIT:
        digest = hashlib.sha1(text.encode("ascii")).hexdigest()
        return f"<{len(text)} escaped characters, sha1 {digest}>"
    return text
