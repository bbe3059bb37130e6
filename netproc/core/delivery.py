"""What has arrived and is not with the filter yet: bytes to text, in order, the end last.

`process.py` puts in what the channel tells and takes out pieces for the filter or the buffer when it
may; this module never calls out.  Bytes wait undecoded, so that a coding system changed by a filter
holds for the next piece, and the tail of a chunk can be handed to a TLS engine.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from .coding import Coding, Text
from .errors import ProcessError
from .limits import PIECE


class _Decoded(NamedTuple):
    """Text that was taken and given back; it waits before all bytes."""

    text: Text


class Delivery:
    """The input of one process.  Nearly always empty, so it makes its queue when it needs one."""

    __slots__ = ("_chunks", "decoder", "ended", "reason")

    def __init__(self, coding: Coding, multibyte: bool) -> None:
        self._chunks: deque[bytes | _Decoded] | None = None
        self.decoder = coding[0].decoder(multibyte)
        #: Has the channel told the end?
        self.ended = False
        #: Why the input ended, if that was an error.
        self.reason: ProcessError | None = None

    @property
    def waiting(self) -> bool:
        """Are there bytes that no one has taken?"""
        return bool(self._chunks)

    @property
    def incomplete(self) -> bool:
        """Are there bytes that the filter has not got, be it as part of a character?"""
        return self.waiting or bool(self.decoder.tail)

    def set_coding(self, coding: Coding, multibyte: bool) -> None:
        """Decode from the next piece on by CODING: what was given back and an unfinished character
        go before it (N199).
        """
        not_used = self._undecoded() + self.decoder.tail
        self.decoder = coding[0].decoder(multibyte)
        if not_used:
            self._push_front(not_used)

    def _undecoded(self) -> bytes:
        """What was given back, as the bytes that it was."""
        found = []
        while self._chunks and isinstance(self._chunks[0], _Decoded):
            found.append(self.decoder.undo(self._chunks[0].text))
            self._chunks.popleft()
        return b"".join(found)

    def put(self, data: bytes) -> None:
        """DATA has come from the channel."""
        if self._chunks is None:
            self._chunks = deque()
        self._chunks.append(data)

    def end(self, reason: ProcessError | None) -> None:
        """No more data will come; an end by error replaces a clean one that nobody heard of yet."""
        self.ended = True
        self.reason = self.reason or reason

    def take(self, room: int = PIECE) -> Text:
        """The next text, of at most ROOM bytes undecoded; empty if it completes no character."""
        assert self._chunks
        size = min(room, PIECE)
        chunk = self._chunks.popleft()
        if isinstance(chunk, _Decoded):
            return self._take_decoded(chunk.text, size)
        if len(chunk) > size:
            chunk, rest = chunk[:size], chunk[size:]
            self._push_front(rest)
        return self.decoder.decode(chunk)

    def _take_decoded(self, text: Text, size: int) -> Text:
        if len(text) > size:
            text, rest = text[:size], text[size:]
            self._push_front(_Decoded(rest))
        return text

    def put_back(self, text: Text) -> None:
        """TEXT, which has been taken, is the next again."""
        self._push_front(_Decoded(text))

    def take_bytes(self) -> bytes:
        """All that waits, as it came."""
        waiting = [self._undecoded(), *(self._chunks or ())]
        self._chunks = None
        return b"".join(waiting)

    def discard(self) -> None:
        """Nobody will take what waits."""
        self._chunks = None

    def _push_front(self, data: bytes | _Decoded) -> None:
        if self._chunks is None:
            self._chunks = deque()
        self._chunks.appendleft(data)
