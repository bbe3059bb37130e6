"""The input of a process: what its channel tells, to its filter or buffer, in order, the end last.

The channel calls `data`, `life.py` tells the end; decoding and waiting are `core/delivery.py`'s; this module decides
when a piece may go to the filter, and tells the process when the input has ended.

A gate says what keeps input back.  Each bit has its own reason; input flows while there is none.  Three
more bits only lead away from the shortest path, which is for the usual case: nothing waits, and one
chunk is one call of the filter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from twisted.internet.defer import Deferred

from . import callbacks
from .core.buffer import Buffer
from .core.coding import Coding, Text
from .core.delivery import Delivery
from .core.errors import ProcessError
from .core.limits import PIECE

if TYPE_CHECKING:
    from .net.channel import Channel
    from .process import NetworkProcess

STOPPED = 1  # by `stop`
NO_FILTER = 2  # the filter is True
FILTERING = 4  # the filter runs, maybe as a coroutine
CONGESTED = 8  # the peer does not read what the filter sends
FULL = 16  # the buffer is at its limit
UNCONNECTED = 32  # there is no channel yet, or no more
HELD = STOPPED | NO_FILTER | FILTERING | CONGESTED | FULL | UNCONNECTED

QUEUED = 64  # something waits in the delivery
PAUSED = 128  # the channel does not read
CAREFUL = 256  # the buffer's room counts, or somebody waits for output

#: While a filter runs, these say that it should get no more.
INTERRUPTING = HELD & ~FILTERING

#: These stop the channel from reading at once; a filter that runs is mostly done before more comes.
_PAUSING = STOPPED | NO_FILTER | CONGESTED | FULL


class Keeper(Protocol):
    """A filter's store of what it was given and cannot use until there is more."""

    def give_back(self) -> Text:
        """All of it, in order; it is empty then."""


class Reading:
    """The receiving half of one process."""

    __slots__ = ("_channel", "_process", "_running", "delivery", "gate", "keeper", "received")

    def __init__(self, process: NetworkProcess, delivery: Delivery) -> None:
        self._process = process
        self._channel: Channel | None = None
        self._running: Deferred[object] | None = None
        self.delivery = delivery
        self.gate = UNCONNECTED
        #: What the filter keeps, None for nearly all filters.  It belongs to whoever comes next.
        self.keeper: Keeper | None = None
        #: Bytes that have come.
        self.received = 0

    # -- told by the channel ------------------------------------------------------------------

    def data(self, data: bytes) -> None:
        """These bytes have come."""
        self.received += len(data)
        decoder = self.delivery.decoder
        # Bytes that stay bytes need no pieces: bulk echo is a third faster.
        if self.gate or (len(data) > PIECE and not decoder.keeps_bytes):
            self._put(data)
            return
        # The shortest path, once for every message: one decode, one call of the filter.
        text = data if decoder.keeps_bytes else decoder.decode(data)
        if not text:
            return
        process = self._process
        observed = process.table.observers
        if observed:
            process.table.tell(process, "filter", text)
        self.gate = FILTERING
        try:
            result = process.call_filter(process, text)
        except BaseException as error:
            callbacks.raised(error, process.reactor, "filter", process.name)
            result = None
        if observed or result is not None or self.gate != FILTERING:
            self._filter_returned(process, result, text, bool(observed))
            if self.gate:
                self.pump()
        else:
            self.gate = 0

    def _put(self, data: bytes) -> None:
        self.delivery.put(data)
        self.gate |= QUEUED
        if self.gate & HELD:
            self._pause()
        else:
            self.pump()

    def end(self, reason: ProcessError | None) -> None:
        """No more will come, because of an error if there is a REASON."""
        self.delivery.end(reason)
        self.pump()

    def put_back(self, text: str | bytes) -> None:
        """The filter has not used TEXT: it comes again, before anything newer."""
        self.delivery.put_back(text)
        self.gate |= QUEUED
        if not self.gate & HELD:
            self.pump()

    def take_back(self) -> bool:
        """What the filter keeps waits again, before anything newer, to be delivered by `pump`: somebody
        else is to have it.  Was there anything?
        """
        keeper, self.keeper = self.keeper, None
        kept = keeper.give_back() if keeper is not None else None
        if not kept:
            return False
        self.delivery.put_back(kept)
        self.gate |= QUEUED
        return True

    def connected(self, channel: Channel) -> None:
        """There is a channel; what is held back already is not read."""
        self._channel = channel
        self.gate &= ~UNCONNECTED
        if self.gate & HELD:
            self._pause()

    def switch(self, channel: Channel) -> bytes:
        """Read from CHANNEL from now on; what came and has not been delivered."""
        self._channel = channel
        if self.gate & PAUSED:
            channel.pause()
        self._process.decode_anew()
        self.gate &= ~QUEUED
        return self.delivery.take_bytes()

    # -- the gate -----------------------------------------------------------------------------

    def hold(self, why: int) -> None:
        """Keep input back for the reason WHY."""
        self.gate |= why
        if why & _PAUSING:
            self._pause()

    def _pause(self) -> None:
        if self._channel is not None and not self.gate & PAUSED:
            self._channel.pause()
            self.gate |= PAUSED

    def release(self, why: int) -> None:
        """WHY is no reason any more."""
        if self.gate & why:
            self.gate &= ~why
            self.pump()

    def refill(self) -> None:
        """The filter or the buffer has changed: deliver what waits, unless something else keeps it back."""
        self.update()
        self.gate &= ~FULL
        self.pump()

    def update(self) -> None:
        """Find out whether care is needed."""
        if self._fills_buffer() is not None or self._process.waiters:
            self.gate |= CAREFUL
        else:
            self.gate &= ~CAREFUL

    def set_coding(self, coding: Coding, multibyte: bool) -> None:
        """Decode what comes from now on by CODING, and what has come and the filter has not used."""
        self.take_back()
        self.delivery.set_coding(coding, multibyte)
        if self.delivery.waiting:
            self.gate |= QUEUED

    def _fills_buffer(self) -> Buffer | None:
        """The buffer that the default filter inserts into."""
        process = self._process
        buffer = process.buffer if process.uses_default_filter else None
        return buffer if buffer is not None and buffer.live else None

    def pump(self) -> None:
        """Deliver what waits, as far as the gate lets it; then read on, or end."""
        while self.gate & QUEUED and not self.gate & HELD:
            room = self._room()
            if room:
                text = self.delivery.take(room)
                if not self.delivery.waiting:
                    self.gate &= ~QUEUED
                if text:
                    self._filter(text)
        if self.gate & HELD:
            return
        if self.delivery.ended:
            self._finish()
        elif self.gate & PAUSED:
            self.gate &= ~PAUSED
            assert self._channel is not None
            self._channel.resume()

    def _room(self) -> int:
        """How many bytes may be delivered; none shuts the gate until there is room."""
        buffer = self._fills_buffer() if self.gate & CAREFUL else None
        if buffer is None:
            return PIECE
        if not buffer.room:
            self.hold(FULL)
            buffer.when_room(lambda: self.release(FULL))
        return buffer.room

    def _finish(self) -> None:
        """All has been delivered but an unfinished character; then the process ends."""
        text = self.delivery.decoder.finish()
        if text:
            self._filter(text)
        if not self.gate & HELD:
            self._process.life.input_ended(self.delivery.reason)

    def shut(self) -> None:
        """Nothing is delivered any more."""
        self.gate |= UNCONNECTED
        self._channel = None
        self.keeper = None
        self.delivery.discard()
        self.gate &= ~QUEUED

    def cancel(self) -> None:
        """A filter that still runs need not."""
        if self._running is not None:
            running, self._running = self._running, None
            running.cancel()

    def detach(self) -> None:
        """Let go of the process: everything is over."""
        del self._process

    # -- the filter ---------------------------------------------------------------------------

    def _filter(self, text: str | bytes) -> None:
        """Call the filter; the gate is shut until it is done."""
        process = self._process
        observed = bool(process.table.observers)
        if observed:
            process.table.tell(process, "filter", text)
        self.gate |= FILTERING
        try:
            result = process.call_filter(process, text)
        except BaseException as error:
            callbacks.raised(error, process.reactor, "filter", process.name)
            result = None
        self._filter_returned(process, result, text, observed)

    def _filter_returned(
        self,
        process: NetworkProcess,
        result: object,
        text: str | bytes,
        observed: bool = False,
    ) -> None:
        """It was given TEXT, and may have ended its process; a RESULT may have to be waited for."""
        running = callbacks.pending(result, process.reactor, "filter", process.name)
        if running is None:
            self.gate &= ~FILTERING
        else:
            self._running = running
            running.addBoth(self._filter_done)
        if observed or self.gate & CAREFUL:
            process.delivered(text)

    def _filter_done(self, result: object) -> None:
        """A filter that took time is done."""
        self._running = None
        self.release(FILTERING)
