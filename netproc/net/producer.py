"""A producer of Twisted's that has registered with a stream transport (IConsumer).

`net/transport.py` makes it what watches the output; it pauses and resumes the producer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .transport import StreamTransport


class Producing:
    """Writes as fast as the peer reads; one that does not stream is asked for each piece."""

    def __init__(self, transport: StreamTransport, producer: object, streaming: bool) -> None:
        self._transport = transport
        self._producer = producer
        self._streaming = streaming
        self._paused = False
        if not streaming:
            transport.when_writable()

    def congested(self) -> None:
        """Told by the transport."""
        if self._streaming and not self._paused:
            self._paused = True
            self._producer.pauseProducing()  # type: ignore[attr-defined]
            self._transport.when_writable()

    def writable(self) -> None:
        """Told by the transport."""
        self._paused = False
        self._producer.resumeProducing()  # type: ignore[attr-defined]
        if not self._streaming and self._transport.watcher is self:
            self._transport.when_writable()

    def output_failed(self, error: OSError) -> None:
        """The protocol hears of it when reading ends too."""

    def stop(self) -> None:
        """The connection is gone."""
        self._producer.stopProducing()  # type: ignore[attr-defined]
