"""What has arrived and is not with the filter yet: bytes to text, in order, the end last.

`process/input.py` puts in what the channel tells and takes out pieces for the filter or the buffer when it
may, `process/packets.py` does the same with packets; this module never calls out.  Bytes wait undecoded, so that a coding
system changed by a filter holds for the next piece, and the tail of a chunk can be handed to a TLS engine.

Text that the filter gives back waits before all bytes.  If the filter gives back everything that it was given, it
cannot use the text without more, so it receives the text again together with what follows.
"""

from __future__ import annotations

import sys
from collections import deque
from typing import Any

from .coding import Coding, Text
from .errors import ProcessError
from .limits import KIB, MIB, PIECE

#: Less than any filter can give back: the call does not count.
_TO_ANOTHER = -sys.maxsize


class Delivery:
    """The input of one process.  Nearly always empty, so it makes its queue when it needs one."""

    __slots__ = ("_back", "_chunks", "_returned", "decoder", "ended", "reason", "seen")

    #: How many characters a filter may give back without using any of them.
    MOST_SEEN = 16 * MIB

    def __init__(self, coding: Coding, multibyte: bool) -> None:
        self._chunks: deque[bytes] | None = None
        # What the filter has given back, None for nothing.
        self._back: Any = None
        # How much of that it gave back in the call that goes on.
        self._returned = 0
        #: So many of the first characters are of no use to the filter without more.
        self.seen = 0
        self.decoder = coding[0].decoder(multibyte)
        #: Has the channel told the end?
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
        """Take out what was given back, as the bytes that it was."""
        back, self._back = self._back, None
        self.seen = 0
        return b"" if back is None else self.decoder.undo(back)

    def put(self, data: bytes) -> None:
        """DATA has come from the channel."""
        if self._chunks is None:
            self._chunks = deque()
        self._chunks.append(data)

    def end(self, reason: ProcessError | None) -> None:
        """No more data will come; an end by error replaces a clean one that nobody heard of yet."""
        self.ended = True
        self.reason = self.reason or reason

    def finish(self) -> bool:
        """Decode the unfinished character at the end, which then waits; return whether there was one."""
        text = self.decoder.finish()
        if text:
            self._back = text if self._back is None else self._back + text
        return bool(text)

    def take(self, room: int = PIECE) -> Text:
        """Return the next text, of at most ROOM bytes undecoded, after what the filter has seen already.

        It is empty if it completes no character.
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
        """Let TEXT, which has been taken, be the next again."""
        self._back = text if self._back is None else text + self._back
        self._returned += len(text)

    def settle(self, given: Text) -> None:
        """Note what the filter, which was called with GIVEN and is done, has given back of it."""
        returned, self._returned = self._returned, 0
        self.seen = returned if returned >= len(given) else 0

    def retry(self, in_call: bool) -> None:
        """Let everything that was given back be delivered again, since something has changed.

        If that happens IN_CALL of the filter, what this call gives back counts as unseen too.
        """
        self.seen = 0
        self._returned = _TO_ANOTHER if in_call else 0

    def take_bytes(self) -> bytes:
        """Take out all that waits, as it came."""
        waiting = [self._undecoded(), *(self._chunks or ())]
        self.discard()
        return b"".join(waiting)

    def discard(self) -> None:
        """Drop what waits."""
        self._chunks = self._back = None
        self.seen = self._returned = 0

    def _push_front(self, data: bytes) -> None:
        if self._chunks is None:
            self._chunks = deque()
        self._chunks.appendleft(data)


class PacketDelivery(Delivery):
    """The input of a process of packets, which stay apart; only those that the filter gives back wait here."""

    __slots__ = ("_coding", "_multibyte")

    #: How many packets.
    MOST_SEEN = KIB

    def __init__(self, coding: Coding, multibyte: bool) -> None:
        super().__init__(coding, multibyte)
        self._coding, self._multibyte = coding, multibyte

    def decode(self, packet: bytes) -> Text:
        """Return the text of PACKET, which is decoded alone (D9)."""
        if self.decoder.keeps_bytes:
            return packet
        decoder = self._coding[0].decoder(self._multibyte)
        text: Any = decoder.decode(packet) if packet else decoder.finish()
        return text + decoder.finish()  # type: ignore[no-any-return]

    def set_coding(self, coding: Coding, multibyte: bool) -> None:
        """Decode by CODING from the next packet on, and those that were given back."""
        packets = [self.decoder.undo(text) for text in self._back or ()]
        self._coding, self._multibyte = coding, multibyte
        self.decoder = coding[0].decoder(multibyte)
        self._back = [self.decode(packet) for packet in packets] or None
        self.seen = 0

    def put(self, data: bytes) -> None:
        """Let the packet DATA wait, after those that were given back."""
        self._back = [*(self._back or ()), self.decode(data)]

    def take(self, room: int = PIECE) -> Text:
        """Return the next packet that the filter has not seen since the last one came."""
        return self._back.pop(self.seen)  # type: ignore[no-any-return]

    def prepend(self, text: Text) -> None:
        """Let TEXT be the next packet again."""
        self._back = self._back or []
        self._back.insert(self.seen, text)
        self._returned += len(text)

    def settle(self, given: Text) -> None:
        """See Delivery; if the filter cannot use the packet, the packets after it are not kept from it."""
        returned, self._returned = self._returned, 0
        if returned >= len(given) > 0:
            self.seen += 1
