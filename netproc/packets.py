"""The input of a process whose channel gives packets: one packet is one call of the filter.

Takes the place of `reading.py`'s class for datagram and seqpacket processes, between the same neighbours.

While anything keeps input back the channel does not read at all, so packets wait in the kernel, each with its
sender; nothing is queued here.
"""

from __future__ import annotations

from .reading import FILTERING, FULL, HELD, Reading


class PacketReading(Reading):
    """The receiving half of one process."""

    __slots__ = ()

    def data(self, data: bytes) -> None:
        """A packet has come, maybe an empty one; it is decoded alone (D9)."""
        self.received += len(data)
        self._filter(data if self.delivery.decoder.keeps_bytes else self._decode(data))
        if self.gate:
            if not self.gate & HELD:
                self._hold_if_full()
            self.pump()

    def _decode(self, data: bytes) -> str | bytes:
        decoder = self._process.new_decoder()
        if not data:
            return decoder.finish()
        return decoder.decode(data) + decoder.finish()  # type: ignore[operator]

    def _filter(self, text: str | bytes) -> None:
        super()._filter(text)
        if self.gate & FILTERING:
            # Another packet now would change whom the filter answers.
            self._pause()

    def _hold_if_full(self) -> None:
        """A packet goes into the buffer whole; the next one waits until there is room."""
        buffer = self._fills_buffer()
        if buffer is not None and not buffer.room:
            self.hold(FULL)
            buffer.when_room(lambda: self.release(FULL))
