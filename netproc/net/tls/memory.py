"""TLS over any channel: records pass through memory, from the channel below to OpenSSL and back.

`attach.py` makes this channel if OpenSSL cannot use the socket: over a transport that netproc did not make, with an SSL
context that the program made, if input that has come already belongs to TLS, or to watch for a Diffie-Hellman prime.

OpenSSL gets one record at a time, and a limited number in each turn of the reactor.  The other records stay encrypted, as
all do while this channel is paused.  Meanwhile the channel below is paused too, so that at most one read of records is
held.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import IDelayedCall

from ...core.errors import ProcessError
from ...core.limits import KIB
from ..reads import RECORD
from .channel import TLS_BROKEN, TLSChannel, error_of
from .records import MOST_RECORDS, Incoming, RecordReader, weight

#: The most encrypted output that is taken from OpenSSL at once.
_PIECE = 64 * KIB

#: How many bytes of answers to key updates may wait for the peer.  With more, nothing is read.
MOST_ANSWERS = 64 * KIB


class MemoryTLSChannel(TLSChannel):
    """A TLS channel whose records pass through memory."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        # Received records that OpenSSL has not got yet.
        self._incoming = Incoming()
        self._records = RecordReader()
        self._no_more_records = False
        # Why the channel below has ended, if it has; reported when everything has been read.
        self._loss: tuple[ProcessError | None] | None = None
        self._reading = False
        # Whether the channel below is paused because enough records wait.
        self._held = False
        self._answers = 0
        # Output that is not encrypted yet, and the calls to make after it.
        self._clear: deque[memoryview] = deque()
        self._clear_size = 0
        self._after_output: list[Callable[[], None]] = []
        self._next_turn: IDelayedCall | None = None
        # The size of the last part of the handshake, which may be pending when the receiver begins to write.
        self._flight = 0
        # The size of our close_notify or alert: if the peer is gone already, these bytes do not count as unsent.
        self._goodbye = 0

    # -- the handshake ------------------------------------------------------------------------

    def _begin(self, unread: bytes) -> None:
        self._incoming.add(unread)
        self._shake_hands()
        self._read()

    def _handshake_waits(self, wanted: SSL.Error) -> None:
        self._send_records()

    def _handshake_over(self) -> None:
        self._flight = self._send_records()

    def _go_on(self) -> None:
        self._read()

    # -- input --------------------------------------------------------------------------------

    @property
    def data(self) -> Callable[[bytes], None]:
        return self._take

    def _take(self, data: bytes) -> None:
        """Take DATA, which is whole records or parts of them."""
        self._flight = 0
        self._incoming.add(data)
        self._read()

    def eof(self) -> None:
        """Report the end after the records that have come."""
        self._no_more_records = True
        self._read()

    def _below_ended(self) -> None:
        # With a close_notify the end would have been reported before.
        self.truncated = True
        self._input_ended()

    def lost(self, reason: ProcessError | None) -> None:
        """Pass on the input that has come, even if this channel is paused, then report the end."""
        if self._handshaking:
            super().lost(reason)
            return
        self._no_more_records = True
        self._loss = (reason,)
        self._read()

    def resume(self) -> None:
        super().resume()
        if not self._handshaking:
            self._read()

    def _read(self) -> None:
        """Give OpenSSL some of the received records, and pass their data to the receiver."""
        if self._reading:
            return  # called by the receiver: the loop below continues
        self._reading = True
        try:
            done = 0
            while done < MOST_RECORDS and self._wants_input():
                part = self._records.read(self._incoming.take)
                if not part:
                    break
                done += self._read_part(part)
        finally:
            self._reading = False
        self._answer()
        self._go_on_later()

    def _wants_input(self) -> bool:
        if self.failure or self._input_over:
            return False
        if self._handshaking:
            return True
        paused = self._paused and self._loss is None
        return self._receiver is not None and not (paused or self._closing)

    def _read_part(self, part: bytes) -> int:
        """Give OpenSSL a record, or PART of it; return how many records that counts as."""
        self._connection.bio_write(part)
        if self._handshaking:
            self._shake_hands()
        elif self._pass_on():
            return 1
        return weight(part)

    def _pass_on(self) -> bool:
        """Pass the data of a record to the receiver, or report the end; return whether there was data."""
        try:
            data = self._connection.recv(RECORD)
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self._input_ended()
        except SSL.Error as error:
            self._break(error_of(TLS_BROKEN, error))
        else:
            assert self._receiver is not None
            self._receiver.data(data)
            return True
        return False

    def _answer(self) -> None:
        """Send the answers of OpenSSL, and note how many bytes of them the peer has not read."""
        self._answers += self._send_records()
        if not self._below.output.pending:
            self._answers = 0
        elif self._answers > MOST_ANSWERS:
            self._below.when_writable()

    def _go_on_later(self) -> None:
        """Schedule the rest of records and output for the next turn of the reactor; without a rest, report the end."""
        if self._reading:
            return  # called by the receiver: the loop in `_read` calls this when it is done
        wanted = self._wants_input()
        is_busy = wanted and bool(self._incoming)
        self._hold(is_busy or self._answers > MOST_ANSWERS)
        if (is_busy or self._can_encrypt()) and self._next_turn is None:
            self._next_turn = self._reactor.callLater(0, self._work)
        if is_busy:
            return
        if self._loss is not None:
            super().lost(*self._loss)
        elif wanted and self._no_more_records:
            super().eof()

    def _work(self) -> None:
        self._next_turn = None
        self._encrypt_some()
        self._read()

    def _hold(self, hold: bool) -> None:
        """Pause the channel below if HOLD; otherwise resume it, unless this channel is paused."""
        if hold:
            self._below.pause()
        elif self._held and (self._handshaking or not self._paused):
            self._below.resume()
        self._held = hold

    # -- output -------------------------------------------------------------------------------

    @property
    def pending(self) -> int:
        encrypted = max(0, self._below.output.pending - self._flight)
        return encrypted + self._early_size + self._clear_size

    def writable(self) -> None:
        """Report room for output when the output that is not encrypted yet has been passed on too."""
        if self._answers:
            self._answers = 0
            self._go_on_later()
        if self._clear:
            self._after_output.append(self._below.when_writable)
        else:
            super().writable()

    def _encrypt(self, data: bytes) -> None:
        """Write DATA as records, a limited number in each turn of the reactor."""
        if not data:
            return
        self._clear.append(memoryview(data))
        self._clear_size += len(data)
        if self._next_turn is None:
            self._encrypt_some()
            if self._clear:
                self._go_on_later()

    def _encrypt_some(self) -> None:
        for _ in range(MOST_RECORDS):
            if not self._can_encrypt():
                break
            self._encrypt_record()
        if not self._clear:
            due, self._after_output = self._after_output, []
            for step in due:
                step()

    def _can_encrypt(self) -> bool:
        return bool(self._clear) and self.failure is None and self._loss is None

    def _encrypt_record(self) -> None:
        data = self._clear[0]
        try:
            taken = self._connection.send(data[:RECORD])
        except SSL.Error as error:
            self._break(error_of(TLS_BROKEN, error))
            return
        if taken < len(data):
            self._clear[0] = data[taken:]
        else:
            self._clear.popleft()
        self._clear_size -= taken
        self._send_records()

    def _send_records(self) -> int:
        """Write the records that OpenSSL has made to the channel below; return their size."""
        size = 0
        while True:
            try:
                records = self._connection.bio_read(_PIECE)
            except SSL.WantReadError:
                return size
            self._below.write(records)
            size += len(records)
            if len(records) < _PIECE:
                return size

    def _send_alert(self) -> None:
        self._goodbye = self._send_records()

    # -- ending -------------------------------------------------------------------------------

    def _say_goodbye(self) -> None:
        if self._clear:
            self._after_output.append(self._say_goodbye)
            return
        if self._connection.get_shutdown() & SSL.SENT_SHUTDOWN:
            return
        try:
            self._connection.shutdown()
        except SSL.Error:
            # The connection is broken; its alert was the last record.
            pass
        self._goodbye = self._send_records()

    def _close_below(self, flush: float, linger: float) -> None:
        if self._clear:
            self._after_output.append(partial(self._close_below, flush, linger))
        else:
            super()._close_below(flush, linger)

    def _end(self, reason: ProcessError | None) -> None:
        if self._next_turn is not None:
            self._next_turn.cancel()
            self._next_turn = None
        self._after_output.clear()
        super()._end(reason)
        self._clear.clear()

    def _count_unsent(self) -> None:
        super()._count_unsent()
        self.unsent += self._clear_size

    @property
    def _not_missed(self) -> int:
        return self._goodbye
