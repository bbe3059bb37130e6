"""Conversion of text from a peer to text that is safe in a log: one line of limited length, without control characters.

Every log line about a connection passes such text through `escape` (P18).
"""

from __future__ import annotations

#: Longer text is cut.
LONGEST = 200


def escape(text: str) -> str:
    r"""Return TEXT with a backslash form for each character that is not printable: "a\nb" becomes "a\\nb"."""
    shown = "".join(_escape_char(char) for char in text[:LONGEST])
    return shown if len(text) <= LONGEST else f"{shown}… ({len(text)} characters)"


def _escape_char(char: str) -> str:
    # Not printable are control and format characters, surrogates, line ends and unusual spaces.
    if char == "\\" or not char.isprintable():
        return char.encode("unicode_escape").decode("ascii")
    return char


def shown(value: object) -> str:
    """Return how an error message shows VALUE, which has the wrong type or is out of range."""
    try:
        text = repr(value)
    except Exception:
        # Python refuses to print an int of more than 4300 digits, and a program's own class may do anything.
        return f"a value of type {type(value).__name__}"
    return _one_line(text)


def error_text(error: BaseException) -> str:
    """Return how an error message shows the text of ERROR, or its type if it has no text or its `__str__` raises."""
    try:
        text = str(error)
    except Exception:
        text = ""
    return _one_line(text or type(error).__name__)


def _one_line(text: str) -> str:
    """Return TEXT as `escape` does, but with backslashes as they are; long text is cut."""
    line = "".join(char if char.isprintable() else _escape_char(char) for char in text[:LONGEST])
    return line if len(text) <= LONGEST else f"{line}…"
