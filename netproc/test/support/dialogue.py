"""A scripted server for the negotiation machine; its data can be cut anywhere."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from netproc.core.errors import NegotiationError, NetprocError
from netproc.core.negotiate import (
    HANDSHAKE,
    Done,
    Failed,
    Negotiation,
    Send,
    StartTLS,
    StreamProperties,
    Wake,
)
from netproc.core.search import LOOK_AFTER

NOTHING = StreamProperties(None, None, "plain")


@dataclass
class Outcome:
    """The whole result of a dialogue, which does not depend on the cuts."""

    sent: list[bytes] = field(default_factory=list)
    #: The data that the TLS engine received; None without a handshake.
    engine: bytes | None = None
    error: Exception | None = None
    properties: StreamProperties = NOTHING
    #: The data left for the process, or after a failure for no reader.
    rest: bytes = b""

    @property
    def comparable(self) -> tuple[object, ...]:
        error = None if self.error is None else (type(self.error), str(self.error))
        return self.sent, self.engine, error, self.properties, self.rest


def pieces(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    """DATA cut at CUTS, taken modulo its length; no piece is empty."""
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[a:b] for a, b in itertools.pairwise(places)]


def every_byte(data: bytes) -> range:
    return range(len(data))


class Server:
    """Sends the first answer of SCRIPT at once, and the next after each command; ends after the last.

    An empty answer is a silence as long as a client waits.
    """

    def __init__(
        self,
        negotiation: Negotiation,
        script: Sequence[bytes],
        cuts: Sequence[int] | None = None,
        bytewise: bool = False,
    ) -> None:
        self.negotiation = negotiation
        self.script = list(script)
        self.cuts = cuts or ()
        self.bytewise = bytewise
        self.outcome = Outcome()
        self.over = False
        self.alarm: float | None = None

    def run(self) -> Outcome:
        self.negotiation.start()
        self.act()
        while self.script and not self.over:
            answer = self.script.pop(0)
            self.say(answer)
            self.wait(LOOK_AFTER if answer else math.inf)
        self.wait(math.inf)
        if not self.over:
            # The stage that leads the dialogue fails with this error when the server closes.
            error = NegotiationError(f"connection closed before the {self.negotiation.waiting_for}")
            self.fail(error)
        return self.outcome

    def say(self, answer: bytes) -> None:
        for data in pieces(answer, every_byte(answer) if self.bytewise else self.cuts):
            if self.over:
                self.outcome.rest += data if self.outcome.error is None else b""
            elif self.negotiation.waiting_for == HANDSHAKE:
                assert self.outcome.engine is not None
                self.outcome.engine += data
            else:
                self.negotiation.receive(data)
                self.act()
        if self.negotiation.waiting_for == HANDSHAKE and not self.over:
            self.negotiation.tls_started()
            self.act()

    def wait(self, seconds: float) -> None:
        """Let SECONDS pass."""
        if self.alarm is not None and self.alarm <= seconds and not self.over:
            self.alarm = None
            self.negotiation.woken()
            self.act()

    def act(self) -> None:
        for action in self.negotiation.actions():
            match action:
                case Send(data):
                    self.outcome.sent.append(data)
                case StartTLS(unread):
                    assert self.outcome.engine is None
                    self.outcome.engine = unread
                case Wake(seconds):
                    assert self.alarm is None
                    self.alarm = seconds
                case Done(properties, unread):
                    self.over = True
                    self.outcome.properties, self.outcome.rest = properties, unread
                case Failed(error):
                    self.fail(error)

    def fail(self, error: NetprocError) -> None:
        self.over = True
        self.outcome.error = error
        self.outcome.properties = self.negotiation.properties(str(error))
