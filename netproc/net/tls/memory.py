"""TLS over any channel: records pass through memory, from the channel below to OpenSSL and back.

`attach.py` makes it where OpenSSL cannot have the socket: over foreign transports, by somebody else's contexts, when
what has come already is part of TLS, or to watch for primes.

What is held back stays encrypted: a paused channel leaves records in the engine, and once the
handshake is done it pauses the channel below, so there are never more than one read brought.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from OpenSSL import SSL

from ...core.errors import ProcessError
from ...core.limits import KIB
from .channel import TLS_BROKEN, TLSChannel, error_of

#: The longest record.
_RECORD = 16 * KIB
_PIECE = 64 * KIB


class MemoryTLSChannel(TLSChannel):
    """See TLSChannel."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._reading = False
        # The size of the handshake's end, which is on its way when what is above begins to write.
        self._flight = 0
        # The size of our close_notify or alert, which nobody misses who has gone already.
        self._goodbye = 0
        self._no_more_records = False

    # -- the handshake ------------------------------------------------------------------------

    def _begin(self, unread: bytes) -> None:
        self._take(unread)

    def _handshake_waits(self, wanted: SSL.Error) -> None:
        self._send_records()

    def _handshake_over(self) -> None:
        self._flight = self._send_records()
        # Whoever is told now may ask to be told of input: there is nobody to tell before.
        self._reading = True

    def _go_on(self) -> None:
        self._reading = False
        self._read()

    # -- input --------------------------------------------------------------------------------

    @property
    def data(self) -> Callable[[bytes], None]:
        """See Receiver."""
        return self._take

    def _take(self, data: bytes) -> None:
        """Records have come, or parts of some."""
        self._flight = 0
        if data:
            self._connection.bio_write(data)
        if self._handshaking:
            self._shake_hands()
        else:
            self._read()

    def _below_ended(self) -> None:
        self._no_more_records = True
        self._read()

    def lost(self, reason: ProcessError | None) -> None:
        """See Receiver; what has come goes up first, whether paused or not."""
        if not self._handshaking:
            self._paused = False
            self._read()
        super().lost(reason)

    def resume(self) -> None:
        """See Channel."""
        super().resume()
        if not self._handshaking:
            self._read()

    def _read(self) -> None:
        """Tell what has come, as far as the receiver takes it."""
        if self._reading:
            return  # asked by who is told: the loop goes on by itself
        self._reading = True
        try:
            while self._wants_input() and self._read_record():
                pass
        finally:
            self._reading = False
        self._send_records()

    def _wants_input(self) -> bool:
        return not (self._paused or self._input_over or self._closing or self.failure)

    def _read_record(self) -> bool:
        """Tell what one record has, or the end; False if there is no whole one."""
        try:
            data = self._connection.recv(_RECORD)
        except SSL.WantReadError:
            if self._no_more_records:
                self.truncated = True
                self._input_ended()
            return False
        except SSL.ZeroReturnError:
            self._input_ended()
            return False
        except SSL.Error as error:
            self._break(error_of(TLS_BROKEN, error))
            return False
        assert self._receiver is not None
        self._receiver.data(data)
        return True

    # -- output -------------------------------------------------------------------------------

    @property
    def pending(self) -> int:
        """See Output."""
        return max(0, self._below.output.pending - self._flight) + self._early_size

    def _encrypt(self, data: bytes) -> None:
        """Write DATA as records, by and by, lest the engine hold all of it."""
        rest = memoryview(data)
        while rest:
            try:
                taken = self._connection.send(rest[:_PIECE])
            except SSL.Error as error:
                self._break(error_of(TLS_BROKEN, error))
                return
            self._send_records()
            rest = rest[taken:]

    def _send_records(self) -> int:
        """Give what the engine has made to the channel below; how many bytes that is."""
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
        if self._connection.get_shutdown() & SSL.SENT_SHUTDOWN:
            return
        try:
            self._connection.shutdown()
        except SSL.Error:
            # It has been broken; its alert is the last word.
            pass
        self._goodbye = self._send_records()

    @property
    def _not_missed(self) -> int:
        return self._goodbye
