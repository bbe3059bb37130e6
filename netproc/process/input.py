"""The input of a process: what its channel tells, to its filter or buffer, in order, the end last.

The channel calls `data`, `lifecycle.py` (at run time) tells the end; decoding and waiting are `core/delivery.py`'s; this module decides
when a piece may go to the filter, and tells the process when the input has ended.

A gate says what keeps input back.  Each bit has its own reason; input flows while there is none.  Four
more bits only lead away from the shortest path, which is for the usual case: nothing waits, and one
chunk is one call of the filter.
"""

from __future__ import annotations

import errno
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

from twisted.internet.defer import Deferred

from ..core.buffer import Buffer
from ..core.coding import Coding, Text
from ..core.delivery import Delivery
from ..core.errors import ProcessError
from ..core.limits import PIECE
from . import callbacks

if TYPE_CHECKING:
    from ..net.channel import Channel
    from .process import NetworkProcess

STOPPED = 1  # by `stop`
NO_FILTER = 2  # the filter is True
FILTERING = 4  # the filter runs, maybe as a coroutine
CONGESTED = 8  # the peer does not read what the filter sends
FULL = 16  # the buffer is at its limit
UNCONNECTED = 32  # the program has not been told of the connection yet, or it has ended
HELD = STOPPED | NO_FILTER | FILTERING | CONGESTED | FULL | UNCONNECTED

QUEUED = 64  # something waits in the delivery
PAUSED = 128  # the channel does not read
CAREFUL = 256  # the buffer's room counts, or somebody waits for output
TRACED = 512  # each call of the filter has a context of its own, see `in_filter`

#: While a filter runs, these say that it should get no more.
INTERRUPTING = HELD & ~FILTERING

#: These stop the channel from reading at once; a filter that runs is mostly done before more comes.
_PAUSING = STOPPED | NO_FILTER | CONGESTED | FULL


#: The call of a filter in which the code that runs has been started; coroutines take it along.
_CALL: ContextVar[object] = ContextVar("netproc filter call", default="no call")


class UnusedInput(Protocol):
    """A filter's store of what it was given and cannot use until there is more."""

    def drain_unused(self) -> Text:
        """All of it, in order; it is empty then."""


class Input:
    """The receiving half of one process."""

    __slots__ = (
        "_call",
        "_channel",
        "_full",
        "_process",
        "_running",
        "delivery",
        "gate",
        "received",
        "unused",
    )

    def __init__(self, process: NetworkProcess, delivery: Delivery) -> None:
        self._process = process
        self._channel: Channel | None = None
        # What the filter that runs has returned, if it takes time, and which call that was.
        self._running: Deferred[object] | None = None
        self._call: object = None
        # The full buffer that this waits for.
        self._full: Buffer | None = None
        self.delivery = delivery
        self.gate = UNCONNECTED
        #: What the filter keeps, None for nearly all filters.  It belongs to whoever comes next.
        self.unused: UnusedInput | None = None
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
            result = process._call_filter(process, text)
        except BaseException as error:
            callbacks.raised(error, process, "filter")
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

    def prepend(self, text: str | bytes) -> None:
        """The filter has not used TEXT: it comes again, before anything newer."""
        if not text:
            return
        self.delivery.prepend(text)
        self.gate |= QUEUED
        if not self.gate & FILTERING:
            self.delivery.retry(in_call=False)
            self.pump()

    def reclaim_unused(self) -> bool:
        """What the filter keeps waits again, before anything newer, to be delivered by `pump`: somebody
        else is to have it.  Was there anything?
        """
        unused, self.unused = self.unused, None
        kept = unused.drain_unused() if unused is not None else None
        if not kept:
            return False
        self.delivery.prepend(kept)
        self.gate |= QUEUED
        return True

    def connected(self, channel: Channel) -> None:
        """There is a channel; what is held back already is not read, and nothing delivered before `open`."""
        self._channel = channel
        if self.gate & HELD & ~UNCONNECTED:
            self._pause()

    def wait_for_open(self) -> None:
        """Read nothing before `open`."""
        self._pause()

    def open(self) -> None:
        """The program has been told of the connection: deliver what comes."""
        if self._channel is not None:
            self.release(UNCONNECTED)

    def switch(self, channel: Channel) -> bytes:
        """Read from CHANNEL from now on; what came and has not been delivered."""
        self._channel = channel
        if self.gate & PAUSED:
            channel.pause()
        self._process._decode_anew()
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
            self._retry()
            self.pump()

    def _retry(self) -> None:
        """What the filter could not use may be usable now."""
        self.delivery.retry(in_call=self.gate & FILTERING != 0)

    def refill(self) -> None:
        """The filter or the buffer has changed: deliver what waits, unless something else keeps it back."""
        self.update()
        self._stop_waiting_for_room()
        self._retry()
        self.pump()

    def trace(self, wanted: bool) -> None:
        """Give each call of the filter a context, if that is WANTED: it may return a Deferred and wait."""
        self.gate = self.gate | TRACED if wanted else self.gate & ~TRACED

    @property
    def in_filter(self) -> bool:
        """Whether the filter itself asks: its own code, or a coroutine or Deferred that it waits for.

        Other code may run while a filter waits, and must not be taken for it.
        """
        if not self.gate & FILTERING:
            return False
        return self._running is None or _CALL.get() is self._call

    def update(self) -> None:
        """Find out whether care is needed."""
        if self._fills_buffer() is not None or self._process._waiters:
            self.gate |= CAREFUL
        else:
            self.gate &= ~CAREFUL

    def set_coding(self, coding: Coding, multibyte: bool) -> None:
        """Decode what comes from now on by CODING, and what has come and the filter has not used."""
        self.reclaim_unused()
        self.delivery.set_coding(coding, multibyte)
        self._retry()
        if self.delivery.waiting:
            self.gate |= QUEUED

    def _fills_buffer(self) -> Buffer | None:
        """The buffer that the default filter inserts into."""
        process = self._process
        buffer = process.buffer if process._uses_default_filter else None
        return buffer if buffer is not None and buffer.live else None

    def pump(self) -> None:
        """Deliver what waits, as far as the gate lets it; then read on, or end."""
        while not self.gate & HELD and self._has_more():
            room = self._room()
            if room:
                self._deliver(room)
        if self.gate & HELD:
            return
        if self.delivery.ended:
            self._process._lifecycle.input_ended(self.delivery.reason)
        elif self.gate & PAUSED:
            self.gate &= ~PAUSED
            assert self._channel is not None
            self._channel.resume()

    def _has_more(self) -> bool:
        """Whether there is something to deliver: at the end that may be an unfinished character."""
        delivery = self.delivery
        return delivery.ready or (delivery.ended and delivery.finish())

    def _deliver(self, room: int) -> None:
        text = self.delivery.take(room)
        if not self.delivery.waiting:
            self.gate &= ~QUEUED
        if text:
            self._filter(text)

    def _room(self) -> int:
        """How many bytes may be delivered; none shuts the gate until there is room."""
        buffer = self._fills_buffer() if self.gate & CAREFUL else None
        if buffer is None:
            return PIECE
        if not buffer.room:
            self._wait_for_room(buffer)
        return buffer.room

    def _wait_for_room(self, buffer: Buffer) -> None:
        self.hold(FULL)
        self._full = buffer
        buffer.when_room(self._has_room)

    def _has_room(self) -> None:
        self._full = None
        self.release(FULL)

    def _stop_waiting_for_room(self) -> None:
        self.gate &= ~FULL
        if self._full is not None:
            full, self._full = self._full, None
            full.forget(self._has_room)

    def shut(self) -> None:
        """Nothing is delivered any more."""
        self.gate |= UNCONNECTED
        self._stop_waiting_for_room()
        self._channel = None
        self.unused = None
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
        context = None
        if self.gate & TRACED:
            self._call = object()
            context = _CALL.set(self._call)
        try:
            result = process._call_filter(process, text)
        except BaseException as error:
            callbacks.raised(error, process, "filter")
            result = None
        if context is not None:
            _CALL.reset(context)
        self._filter_returned(process, result, text, observed)

    def _filter_returned(
        self,
        process: NetworkProcess,
        result: object,
        text: str | bytes,
        observed: bool = False,
    ) -> None:
        """It was given TEXT, and may have ended its process; a RESULT may have to be waited for."""
        running = None if result is None else self._started(process, result)
        if running is None:
            self.gate &= ~FILTERING
            self._settle(process, text)
        else:
            self._running = running
            running.addBoth(self._filter_done, process, text)
        if observed or self.gate & CAREFUL:
            process._delivered(text)

    def _started(self, process: NetworkProcess, result: object) -> Deferred[object] | None:
        """Return what RESULT promises, if it is not done; a coroutine begins to run here."""
        self._call = self._call or object()
        context = _CALL.set(self._call)
        running = callbacks.pending(result, process, "filter")
        _CALL.reset(context)
        if running is result:
            # What made this Deferred may go on in the context of the call, from the next call on.
            self.trace(True)
        return running

    def _filter_done(self, result: object, process: NetworkProcess, text: str | bytes) -> None:
        """A filter that took time is done."""
        self._running = None
        self.gate &= ~FILTERING
        self._settle(process, text)
        self.pump()

    def _settle(self, process: NetworkProcess, text: str | bytes) -> None:
        """The filter, which was given TEXT, is done with it, or has given it back."""
        self._call = None
        self.delivery.settle(text)
        if self.delivery.seen > self.delivery.MOST_SEEN:
            process.fail(ProcessError(errno.EMSGSIZE, "the filter uses nothing of what has come"))
