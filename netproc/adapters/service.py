"""ProcessService: a network process that starts and stops with a Twisted application.

Programs use it in a .tac file or in a MultiService; `commands/make.py` derives its service from it.  The service makes
the process by `making/make.py`.  When the application stops, it deletes the process after its output has been written.
"""

from __future__ import annotations

import dataclasses
import os
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..core.errors import NetprocError, from_os_error
from ..core.escape import escape, shown
from ..core.spec import makes_server
from ..making.make import KEYWORDS, make
from ..net.lookup import Resolver, resolve, resolve_blocking
from ..process.process import DEFAULT_TABLE, NetworkProcess

log = Logger()

#: Seconds for writing pending output.  Stopping takes 10 seconds at most, of which the rest is for closing.
STOP_FLUSH = 7.0


class ProcessService(Service):
    """A `twisted.application.service.Service` that runs one process.

    A server starts to listen when the service starts with privileges, so that low ports and ``twistd --uid`` work.  Its host
    is then looked up by a blocking call.

    Args:
        owner: A pair (user id, group id) that becomes the owner of the file of a UNIX server.
        keywords: The keywords of `make_network_process`.

    Attributes:
        process: The process, or None while there is none.

    Raises:
        TypeError: A keyword is unknown, or `name` is missing.
    """

    def __init__(self, *, owner: tuple[int, int] | None = None, **keywords: Any) -> None:
        self._owner = owner
        self._table = keywords.pop("table", None)
        self._reactor = keywords.pop("reactor", None)
        unknown = set(keywords) - set(KEYWORDS)
        if unknown:
            raise TypeError(f"ProcessService got an unexpected keyword {shown(min(unknown))}")
        if "name" not in keywords:
            raise TypeError("ProcessService needs the keyword 'name'")
        self._keywords: dict[str, Any] = {**KEYWORDS, **keywords}
        self._attempt: Deferred[Any] | None = None
        self.process: NetworkProcess | None = None

    def privilegedStartService(self) -> None:
        """Make the server and let it listen.  A client is not made yet.

        Raises:
            NetprocError: The server could not be made, and netproc knows this at once.
        """
        super().privilegedStartService()
        if makes_server(self._keywords["server"]):
            self._start(resolve_blocking)

    def startService(self) -> None:
        """Make the process, unless it is a server that listens already.

        Raises:
            NetprocError: The process could not be made, and netproc knows this at once.
        """
        super().startService()
        if self._attempt is None:
            self._start(resolve)

    def _start(self, resolver: Resolver) -> None:
        attempt = make(self._keywords, self._table, self._reactor, resolver)
        attempt.addCallback(self._made)
        if attempt.called and isinstance(attempt.result, Failure):
            failure = attempt.result
            attempt.addErrback(lambda _: None)
            failure.raiseException()
        attempt.addErrback(self._failed_later)
        self._attempt = attempt

    def _made(self, process: NetworkProcess) -> None:
        self.process = process
        local = process.contact("local")
        if self._owner is not None and isinstance(local, str) and not local.startswith("\0"):
            try:
                # Not chown: the file may have been replaced by a link to another one.
                os.lchown(local, *self._owner)
            except OSError as error:
                process.delete()
                raise from_os_error(error, "Cannot give the socket to its owner", local) from None
        self.started(process)

    def _failed_later(self, failure: Failure) -> None:
        if self.running:
            self.failed(failure)

    def started(self, process: NetworkProcess) -> None:
        """The service calls this method when the process was made.  Subclasses can override it.

        Args:
            process: The process.
        """

    def failed(self, failure: Failure) -> None:
        """The service calls this method when the process could not be made, after the service has started.

        Subclasses can override it.  The method logs the failure.

        Args:
            failure: The failure of the Deferred of `make_network_process`.
        """
        if failure.check(NetprocError):
            log.error("{error}", error=escape(failure.getErrorMessage()))
        else:
            log.failure("The process could not be made", failure)

    def stopService(self) -> Deferred[None]:  # D17
        """Delete the process and, if it is a server, its connections.

        netproc writes their pending output first.

        Returns:
            A Deferred that fires within 10 seconds.  It does not wait for processes whose `query_on_exit` is off.
        """
        super().stopService()
        attempt, self._attempt = self._attempt, None
        if attempt is not None and not attempt.called:
            attempt.cancel()
        waiting = []
        for process in self._processes():
            limits = process.limits
            flush = min(limits.flush_timeout, STOP_FLUSH)
            process.limits = dataclasses.replace(limits, flush_timeout=flush)
            if process.query_on_exit:
                waiting.append(process.closed)
            process.delete()
        self.process = None
        return DeferredList(waiting).addCallback(lambda _: None)

    def _processes(self) -> list[NetworkProcess]:
        """Return the process, followed by its connections if it is a server."""
        process = self.process
        if process is None:
            return []
        table = DEFAULT_TABLE if self._table is None else self._table
        connections = [p for p in table.processes() if p.accepted_by is process]
        return [process, *connections] if process.live else connections
