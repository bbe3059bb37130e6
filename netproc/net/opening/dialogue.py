"""The stage of the dialogue: greeting, capabilities and STARTTLS, led by the machine of `core/negotiate.py`.

`streams/openstream.py` makes the stage.  When the server agrees to TLS, the connection takes a detour through the stages of
the handshake.  Then this stage runs again, with the channel above TLS.
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
    """The input from the server, before STARTTLS and after it; `secure` is None if there was no STARTTLS."""

    clear: bytes
    secure: bytes | None


class Dialogue(Stage):
    """Runs NEGOTIATION until it is done or DEADLINE passes.

    UPGRADE returns the stages of the TLS handshake, for which DEADLINE holds too.  DONE is called with the properties of the
    stream and the input of the dialogue, before the connection goes to the next stage.
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
        # The timer for which the machine has asked.
        self._alarm: IDelayedCall | None = None

    @property
    def waiting_for(self) -> str:  # type: ignore[override]
        return self.negotiation.waiting_for

    def closed(self) -> NegotiationError:
        return NegotiationError(f"connection closed before the {self.waiting_for}")

    def begin(self, unread: bytes) -> None:
        """Start the machine, or go on with it after the TLS handshake."""
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
        """Do the actions that the machine returns."""
        for action in self.negotiation.actions():
            if self.opening.over:
                return  # the action before this one has ended the connection
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
            # Let the machine ask for a new timer after the handshake.
            self.negotiation.woken()
        if unread:
            # This input is part of the handshake, or an error.  It is not part of the dialogue.
            self._said[:] = [b"".join(self._said)[: -len(unread)]]
        self._said_in_clear = sum(map(len, self._said))
        self.proceed(unread, detour=[*self._upgrade(), self])

    def _finish(self, properties: StreamProperties, unread: bytes) -> None:
        """Hand the channel on with UNREAD.

        The input before it becomes the beginning of the process's buffer, as in Emacs.
        """
        self.cancel()
        said = b"".join(self._said)
        said = said[: len(said) - len(unread)]
        tls_start = self._said_in_clear
        secure = None if tls_start is None else said[tls_start:]
        self._done(properties, Said(said[:tls_start], secure))
        self.proceed(unread)
