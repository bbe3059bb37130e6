"""Process buffers: text with positions, a cap and marks.

`process/settings.py` inserts the output of a process.  The program reads text and takes it out.  `core/table.py` makes
buffers, and ends the processes of a buffer that is killed.

Positions count as in Emacs: 1 is before the first character, `size + 1` after the last.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from weakref import WeakSet

from .checks import is_integer
from .coding import Text
from .errors import ProcessArgumentError
from .escape import shown
from .limits import KIB, MIB, check_size

#: How many characters a buffer holds before the processes that fill it stop reading.
DEFAULT_LIMIT = 16 * MIB

#: Small pieces are joined when there are this many of them, or this many characters.
_MOST_SMALL = 1024
_SMALL = 64 * KIB

#: A piece that has to be cut is cut into pieces of this size, so that cutting there again copies little.
_CUT = KIB


class Mark:
    """A position that moves with the text around it; None while it points nowhere (N95).

    Text that is inserted at a mark with STAYS does not move the mark.
    """

    __slots__ = ("__weakref__", "position", "stays")

    def __init__(self, position: int | None, stays: bool = False) -> None:
        self.position = position
        self.stays = stays


class Buffer:
    """A text with a name, into which processes insert received text and from which your program takes it.

    `get_buffer_create` makes buffers, and so does the keyword `buffer` of the functions that make processes.  Positions are
    those of Emacs: 1 is before the first character.  ``len(buffer)`` is the number of characters.

    If a position, a count, a text or a limit has the wrong type or is out of range, the methods and attributes raise
    `ProcessArgumentError`.

    Attributes:
        name: The name of the buffer, or None after the buffer was killed.
        read_only: Whether `insert`, `erase` and `take` raise an exception.  You can set it.  netproc inserts
            received text anyway.
        multibyte: Whether the buffer contains text.  Set it to False before a process uses the buffer; then
            received data is inserted as bytes, without decoding.  Bytes that are not ASCII become lone surrogates.
    """

    def __init__(self, name: str, on_kill: Callable[[Buffer], None]) -> None:
        self.name: str | None = name
        self.read_only = False  # N180
        self.multibyte = True  # N183
        self._limit = DEFAULT_LIMIT
        self._on_kill = on_kill
        # The text before the place of the last change: in pieces, followed by small ones that are not joined yet.
        self._pieces: deque[str] = deque()
        self._small: list[str] = []
        self._small_size = 0
        # The rest: the pieces after that place, the last one first.  So an insertion does not copy the whole text.
        self._rest: deque[str] = deque()
        self._rest_size = 0
        self._size = 0
        self._point = Mark(1)
        self._marks: WeakSet[Mark] = WeakSet([self._point])
        # The callbacks of `when_room`, in their order.
        self._waiting: dict[Callable[[], None], None] = {}

    def __repr__(self) -> str:
        return f"<Buffer {self.name!r}>" if self.live else "<killed Buffer>"

    def __len__(self) -> int:
        return self._size

    @property
    def live(self) -> bool:
        """Whether the buffer was not killed."""
        return self.name is not None

    @property
    def text(self) -> str:
        """The whole text of the buffer."""
        return self._joined()

    @property
    def point(self) -> int:  # N180
        """A position for your program, for example how far it has read.  You can set it.

        If text before it is inserted or removed, it moves with the text that follows.
        """
        return self._point.position or 1

    @point.setter
    def point(self, position: int) -> None:
        self._point.position = self.check_position("point", position)

    @property
    def limit(self) -> int:
        """How many characters the buffer holds.  If it is full, received text waits until your program removes text.

        You can set it.  It starts with 16,777,216.
        """
        return self._limit

    @limit.setter
    def limit(self, characters: int) -> None:
        self._limit = check_size("limit", characters, "characters")
        self._tell_room()

    @property
    def room(self) -> int:
        """How many more characters of received text fit into the buffer."""
        return max(0, self._limit - self._size)

    def insert(self, position: int, text: str) -> None:
        """Insert text.  Marks at the same position stay before the text.

        Args:
            position: Where to insert it.
            text: The text.

        Raises:
            ProcessArgumentError: The buffer is read-only.
        """
        self._check_writable()
        if not isinstance(text, str):
            raise ProcessArgumentError("text", f"{shown(text)} is not a str")
        self._insert(self.check_position("position", position), text, before_marks=False)

    def erase(self) -> None:
        """Remove the whole text."""
        self.take(self._size)

    def take(self, count: int) -> str:
        """Remove and return the first characters.

        Args:
            count: How many characters to remove.  If the buffer contains fewer, all of them are removed.

        Raises:
            ProcessArgumentError: The buffer is read-only.
        """
        self._check_writable()
        check_size("count", count, "characters")
        taken = []
        wanted = min(count, self._size)
        self._move_to(max(wanted, self._size - self._rest_size) + 1)
        self._gather()
        self._size -= wanted
        for mark in self._marks:
            if mark.position is not None:
                mark.position = max(1, mark.position - wanted)
        while wanted:
            pieces, rest = _split(self._pieces.popleft(), wanted)
            self._pieces.extendleft(reversed(rest))
            taken += pieces
            wanted -= sum(map(len, pieces))
        self._tell_room()
        return "".join(taken)

    def kill(self) -> None:  # N98
        """Delete the processes that use the buffer, and then the buffer."""
        if self.live:
            self._on_kill(self)
            self.name = None
            self._tell_room()

    # -- for processes ----------------------------------------------------------------------

    def new_mark(self, position: int | None, stays: bool = False) -> Mark:
        """Return a new mark at POSITION that moves with the text."""
        mark = Mark(position, stays)
        self._marks.add(mark)
        return mark

    def end(self) -> int:
        """Return the position after the last character."""
        return self._size + 1

    def insert_output(self, mark: Mark, text: Text) -> None:
        """Insert process output at MARK, or at the end of the buffer if it points nowhere.

        Afterwards MARK, and any other mark at the same place without `stays`, is after the output (N180).
        """
        if isinstance(text, bytes):
            # Bytes in text are Emacs's eight-bit characters (N183): lone surrogates here.
            text = text.decode("ascii", "surrogateescape")
        if mark.position is None:
            mark.position = self.end()
        self._insert(mark.position, text, before_marks=True)

    def when_room(self, callback: Callable[[], None]) -> None:
        """Call CALLBACK once when there is room again or the buffer is killed.  `forget` cancels this."""
        self._waiting[callback] = None

    def forget(self, callback: Callable[[], None]) -> None:
        """Cancel the call of CALLBACK for `when_room`."""
        self._waiting.pop(callback, None)

    # -- inside -----------------------------------------------------------------------------

    def _check_writable(self) -> None:
        if not self.live:
            raise ProcessArgumentError("buffer", "it is killed")
        if self.read_only:
            raise ProcessArgumentError("buffer", f"{shown(self.name)} is read-only")

    def check_position(self, keyword: str, position: object) -> int:
        """Return POSITION if it is a position in this text; otherwise raise ProcessArgumentError."""
        if not is_integer(position):
            raise ProcessArgumentError(keyword, f"{shown(position)} is not an integer")
        if not 1 <= position <= self.end():
            raise ProcessArgumentError(keyword, f"{shown(position)} is not in 1…{self.end()}")
        return position

    def _insert(self, position: int, text: str, before_marks: bool) -> None:
        if position == self.end() and self._rest:
            # Append to the end of the rest; the place of the last change stays the same.
            self._rest.appendleft(text)
            self._rest_size += len(text)
        else:
            self._move_to(position)
            self._small.append(text)
            self._small_size += len(text)
            if self._small_size >= _SMALL or len(self._small) >= _MOST_SMALL:
                self._gather()
        self._size += len(text)
        for mark in self._marks:
            at = mark.position
            pushed = before_marks and not mark.stays
            if at is not None and (at > position or (at == position and pushed)):
                mark.position = at + len(text)

    def _gather(self) -> None:
        """Join the small pieces."""
        if self._small:
            self._pieces.append("".join(self._small))
            self._small = []
            self._small_size = 0

    def _move_to(self, position: int) -> None:
        """Make POSITION the beginning of the rest."""
        size = self.end() - position
        if size == self._rest_size:
            return
        self._gather()
        if len(self._pieces) + len(self._rest) > _MOST_SMALL + 4 * self._size // _CUT:
            # Many of them are tiny.
            self._joined()
        while self._rest_size < size:
            piece = self._pieces.pop()
            before, after = _split(piece, max(0, len(piece) + self._rest_size - size))
            self._pieces.extend(before)
            self._rest.extend(reversed(after))
            self._rest_size += sum(map(len, after))
        while self._rest_size > size:
            before, after = _split(self._rest.pop(), self._rest_size - size)
            self._pieces.extend(before)
            self._rest.extend(reversed(after))
            self._rest_size -= sum(map(len, before))

    def _joined(self) -> str:
        self._gather()
        if len(self._pieces) > 1 or self._rest:
            self._pieces = deque(["".join([*self._pieces, *reversed(self._rest)])])
            self._rest.clear()
            self._rest_size = 0
        return self._pieces[0] if self._pieces else ""

    def _tell_room(self) -> None:
        if self._waiting and (self.room or not self.live):
            waiting, self._waiting = self._waiting, {}
            for callback in waiting:
                callback()


def _split(piece: str, at: int) -> tuple[list[str], list[str]]:
    """Return the parts of PIECE before and after AT."""
    if at <= 0:
        return [], [piece]
    if at >= len(piece):
        return [piece], []
    return _cut(piece[:at]), _cut(piece[at:])


def _cut(piece: str) -> list[str]:
    return [piece[start : start + _CUT] for start in range(0, len(piece), _CUT)]
