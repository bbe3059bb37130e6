"""The stage of the dialogue: greeting, capabilities and STARTTLS, as `core/negotiate.py` decides them.

When the server agrees to TLS, the stage sends the connection through a detour, the stages of the handshake, and then runs
again with what is above TLS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from twisted.internet.interfaces import IDelayedCall

from ...core.errors import NegotiationError
from ...core.negotiate import Done, Failed, Negotiation, Send, StartTLS, StreamProperties, Wake
from ..interfaces import INetprocReactor
from .stages import Deadline, Stage


class Said(NamedTuple):
    """What the server said, before STARTTLS and after it; `secure` is None if there was no STARTTLS."""

    clear: bytes
    secure: bytes | None


class Dialogue(Stage):
    """Lead NEGOTIATION before DEADLINE, which also holds for the stages that UPGRADE returns, those of STARTTLS.

    DONE is called with what was found out and with the text of the dialogue, before the connection goes to the next stage.
    """

    def __init__(
        self,
        negotiation: Negotiation,
        reactor: INetprocReactor,
        deadline: Deadline,
        *,
        upgrade: Callable[[], Iterable[Stage]],
        done: Callable[[StreamProperties, Said], None],
    ) -> None:
        self.negotiation = negotiation
        self._reactor = reactor
        self.deadline = deadline
        self._upgrade = upgrade
        self._done = done
        #: Whether the dialogue has begun.
        self.began = False
        self._said: list[bytes] = []
        self._said_in_clear: int | None = None
        # What the machine has asked to be woken by.
        self._alarm: IDelayedCall | None = None

    @property
    def waiting_for(self) -> str:  # type: ignore[override]
        return self.negotiation.waiting_for

    def closed(self) -> NegotiationError:
        return NegotiationError(f"connection closed before the {self.waiting_for}")

    def begin(self, unread: bytes) -> None:
        """See Stage; the second time TLS has started."""
        self.channel.resume()
        self._said.append(unread)
        if self.began:
            self.negotiation.tls_started(unread)
        else:
            self.began = True
            self.negotiation.start(unread)
        self._act()

    def _receive(self, data: bytes) -> None:
        if not self.opening.over:
            self._said.append(data)
            self.negotiation.receive(data)
            self._act()

    def _act(self) -> None:
        """Do what the machine wants."""
        for action in self.negotiation.actions():
            if self.opening.over:
                return  # the connection was lost by the action before
            match action:
                case Send(data):
                    self.channel.write(data)
                case StartTLS(unread):
                    self._start_tls(unread)
                case Wake(seconds):
                    self._alarm = self._reactor.callLater(seconds, self._wake)
                case Done(properties, unread):
                    self._finish(properties, unread)
                case Failed(error):
                    self.opening.refuse(error)

    def _wake(self) -> None:
        self._alarm = None
        self.negotiation.woken()
        self._act()

    def cancel(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _start_tls(self, unread: bytes) -> None:
        if self._alarm is not None:
            self.cancel()
            # It may ask again after the handshake.
            self.negotiation.woken()
        if unread:
            # It belongs to TLS, or is no part of anything.
            self._said[:] = [b"".join(self._said)[: -len(unread)]]
        self._said_in_clear = sum(map(len, self._said))
        self.proceed(unread, detour=[*self._upgrade(), self])

    def _finish(self, properties: StreamProperties, unread: bytes) -> None:
        """Go on with UNREAD.  The text before it becomes the beginning of the stream's buffer, as in Emacs."""
        self.cancel()
        said = b"".join(self._said)
        said = said[: len(said) - len(unread)]
        tls_start = self._said_in_clear
        secure = None if tls_start is None else said[tls_start:]
        self._done(properties, Said(said[:tls_start], secure))
        self.proceed(unread)
