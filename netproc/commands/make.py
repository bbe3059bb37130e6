"""The command `make`: a process by the keywords of make_network_process, which runs until it ends.

`table.py` lists its options.  Its service is a `ProcessService` (`adapters/service.py`) that logs where it listens, warns
if the server can be reached from every network, and stops the reactor when a client has ended or cannot be made.
"""

from __future__ import annotations

from typing import Any

from twisted.logger import Logger
from twisted.python import usage
from twisted.python.failure import Failure

from ..adapters.service import ProcessService
from ..core.address import format_address
from ..core.errors import NetprocError
from ..core.escape import escape
from ..core.spec import makes_server
from ..core.status import State
from ..net.interfaces import INetprocReactor
from ..net.lookup import Resolver
from ..process.process import NetworkProcess
from .exits import SAID, exit_with, say, survive_signals, what_is_wrong
from .keywords import KeywordOptions
from .options import ServiceOptions
from .report import Reporter, how_to_try

log = Logger(namespace="netproc.command")


class MakeOptions(KeywordOptions, ServiceOptions):
    """Options of the command `make`."""

    synopsis = "--name NAME [--server t] [options]"
    longdesc = (
        "Make a process as make_network_process does.  Values are written as in Lisp: t, nil and "
        "integers; strings are written as they are.  Functions are given by their dotted names, such "
        "as netproc.filters.echo, discard, daytime and chat."
    )

    def postOptions(self) -> None:
        """Read the values and check them together."""
        super().postOptions()
        given = self.keywords
        has_input = given.get("filter") is not None or given.get("buffer") is not None
        if makes_server(given.get("server")) and not has_input:
            raise usage.UsageError("--server: a server requires --filter or --buffer for its input")

    def make_service(
        self, reactor: INetprocReactor, owner: tuple[int, int] | None = None
    ) -> ProcessCommand:
        """Return the service that makes the process."""
        return ProcessCommand(reactor, self.keywords, owner)


class ProcessCommand(ProcessService):
    """The service: a process, whose end may end the program."""

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
        # Only now: twistd has set its own handlers.
        survive_signals(self._runner)
        super()._start(resolver)

    def started(self, process: NetworkProcess) -> None:
        """Log where a server listens; let a client end the program when it ends."""
        if process.is_server:
            self._announce(process)
            return
        if self._reporter is not None and process._lifecycle.state is not State.CONNECT:
            self._reporter.opened(process)
        process.closed.addCallback(self._client_ended)

    def _announce(self, process: NetworkProcess) -> None:
        place = process._contact.local
        name = escape(process.name)
        log.info("{name} listens on {place}", name=name, place=format_address(place))
        if place is not None and place.is_wildcard:
            log.warn("{name} can be reached from every network of this machine", name=name)
        command = None
        if self._keywords["endpoint"] is None:
            # It is not known which protocol a Twisted endpoint speaks.
            does_tls = self._keywords["tls_parameters"] is not None
            command = how_to_try(place, process.contact("type"), does_tls)
        if command is not None:
            log.info("try it: {command}", command=escape(command))

    def failed(self, failure: Failure) -> None:
        """End the program with one line about FAILURE."""
        if isinstance(failure.value, NetprocError):
            self._end(what_is_wrong(failure.value))
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
        log.error("{problem}", problem=escape(problem), **{SAID: True})
        exit_with(1)
        say(problem)
        self._runner.stop()
