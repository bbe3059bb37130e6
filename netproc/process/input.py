"""The input of a process: received data goes to the filter or the buffer, in order, and the end comes last.

A channel calls `data`.  `lifecycle.py` (at run time) connects the channel and reports the end.  `process.py` reports what
the program sets.  `output.py` holds input back while the peer does not read.  Undelivered input waits in
`core/delivery.py`, which also decodes it.  `callbacks.py` handles what the filter raises and returns.

Theory of the gate
------------------

`gate` is a set of bits.  While one of the bits of HELD is set, nothing is delivered.  Each of these bits has its own
reason, and input flows again when the last reason is gone:

STOPPED
    Set by `NetworkProcess.stop`, cleared by `resume`.  Pauses the channel.
NO_FILTER
    The filter is True.  Set and cleared when the program sets the filter.  Pauses the channel.
FILTERING
    The filter is running, perhaps as a coroutine.  Set before each call of the filter, cleared after it has returned and
    its coroutine or Deferred is done.  Does not pause the channel of a stream: usually the filter is done before more
    data arrives.  A channel of packets is paused while a filter is still running after its call has returned.
CONGESTED
    The filter has sent more than the peer reads.  Set by `Output.congested`; cleared by `Output` when less than the
    low-water mark is pending, or when the output is lost.  Pauses the channel.
FULL
    The buffer is at its limit.  Set before a delivery; cleared when the buffer has room, or when the program sets another
    filter or buffer.  Pauses the channel.
UNCONNECTED
    The process is not open yet, or it has ended.  Set from the beginning, cleared by `open`, set again by `shut`.  Does
    not pause the channel, since `open` usually follows at once; `wait_for_open` pauses it.

Whatever the reason, the channel is also paused when data arrives while the gate is shut.  `pump` resumes the channel.
A new reason is a new bit in HELD, also in _PAUSING if the channel must stop at once, with its own `hold` and `release`.
The values of the bits have no order.

Four more bits do not shut the gate.  They only lead away from the shortest path in `data`, which is for the usual case:
nothing waits, and one chunk of data is one call of the filter.

QUEUED
    Something waits in the delivery.  Set when input is put there, cleared when the last of it is taken out.
PAUSED
    The channel has been paused.  Set by `_pause`, cleared by `pump`, which resumes the channel.
CAREFUL
    Set by `update` while the default filter inserts into a buffer, whose room counts, and while `accept_output` waits.
TRACED
    The filter may return a Deferred and wait, so each call has its own context (see `in_filter`).  Set for a
    decorated function, and after a filter has returned a Deferred; set anew when the program sets the filter.

The bits are read in this file only, but for `Output.send`, which runs for every message.  Other code calls `hold` and
`release` with its own reason, and reads properties.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

from twisted.internet.defer import Deferred

from ..core.buffer import Buffer
from ..core.coding import Coding, Text
from ..core.delivery import Delivery, PacketDelivery
from ..core.errors import ProcessError
from ..core.limits import PIECE
from . import callbacks

if TYPE_CHECKING:
    from ..net.channel import Channel
    from .process import NetworkProcess

STOPPED = 1
NO_FILTER = 2
FILTERING = 4
CONGESTED = 8
FULL = 16
UNCONNECTED = 32
HELD = STOPPED | NO_FILTER | FILTERING | CONGESTED | FULL | UNCONNECTED

QUEUED = 64
PAUSED = 128
CAREFUL = 256
TRACED = 512

#: While a filter runs, these mean that it should use no more input.
_INTERRUPTING = HELD & ~FILTERING

#: These pause the channel at once.
_PAUSING = STOPPED | NO_FILTER | CONGESTED | FULL


#: The call of a filter that the running code belongs to; coroutines inherit it.
_CALL: ContextVar[object] = ContextVar("netproc filter call", default="no call")


class UnusedInput(Protocol):
    """A filter's store of input that it cannot use until more has arrived."""

    def drain_unused(self) -> Text:
        """Take out everything, in order."""


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
        # The Deferred of the running filter, if it did not finish in its call, and the identity of that call.
        self._running: Deferred[object] | None = None
        self._call: object = None
        # The full buffer whose room is awaited.
        self._full: Buffer | None = None
        self.delivery = delivery
        self.gate = UNCONNECTED
        #: What the filter has not used, None for nearly all filters.  If another filter is set, that one receives it.
        self.unused: UnusedInput | None = None
        #: The number of received bytes.
        self.received = 0

    # -- called by the channel and the lifecycle ------------------------------------------------

    def data(self, data: bytes) -> None:
        """Deliver the received DATA, or let it wait."""
        self.received += len(data)
        decoder = self.delivery.decoder
        # Bytes that stay bytes are not cut into pieces: bulk echo is a third faster.
        if self.gate or (len(data) > PIECE and not decoder.keeps_bytes):
            self._put(data)
            return
        # The shortest path, taken for nearly every message: one decode, one call of the filter.
        text = data if decoder.keeps_bytes else decoder.decode(data)
        if not text:
            return
        process = self._process
        observed = process.table.observers
        if observed:
            process.table.notify(process, "filter", text)
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
        """Deliver the end after everything else; REASON is the error that caused it, None for an orderly end."""
        self.delivery.end(reason)
        self.pump()

    def prepend(self, text: str | bytes) -> None:
        """Deliver TEXT, which the filter has not used, again, before anything newer."""
        if not text:
            return
        self.delivery.prepend(text)
        self.gate |= QUEUED
        if not self.gate & FILTERING:
            self.delivery.retry(in_call=False)
            self.pump()

    def reclaim_unused(self) -> bool:
        """Move the input that the filter has not used back to the front of the queue, for another filter.

        `pump` delivers it.  Returns whether there was any.
        """
        unused, self.unused = self.unused, None
        kept = unused.drain_unused() if unused is not None else None
        if not kept:
            return False
        self.delivery.prepend(kept)
        self.gate |= QUEUED
        return True

    def may_use(self, unused: UnusedInput) -> bool:
        """Whether the filter that keeps UNUSED may use more of it.

        If something holds input back, UNUSED is reclaimed.  If another filter has taken over, it has been already.
        """
        if self.unused is not unused:
            return False
        if self.gate & _INTERRUPTING:
            self.reclaim_unused()
            return False
        return True

    def connected(self, channel: Channel) -> None:
        """Read from CHANNEL, unless input is held back already.  Nothing is delivered before `open`."""
        self._channel = channel
        if self.gate & HELD & ~UNCONNECTED:
            self._pause()

    def wait_for_open(self) -> None:
        """Read nothing before `open`."""
        self._pause()

    def open(self) -> None:
        """Deliver input: the sentinel has been called with "open"."""
        if self._channel is not None:
            self.release(UNCONNECTED)

    def switch(self, channel: Channel) -> bytes:
        """Read from CHANNEL from now on; return the bytes that have been received and not delivered."""
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
        """Stop keeping input back for the reason WHY."""
        if self.gate & why:
            self.gate &= ~why
            self._retry()
            self.pump()

    def _retry(self) -> None:
        """Let the filter try again what it could not use: something has changed."""
        self.delivery.retry(in_call=self.gate & FILTERING != 0)

    def refill(self) -> None:
        """Deliver what waits, unless something else keeps it back: the filter or the buffer has changed."""
        self.update()
        self._stop_waiting_for_room()
        self._retry()
        self.pump()

    @property
    def has_filter(self) -> bool:
        """Whether the filter is a function, and not True."""
        return not self.gate & NO_FILTER

    def set_filter(self, function: Callable[..., object] | None) -> None:
        """Note that FUNCTION is the filter, or None for True; `refill` delivers what waits."""
        if function is None:
            self.hold(NO_FILTER)
            return
        self.gate &= ~NO_FILTER
        # Decorated functions have this attribute; `inlineCallbacks` decorates.
        self._trace(hasattr(function, "__wrapped__"))

    def _trace(self, wanted: bool) -> None:
        """Give each call of the filter its own context, if that is WANTED."""
        self.gate = self.gate | TRACED if wanted else self.gate & ~TRACED

    @property
    def in_filter(self) -> bool:
        """Whether the caller is the filter: its own code, or a coroutine or Deferred that the filter waits for.

        Other code may run while a filter waits; for that code this is False.
        """
        if not self.gate & FILTERING:
            return False
        return self._running is None or _CALL.get() is self._call

    def update(self) -> None:
        """Set or clear CAREFUL."""
        if self._fills_buffer() is not None or self._process._waiters:
            self.gate |= CAREFUL
        else:
            self.gate &= ~CAREFUL

    def set_coding(self, coding: Coding, multibyte: bool) -> None:
        """Decode by CODING from now on, also the input that the filter has not used."""
        self.reclaim_unused()
        self.delivery.set_coding(coding, multibyte)
        self._retry()
        if self.delivery.waiting:
            self.gate |= QUEUED

    def _fills_buffer(self) -> Buffer | None:
        """Return the buffer that the default filter inserts into, None if there is none."""
        process = self._process
        buffer = process._insertion.buffer if process._uses_default_filter else None
        return buffer if buffer is not None and buffer.live else None

    def pump(self) -> None:
        """Deliver what waits, as far as the gate allows; then resume the channel, or report the end."""
        while not self.gate & HELD and self._has_more():
            room = self._find_room()
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
        """Whether there is something to deliver; at the end this may be an unfinished character."""
        delivery = self.delivery
        return delivery.ready or (delivery.ended and delivery.finish())

    def _deliver(self, room: int) -> None:
        text = self.delivery.take(room)
        if not self.delivery.waiting:
            self.gate &= ~QUEUED
        if text:
            self._filter(text)

    def _find_room(self) -> int:
        """Return how many bytes may be delivered.  If the buffer is full, hold input until it has room."""
        buffer = self._fills_buffer() if self.gate & CAREFUL else None
        if buffer is None:
            return PIECE
        if not buffer.room:
            self.hold(FULL)
            self._full = buffer
            buffer.when_room(self._has_room)
        return buffer.room

    def _has_room(self) -> None:
        self._full = None
        self.release(FULL)

    def _stop_waiting_for_room(self) -> None:
        self.gate &= ~FULL
        if self._full is not None:
            full, self._full = self._full, None
            full.forget(self._has_room)

    def shut(self) -> None:
        """Deliver nothing any more."""
        self.gate |= UNCONNECTED
        self._stop_waiting_for_room()
        self._channel = None
        self.unused = None
        self.delivery.discard()
        self.gate &= ~QUEUED

    def cancel(self) -> None:
        """Cancel a filter that is still running."""
        if self._running is not None:
            running, self._running = self._running, None
            running.cancel()

    def detach(self) -> None:
        """Drop the reference to the process, which is closed."""
        del self._process

    # -- the filter ---------------------------------------------------------------------------

    def _filter(self, text: str | bytes) -> None:
        """Call the filter with TEXT; the gate is shut until the filter is done."""
        process = self._process
        observed = bool(process.table.observers)
        if observed:
            process.table.notify(process, "filter", text)
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
        """Wait for RESULT, if that takes time; the filter was called with TEXT and may have ended its process."""
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
        """Return the Deferred of RESULT, None if RESULT is done.  A coroutine begins to run here."""
        self._call = self._call or object()
        context = _CALL.set(self._call)
        running = callbacks.pending(result, process, "filter")
        _CALL.reset(context)
        if running is result:
            # From the next call on, `in_filter` recognizes the code that this Deferred waits for.
            self._trace(True)
        return running

    def _filter_done(self, result: object, process: NetworkProcess, text: str | bytes) -> None:
        """Go on after a filter that did not finish in its call."""
        self._running = None
        self.gate &= ~FILTERING
        self._settle(process, text)
        self.pump()

    def _settle(self, process: NetworkProcess, text: str | bytes) -> None:
        """Note what the filter, which was called with TEXT and is done, has given back."""
        self._call = None
        self.delivery.settle(text)
        if self.delivery.seen > self.delivery.MOST_SEEN:
            process.fail(ProcessError(errno.EMSGSIZE, "the filter has used nothing of its input"))


class PacketInput(Input):
    """The receiving half of a process whose channel receives packets; one packet is one call of the filter.

    While anything holds input back the channel does not read, so packets wait in the kernel, each with its sender.  Only
    packets that the filter gives back are queued here.
    """

    __slots__ = ()

    delivery: PacketDelivery

    def data(self, data: bytes) -> None:
        """Deliver the packet DATA, which may be empty."""
        self.received += len(data)
        if self.gate & QUEUED:
            # First the packets that the filter has given back, then this one.
            self.delivery.retry(in_call=False)
            self.delivery.put(data)
        else:
            self._filter(self.delivery.decode(data))
        if self.gate:
            if not self.gate & HELD:
                # A packet goes into the buffer whole; the next one waits until there is room.
                self._find_room()
            self.pump()

    def _filter(self, text: str | bytes) -> None:
        super()._filter(text)
        if self.gate & FILTERING:
            # The next packet would change the address that the filter answers to.
            self._pause()
