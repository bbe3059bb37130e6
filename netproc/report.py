"""A line for each connection in the log, when nobody else says anything about them.

`tap.py` gives a process of `twistd netproc make` these functions when it has neither a sentinel nor a log
function of the user's.
"""

from __future__ import annotations

from twisted.logger import Logger

from .core.address import LOOPBACK, Address, parse
from .core.escape import escape
from .defaults import default_sentinel
from .process import NetworkProcess

log = Logger()


class Reporter:
    """Notes when connections open and what came of them."""

    def __init__(self) -> None:
        self._opened: dict[NetworkProcess, float] = {}

    def sentinel(self, process: NetworkProcess, event: str) -> None:
        """One line at the open and one at the end; the buffer hears of it as by default."""
        if event.startswith("open"):
            self.opened(process)
        elif process in self._opened:
            self._closed(process, event)
        default_sentinel(process, event)

    def opened(self, process: NetworkProcess) -> None:
        """PROCESS is connected."""
        self._opened[process] = process.reactor.seconds()
        log.info("{name}: open", name=escape(process.name))

    def _closed(self, process: NetworkProcess, event: str) -> None:
        seconds = process.reactor.seconds() - self._opened.pop(process)
        why = event.strip() if process.reason is None else f"{event.strip()} ({process.reason})"
        log.info(
            "{name}: closed after {seconds:.1f} s, {received} bytes in, {sent} bytes out: {why}",
            name=escape(process.name),
            seconds=seconds,
            received=process.received,
            sent=process.sent,
            why=escape(why),
        )


def how_to_try(local: Address | None) -> str | None:
    """A command line that talks to a server at LOCAL, None if it is not known where that is."""
    if local is None:
        return None
    if isinstance(local, str):
        named = local.startswith("\0")
        return f"socat - ABSTRACT-CONNECT:{local[1:]}" if named else f"nc -NU {local}"
    place = parse(local, "local")
    host = LOOPBACK[place.family] if place.is_wildcard else place.raw[0]
    return f"nc -N {host} {place.raw[1]}"
