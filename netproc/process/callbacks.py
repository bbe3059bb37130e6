"""Calling the program's functions: what they raise, and those that take time.

`input.py` calls filters, `process.py` sentinels and log functions; both come here when one raises or
returns something to wait for.  An error is logged once with its traceback and the process goes on
(N167); what would end the program ends it.

A peer may be able to make a function raise as often as it likes.  So of a server with all its connections, and of a
client, no more than ten errors a second are logged; the next line says how many were left out.
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
        """Limits the log lines that its peer can cause."""


def raised(error: BaseException, owner: Owner, what: str) -> None:
    """ERROR has come out of the WHAT ("filter", …) of process OWNER.

    KeyboardInterrupt and SystemExit stop the reactor: raised on, they would only end one
    connection.
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
    """What RESULT of a function promises, or None if it is done.

    The Deferred fires with whatever, never fails: errors are logged, cancelling is no error.
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
