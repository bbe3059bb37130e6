"""A producer that a protocol has registered with its transport (Twisted's IConsumer).

`net/transport.py` and `adapters/transport.py` make one for each producer.  They report how their output goes on, and ask
whether they have to wait for the producer before they close.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Producing:
    """Lets PRODUCER write as fast as the peer reads.

    A streaming producer writes until it is paused.  Any other producer writes one piece each time it is resumed.
    WHEN_WRITABLE asks the transport to call `writable` once, soon, when little is pending.
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
        """Whether the transport waits for the producer before it closes.

        It waits for those that it has to resume.  A streaming producer that is not paused has written what it had:
        some are registered for the whole connection and never unregister, such as the HTTP channel of twisted.web.
        """
        return not self._over and (self._paused or not self.streaming)

    def congested(self) -> None:
        """More than the high-water mark is pending."""
        if self.streaming and not (self._paused or self._over):
            self._paused = True
            self.producer.pauseProducing()
            self._when_writable()

    def writable(self) -> None:
        """Less than the low-water mark is pending."""
        if self._over:
            return
        self._paused = False
        self.producer.resumeProducing()
        if not (self.streaming or self._over):
            self._when_writable()

    def output_failed(self, error: OSError) -> None:
        """The producer is stopped when the connection ends."""

    def end(self) -> None:
        """The producer has been unregistered."""
        self._over = True

    def stop(self) -> None:
        """The connection is gone."""
        self._over = True
        self.producer.stopProducing()
