"""The producer of a transport: lets it write as fast as the peer reads.

`processtransport.py` makes one for what a protocol registers, and tells it what has been written; this asks the process
how much is pending.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall

from .process import NetworkProcess


class Producing:
    """Pauses and resumes a streaming producer, asks another for more as soon as there is room."""

    def __init__(
        self,
        process: NetworkProcess,
        producer: Any,
        streaming: bool,
        ask: Callable[[Callable[[], object]], bool],
    ) -> None:
        # Calls something of the producer; an error, then it is False, ends the connection.
        self._ask = ask
        self.producer = producer
        self._process = process
        self._streaming = streaming
        self._paused = False
        self._over = False
        self._call: IDelayedCall | None = None
        if not streaming:
            self._pull_soon()

    def written(self) -> None:
        """Something has been written: is that enough?"""
        process = self._process
        if self._streaming and not self._paused and process.pending > process.limits.high_water:
            self._paused = True
            self._when_room(self._resume)
            self._ask(self.producer.pauseProducing)

    def end(self) -> None:
        """It is not asked for anything any more."""
        self._over = True
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _resume(self) -> None:
        self._paused = False
        self._ask(self.producer.resumeProducing)

    def _pull_soon(self) -> None:
        # One piece in a turn of the reactor: others want to do something too.
        self._call = self._process.reactor.callLater(0, self._pull)

    def _pull(self) -> None:
        self._call = None
        if self._ask(self.producer.resumeProducing):
            self._when_room(self._pull_soon)

    def _when_room(self, then: Any) -> None:
        """Call THEN when little is pending; if nothing can be written any more that is never."""
        if not self._over:
            room = self._process.drain()
            room.addCallbacks(lambda _: None if self._over else then(), lambda _: None)
