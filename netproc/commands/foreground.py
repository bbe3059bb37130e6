"""Run a service in the foreground, as `netproc make` does: with its log on standard error, until a signal ends it.

`options.py` runs with this the commands that twistd runs as well; `exits.py` writes the line that says what is wrong.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from twisted.application.service import IService
from twisted.logger import ILogObserver, LogEvent, globalLogBeginner, textFileLogObserver
from zope.interface import provider

from ..core.errors import NetprocError
from ..net.interfaces import INetprocReactor, default_reactor
from .clock import use_monotonic_clock
from .exits import SAID, exit_status, say, what_is_wrong


def run_service(make_service: Callable[[INetprocReactor], IService]) -> int:
    """Run the service that MAKE_SERVICE returns, and return the exit status of the program.

    SIGTERM and SIGINT stop the service, and then the status is 0.  If the service cannot start, or ends with an error,
    standard error has one line that says why, and the status is 1.
    """
    reactor = default_reactor()
    use_monotonic_clock(reactor)
    _log_to_standard_error()
    try:
        service = make_service(reactor)
        service.privilegedStartService()
        service.startService()
    except NetprocError as error:
        say(what_is_wrong(error))
        return 1
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    reactor.run()
    return exit_status()


def _log_to_standard_error() -> None:
    # None: it was closed when the program started.
    if sys.stderr is None:
        return
    write = textFileLogObserver(sys.stderr)

    @provider(ILogObserver)
    def observe(event: LogEvent) -> None:
        # `say` has written the others to standard error already.
        if SAID not in event:
            write(event)

    globalLogBeginner.beginLoggingTo([observe], redirectStandardIO=False)
