"""Calling the program's functions: what they raise, and those that take time.

`reading.py` calls filters, `process.py` sentinels and log functions; both come here when one raises or
returns something to wait for.  An error is logged once with its traceback and the process goes on
(N167); what would end the program ends it.
"""

from __future__ import annotations

from contextlib import suppress
from types import CoroutineType

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ReactorNotRunning
from twisted.logger import Logger
from twisted.python.failure import Failure

from .core.errors import ProcessError
from .net.reactor import INetprocReactor

log = Logger()


def raised(error: BaseException, reactor: INetprocReactor, what: str, name: str) -> None:
    """ERROR has come out of the WHAT ("filter", …) of process NAME.

    KeyboardInterrupt and SystemExit stop the reactor: raised on, they would only end one
    connection.
    """
    _report(Failure(error), reactor, what, name)


def _report(failure: Failure, reactor: INetprocReactor, what: str, name: str) -> None:
    if failure.check(KeyboardInterrupt, SystemExit):
        with suppress(ReactorNotRunning):  # it may be stopping already
            reactor.stop()
    if isinstance(failure.value, ProcessError):
        if failure.value.logged:
            return
        failure.value.logged = True
    log.failure("error in process {what} of {name!r}", failure, what=what, name=name)


def pending(
    result: object, reactor: INetprocReactor, what: str, name: str
) -> Deferred[object] | None:
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
            _report(failure, reactor, what, name)

    result.addErrback(failed)
    return None if result.called and not result.paused else result
