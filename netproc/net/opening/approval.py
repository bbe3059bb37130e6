"""The stage of the security manager: a connection that is otherwise ready waits for the manager's approval.

`streams/openstream.py` makes the stage with a function that asks `streams/security.py` (at run time) for the verdict.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from ...core.errors import ProcessError, SecurityError
from ...core.escape import escape
from ..channel import Channel
from ..tls.channel import TLSChannel
from .stages import Deadline, Stage

SECURITY_MANAGER: Final = "answer of the security manager"


class Approval(Stage):
    """Waits for the verdict of the security manager.

    ASK is called with the channel.  It returns a Deferred that fires if the channel may be used, and fails if not.  With
    CLEAR_TEXT_ONLY, a channel with TLS passes at once.
    """

    waiting_for = SECURITY_MANAGER

    def __init__(
        self,
        ask: Callable[[Channel], Deferred[None]],
        deadline: Deadline,
        *,
        clear_text_only: bool = False,
    ) -> None:
        self._ask = ask
        self.deadline = deadline
        self._clear_text_only = clear_text_only
        self._verdict: Deferred[None] | None = None
        self._unread: list[bytes] = []

    def begin(self, unread: bytes) -> None:
        if self._clear_text_only and isinstance(self.channel, TLSChannel):
            self.proceed(unread)
            return
        self._unread = [unread]
        self.channel.pause()
        verdict = self._ask(self.channel)
        if self.opening.over:
            # While it was asked, the manager called the program, which has given up the stream.
            verdict.addErrback(lambda _: None)
            verdict.cancel()
            return
        self._verdict = verdict
        verdict.addCallbacks(self._accept, self._refuse)

    def _receive(self, data: bytes) -> None:
        """Keep DATA for the next stage: some transports cannot be paused."""
        self._unread.append(data)

    def _accept(self, _: None) -> None:
        self.proceed(b"".join(self._unread))

    def _refuse(self, failure: Failure) -> None:
        error = failure.value
        if not isinstance(error, ProcessError):
            error = SecurityError(f"the security manager failed: {escape(repr(error))}")
        self.opening.refuse(error)

    def cancel(self) -> None:
        """Cancel the question to the manager, if it has no answer yet."""
        if self._verdict is not None:
            self._verdict.cancel()
