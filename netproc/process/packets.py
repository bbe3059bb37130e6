"""The input of a process whose channel gives packets: one packet is one call of the filter.

Takes the place of `input.py`'s class for datagram and seqpacket processes, between the same neighbours.

While anything keeps input back the channel does not read at all, so packets wait in the kernel, each with its
sender.  Only those that the filter gives back are queued here.
"""

from __future__ import annotations

from ..core.delivery import PacketDelivery
from .input import FILTERING, HELD, QUEUED, Input


class PacketInput(Input):
    """The receiving half of one process."""

    __slots__ = ()

    delivery: PacketDelivery

    def data(self, data: bytes) -> None:
        """A packet has come, maybe an empty one."""
        self.received += len(data)
        if self.gate & QUEUED:
            # The filter gets those that it has given back once more, and then this one.
            self.delivery.retry(in_call=False)
            self.delivery.put(data)
        else:
            self._filter(self.delivery.decode(data))
        if self.gate:
            if not self.gate & HELD:
                self._hold_if_full()
            self.pump()

    def _filter(self, text: str | bytes) -> None:
        super()._filter(text)
        if self.gate & FILTERING:
            # Another packet now would change whom the filter answers.
            self._pause()

    def _hold_if_full(self) -> None:
        """A packet goes into the buffer whole; the next one waits until there is room."""
        buffer = self._fills_buffer()
        if buffer is not None and not buffer.room:
            self._wait_for_room(buffer)
