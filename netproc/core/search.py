"""Find the end of an answer that arrives in pieces, without searching all of it again for each piece.

`filters/transactions.py` feeds an `Answer` with the input of a process and asks it for the end of the answer.
`streamspec.py` compiles a program's patterns with `compile_pattern`, as the transactions do.
"""

from __future__ import annotations

import re
from typing import Any

from .decoders import Text
from .errors import ProcessArgumentError
from .escape import error_text, shown

#: Seconds after which all of a long answer is searched, even if little of it is new.  Emacs searches as often (N264).
LOOK_AFTER = 0.05

#: A match that begins within this many characters before the last piece is found at once.
NEAR = 1024

#: The characters before those, which only expressions such as `^` and `\\b` look at.
_MARGIN = 64

#: Everything is searched again when there is this many times as much.
_GROWTH = 1.25


def compile_pattern(keyword: str, expression: object, flags: int = 0) -> re.Pattern[Any]:
    """Return EXPRESSION, a program's value of KEYWORD, as a compiled pattern, or raise ProcessArgumentError.

    An expression that is compiled already has its own flags; any other gets FLAGS.
    """
    if isinstance(expression, re.Pattern):
        return expression
    try:
        return re.compile(expression, flags)
    except Exception as error:
        # An expression can be nested too deeply or have numbers and flags that cannot be, besides errors of grammar.
        problem = f"{shown(expression)} is not a pattern: {error_text(error)}"
        raise ProcessArgumentError(keyword, problem) from None


class Answer:
    """The received part of an answer, str or bytes."""

    __slots__ = ("_end_of_it", "_pieces", "_searched", "size")

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._pieces: list[Any] = []
        # The last characters, which are searched with each piece.
        self._end_of_it: Any = None
        # How much there was when all of it was searched.
        self._searched = 0
        #: The number of received characters or bytes.
        self.size = 0

    def feed(self, data: Text) -> None:
        """Add DATA, the next piece."""
        self._pieces.append(data)
        self.size += len(data)
        near = self._end_of_it
        self._end_of_it = data if near is None else near[-NEAR - _MARGIN :] + data

    @property
    def searched(self) -> bool:
        """Whether the last `find` has searched everything."""
        return self._searched == self.size

    def find(self, end: re.Pattern[Any], thorough: bool) -> int | None:
        """Return the place where the first match of END ends, or None if there is no match.

        Without THOROUGH, a match that begins long before the last piece may not be found yet.
        """
        grown = self.size <= NEAR or self.size >= _GROWTH * self._searched
        if not (thorough or grown or end.search(self._end_of_it, _MARGIN)):
            return None
        whole = self._joined()
        self._searched = self.size
        found = end.search(whole)
        return None if found is None else found.end()

    def take(self, size: int) -> Any:
        """Remove and return the first SIZE characters or bytes; the rest begins the next answer."""
        whole = self._joined()
        self._clear()
        if size < len(whole):
            self.feed(whole[size:])
        return whole[:size]

    def _joined(self) -> Any:
        if len(self._pieces) > 1:
            self._pieces = [self._pieces[0][:0].join(self._pieces)]
        return self._pieces[0]
