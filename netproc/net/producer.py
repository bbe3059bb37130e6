"""A producer that a protocol has registered with its transport (Twisted's IConsumer).

`net/transport.py` and `adapters/transport.py` make a `Producing` for each producer.  They notify it when too much output is
pending and when little is, and ask it whether they have to wait for the producer before they close.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Producing:
    """The OutputWatcher that lets PRODUCER write as fast as the peer reads.

    A streaming producer writes until it is paused.  Any other producer writes one piece each time it is resumed.
    WHEN_WRITABLE asks the transport to call `writable` once, when little output is pending.
    """

    def __init__(self, producer: Any, streaming: bool, when_writable: Callable[[], None]) -> None:
        self.producer = producer
        self.streaming = streaming
        self._when_writable = when_writable
        self._paused = False
        self._over = False
        if not streaming:
            when_writable()

    @property
    def has_more(self) -> bool:
        """Whether the transport has to wait for the producer before it closes.

        It waits for a producer that it has to resume.  A streaming producer that is not paused has written all its
        output.  Some of these stay registered for the whole connection, such as the HTTP channel of twisted.web.
        """
        return not self._over and (self._paused or not self.streaming)

    def congested(self) -> None:
        """Pause the producer: more than the high-water mark is pending."""
        if self.streaming and not (self._paused or self._over):
            self._paused = True
            self.producer.pauseProducing()
            self._when_writable()

    def writable(self) -> None:
        """Resume the producer: less than the low-water mark is pending."""
        if self._over:
            return
        self._paused = False
        self.producer.resumeProducing()
        if not (self.streaming or self._over):
            self._when_writable()

    def output_failed(self, error: OSError) -> None:
        """Do nothing: the producer is stopped when the connection ends."""

    def end(self) -> None:
        """Call the producer no more: it has been unregistered."""
        self._over = True

    def stop(self) -> None:
        """Stop the producer: the connection has ended."""
        self._over = True
        self.producer.stopProducing()
