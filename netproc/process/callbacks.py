"""What the program's functions raise and return: errors are logged, coroutines run.

`input.py` calls filters, `process.py` calls sentinels and log functions, `filters/framing.py` calls functions for messages.
They call this module when such a function raises, or returns a coroutine or a Deferred.  An error is logged once with its
traceback, and the process goes on (N167).  KeyboardInterrupt and SystemExit end the program.

A peer may be able to make a function raise as often as it likes.  So at most ten errors a second are logged for a client,
and for a server together with its connections; the next line says how many were not logged.
"""

from __future__ import annotations

from contextlib import suppress
from types import CoroutineType
from typing import Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ReactorNotRunning
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..core.errors import ProcessError
from ..core.throttle import Throttle, not_logged
from ..net.interfaces import INetprocReactor

log = Logger()


class Owner(Protocol):
    """The process whose functions are called."""

    name: str
    reactor: INetprocReactor

    @property
    def _complaints(self) -> Throttle:
        """The limit for the log lines that its peer can cause."""


def raised(error: BaseException, owner: Owner, what: str) -> None:
    """Log ERROR, which the WHAT ("filter", …) of process OWNER has raised.

    KeyboardInterrupt and SystemExit stop the reactor; if they were raised further, they would only end one connection.
    """
    _report(Failure(error), owner, what)


def _report(failure: Failure, owner: Owner, what: str) -> None:
    if failure.check(KeyboardInterrupt, SystemExit):
        with suppress(ReactorNotRunning):  # it may be stopping already
            owner.reactor.stop()
    if isinstance(failure.value, ProcessError):
        if failure.value.logged:
            return
        failure.value.logged = True
    suppressed = owner._complaints.passes(owner.reactor.seconds())
    if suppressed is not None:
        log.failure(
            "error in process {what} of {name!r}{more}",
            failure,
            what=what,
            name=owner.name,
            more=not_logged(suppressed),
        )


def pending(result: object, owner: Owner, what: str) -> Deferred[object] | None:
    """Return a Deferred for RESULT of a function if that is a coroutine or an unfired Deferred, otherwise None.

    The Deferred never fails: errors are logged, and cancelling is not an error.  What it fires with has no meaning.
    """
    if result is None:
        return None
    if isinstance(result, CoroutineType):
        result = Deferred.fromCoroutine(result)
    if not isinstance(result, Deferred):
        return None

    def failed(failure: Failure) -> None:
        if not failure.check(CancelledError):
            _report(failure, owner, what)

    result.addErrback(failed)
    return None if result.called and not result.paused else result
