"""The service that `twistd netproc make` runs: a process that says what it does, and ends the program.

`tap.py` makes it from options.  It is a `service.ProcessService` that announces where it listens, warns
of what is reachable from everywhere, and stops the reactor when there is nothing left to do.
"""

from __future__ import annotations

from typing import Any

from twisted.logger import Logger
from twisted.python.failure import Failure

from ..adapters.service import ProcessService
from ..core.address import format_address
from ..core.errors import NetprocError
from ..core.escape import escape
from ..core.status import State
from ..net.interfaces import INetprocReactor
from ..net.resolve import Resolver
from ..process.process import NetworkProcess
from .exits import exit_with, say, survive_signals
from .report import Reporter, how_to_try

log = Logger(namespace="netproc.command")


class ProcessCommand(ProcessService):
    """A process as a program of its own."""

    def __init__(
        self,
        reactor: INetprocReactor,
        keywords: dict[str, Any],
        owner: tuple[int, int] | None = None,
    ) -> None:
        self._reporter: Reporter | None = None
        if keywords.get("sentinel") is None and keywords.get("log") is None:
            self._reporter = Reporter()
            keywords = {**keywords, "sentinel": self._reporter.sentinel}
        super().__init__(owner=owner, reactor=reactor, **keywords)
        self._runner = reactor

    def _start(self, resolver: Resolver) -> None:
        # twistd has set its own handlers by now.
        survive_signals(self._runner)
        super()._start(resolver)

    def started(self, process: NetworkProcess) -> None:
        """Say where a server listens; end with a client."""
        if process.is_server:
            self._announce(process)
            return
        if self._reporter is not None and process._lifecycle.state is not State.CONNECT:
            self._reporter.opened(process)
        process.closed.addCallback(self._client_ended)

    def _announce(self, process: NetworkProcess) -> None:
        # Not what `contact` shows, which has no zones.
        place = process._contact.local
        name = escape(process.name)
        log.info("{name} listens on {place}", name=name, place=format_address(place))
        if place is not None and place.is_wildcard:
            log.warn("{name} can be reached from every network of this machine", name=name)
        command = None
        if self._keywords["endpoint"] is None:
            # What an endpoint of Twisted's speaks is not known.
            does_tls = self._keywords["tls_parameters"] is not None
            command = how_to_try(place, process.contact("type"), does_tls)
        if command is not None:
            log.info("try it: {command}", command=escape(command))

    def failed(self, failure: Failure) -> None:
        """One line, and the program ends."""
        if failure.check(NetprocError):
            self._end(failure.getErrorMessage())
        else:
            log.failure("The process could not be made", failure)
            self._end(f"unexpected {failure.type.__name__ if failure.type else 'error'}")

    def _client_ended(self, process: NetworkProcess) -> None:
        # Not `status`, which is "stop" for one that is stopped.
        if process._lifecycle.state is State.FAILED:
            self._end(str(process.reason))
        elif self.running:
            if self._reporter is None:
                log.info("{name}: ended", name=escape(process.name))
            self._runner.stop()

    def _end(self, problem: str) -> None:
        """End the program with PROBLEM."""
        log.error("{problem}", problem=escape(problem))
        exit_with(1)
        say(problem)
        self._runner.stop()
