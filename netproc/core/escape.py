"""Text from a peer, made safe for a log: one line, no controls, not endless.

Whatever writes a line about a connection passes it through `escape` (P18).
"""

from __future__ import annotations

import unicodedata

#: Longer text is cut.
LONGEST = 200

#: Unicode's categories of what has no shape or changes that of its neighbours: controls, formats
#: (bidirectional ones among them), surrogates, private use, unassigned, line and paragraph ends.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def escape(text: str) -> str:
    r"""TEXT with a backslash form for what is no printable character: "a\nb" becomes "a\\nb"."""
    shown = "".join(_escape_char(char) for char in text[:LONGEST])
    return shown if len(text) <= LONGEST else f"{shown}… ({len(text)} characters)"


def _escape_char(char: str) -> str:
    if char == "\\" or unicodedata.category(char) in _UNSAFE:
        return char.encode("unicode_escape").decode("ascii")
    return char
