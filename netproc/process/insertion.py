"""The buffer of a process: which one it is, and where in it output is inserted.

`process.py` makes one for each process, and `settings.py` (at run time) sets the buffer and the mark.  `defaults.py` (at run
time) inserts output and events; `starttls.py` (at run time) marks where the output that came over TLS begins.  The buffers
and marks themselves are those of `core/buffer.py`.
"""

from __future__ import annotations

from ..core.buffer import Buffer, Mark
from ..core.coding import Text


class Insertion:
    """The buffer of one process, and its places in that buffer."""

    __slots__ = ("_buffer", "_mark", "_tls_mark", "own_buffer")

    def __init__(self) -> None:
        self._buffer: Buffer | None = None
        # Set once there has been a buffer.
        self._mark: Mark | None = None
        # Where the output that came over TLS begins, if output in clear text went before.
        self._tls_mark: Mark | None = None
        #: The buffer that a connection has because its server has no filter.  It stays the same when the program sets
        #: another buffer.
        self.own_buffer: Buffer | None = None

    @property
    def buffer(self) -> Buffer | None:
        """The buffer, or None.  Setting another one moves the mark to its end (N182)."""
        return self._buffer

    @buffer.setter
    def buffer(self, value: Buffer | None) -> None:
        if value is not self._buffer:
            self._buffer = value
            if value is not None:
                self._mark = value.new_mark(value.end())

    def begin(self, buffer: Buffer, own: bool) -> None:
        """Begin with BUFFER.  If it is a connection's OWN buffer, the mark has no position yet (N95)."""
        self._buffer = buffer
        self.own_buffer = buffer if own else None
        self._mark = buffer.new_mark(None if own else buffer.end())

    @property
    def position(self) -> int | None:
        """Where output is inserted; None if the mark has no position yet."""
        return self._mark.position if self._mark is not None else None

    @position.setter
    def position(self, value: int | None) -> None:
        assert self._mark is not None
        self._mark.position = value

    @property
    def tls_start(self) -> int | None:
        """Where the output that came over TLS begins; None if no output in clear text went before."""
        return self._tls_mark.position if self._tls_mark is not None else None

    def mark_tls_start(self) -> None:
        """Note that the output from now on comes over TLS.  The text before proves nothing about the peer."""
        if self._buffer is not None and self._mark is not None:
            start = self._mark.position or self._buffer.end()
            self._tls_mark = self._buffer.new_mark(start, stays=True)

    def insert(self, output: Text) -> None:
        """Insert OUTPUT at the mark; without a buffer, or with a killed one, it is dropped."""
        if self._buffer is not None and self._buffer.live and self._mark is not None:
            self._buffer.insert_output(self._mark, output)
