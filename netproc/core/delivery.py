"""Received data that the filter has not got yet, and its decoding.

`process/input.py` puts received bytes in and takes text out for the filter or the buffer; `process/packets.py` does the
same with packets.  This module calls no other code.  Bytes wait undecoded: so if a filter changes the coding system, the
change holds for the next piece, and the rest of a chunk can be passed to a TLS engine.

Text that the filter has returned as unused waits before all bytes.  If the filter returns all text of a call, it needs
more to use it, so it receives the text again together with the next.
"""

from __future__ import annotations

import sys
from collections import deque
from typing import Any

from .coding import Coding, Text
from .errors import ProcessError
from .limits import KIB, MIB, PIECE

#: Less than any filter can return: then the returned text of a call does not count.
_TO_ANOTHER = -sys.maxsize


class Delivery:
    """The waiting input of one process.  It is nearly always empty, so the queue is made when it is needed."""

    __slots__ = ("_back", "_chunks", "_returned", "decoder", "ended", "reason", "seen")

    #: How many characters a filter may return without using any of them.
    MOST_SEEN = 16 * MIB

    def __init__(self, coding: Coding, multibyte: bool) -> None:
        self._chunks: deque[bytes] | None = None
        # The text that the filter has returned, or None.
        self._back: Any = None
        # How much of it the filter has returned in its current call.
        self._returned = 0
        #: How many of the first characters the filter has seen, and cannot use without more.
        self.seen = 0
        self.decoder = coding[0].decoder(multibyte)
        #: Whether the channel has reported the end of the input.
        self.ended = False
        #: Why the input ended, if that was an error.
        self.reason: ProcessError | None = None

    @property
    def waiting(self) -> bool:
        """Whether anything waits."""
        return bool(self._chunks or self._back)

    @property
    def ready(self) -> bool:
        """Whether anything waits that the filter has not seen."""
        return bool(self._chunks) or (self._back is not None and len(self._back) > self.seen)

    @property
    def incomplete(self) -> bool:
        """Whether there is input that the filter has not got, even if it is part of a character."""
        return self.waiting or bool(self.decoder.tail)

    def set_coding(self, coding: Coding, multibyte: bool) -> None:
        """Use CODING from the next piece on; returned text and an incomplete character are decoded anew (N199)."""
        not_used = self._undecoded() + self.decoder.tail
        self.decoder = coding[0].decoder(multibyte)
        if not_used:
            self._push_front(not_used)

    def _undecoded(self) -> bytes:
        """Take out the returned text, as the bytes from which it was decoded."""
        back, self._back = self._back, None
        self.seen = 0
        return b"" if back is None else self.decoder.undo(back)

    def put(self, data: bytes) -> None:
        """Add DATA from the channel."""
        if self._chunks is None:
            self._chunks = deque()
        self._chunks.append(data)

    def end(self, reason: ProcessError | None) -> None:
        """Note the end of the input; an error replaces a clean end that has not been reported yet."""
        self.ended = True
        self.reason = self.reason or reason

    def finish(self) -> bool:
        """Decode the incomplete character at the end, which then waits; return whether there was one."""
        text = self.decoder.finish()
        if text:
            self._back = text if self._back is None else self._back + text
        return bool(text)

    def take(self, room: int = PIECE) -> Text:
        """Return the next text, decoded from ROOM bytes at most, with the text before it that the filter has seen.

        It is empty if no character is complete.
        """
        back, seen, size = self._back, self.seen, min(room, PIECE)
        if back is not None and len(back) > seen:
            end = seen + size
            self._back, self.seen = back[end:] or None, 0
            return back[:end]  # type: ignore[no-any-return]
        text = self._decode(size)
        if back is None or not text:
            return text
        self._back, self.seen = None, 0
        return back + text  # type: ignore[no-any-return]

    def _decode(self, size: int) -> Text:
        assert self._chunks
        chunk = self._chunks.popleft()
        if len(chunk) > size:
            chunk, rest = chunk[:size], chunk[size:]
            self._push_front(rest)
        return self.decoder.decode(chunk)

    def prepend(self, text: Text) -> None:
        """Put TEXT, which was taken, back to the front."""
        self._back = text if self._back is None else text + self._back
        self._returned += len(text)

    def settle(self, given: Text) -> None:
        """Note how much of GIVEN the filter has returned, after its call."""
        returned, self._returned = self._returned, 0
        self.seen = returned if returned >= len(given) else 0

    def retry(self, in_call: bool) -> None:
        """Let all returned text be delivered again, since something has changed.

        With IN_CALL the filter is in a call; text that this call returns is delivered again too.
        """
        self.seen = 0
        self._returned = _TO_ANOTHER if in_call else 0

    def take_bytes(self) -> bytes:
        """Take out all input that waits, as bytes."""
        waiting = [self._undecoded(), *(self._chunks or ())]
        self.discard()
        return b"".join(waiting)

    def discard(self) -> None:
        """Drop all input that waits."""
        self._chunks = self._back = None
        self.seen = self._returned = 0

    def _push_front(self, data: bytes) -> None:
        if self._chunks is None:
            self._chunks = deque()
        self._chunks.appendleft(data)


class PacketDelivery(Delivery):
    """The input of a process with packets, which are not joined; only packets that the filter has returned wait here."""

    __slots__ = ("_coding", "_multibyte")

    #: How many packets a filter may return.
    MOST_SEEN = KIB

    def __init__(self, coding: Coding, multibyte: bool) -> None:
        super().__init__(coding, multibyte)
        self._coding, self._multibyte = coding, multibyte

    def decode(self, packet: bytes) -> Text:
        """Return the text of PACKET; each packet is decoded on its own (D9)."""
        if self.decoder.keeps_bytes:
            return packet
        decoder = self._coding[0].decoder(self._multibyte)
        text: Any = decoder.decode(packet) if packet else decoder.finish()
        return text + decoder.finish()  # type: ignore[no-any-return]

    def set_coding(self, coding: Coding, multibyte: bool) -> None:
        """Use CODING from the next packet on, and for the returned ones."""
        packets = [self.decoder.undo(text) for text in self._back or ()]
        self._coding, self._multibyte = coding, multibyte
        self.decoder = coding[0].decoder(multibyte)
        self._back = [self.decode(packet) for packet in packets] or None
        self.seen = 0

    def put(self, data: bytes) -> None:
        """Let the packet DATA wait, after the returned ones."""
        self._back = [*(self._back or ()), self.decode(data)]

    def take(self, room: int = PIECE) -> Text:
        """Return the next packet that the filter has not seen since the last one arrived."""
        return self._back.pop(self.seen)  # type: ignore[no-any-return]

    def prepend(self, text: Text) -> None:
        """Put the packet TEXT back to the front."""
        self._back = self._back or []
        self._back.insert(self.seen, text)
        self._returned += len(text)

    def settle(self, given: Text) -> None:
        """Note whether the filter has returned the packet; it receives the next packets all the same."""
        returned, self._returned = self._returned, 0
        if returned >= len(given) > 0:
            self.seen += 1
