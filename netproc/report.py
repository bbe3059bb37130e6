"""A line for each connection in the log, when nobody else says anything about them.

`tap.py` gives a process of `twistd netproc make` these functions when it has neither a sentinel nor a log
function of the user's.
"""

from __future__ import annotations

from socket import SOCK_SEQPACKET

from twisted.logger import Logger

from .core.address import LOOPBACK, Address, numeric_host, parse
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


def how_to_try(local: Address | None, kind: str | None, tls: bool = False) -> str | None:
    """A command line that talks to a server of that KIND (its `type`) at LOCAL, with or without TLS;
    None if there is no telling.
    """
    place = parse(local, "local") if local is not None else None
    if isinstance(local, str):
        if tls:
            return None if local.startswith("\0") else f"openssl s_client -quiet -unix {local}"
        return _try_unix(local, kind)
    if place is None or place.family not in LOOPBACK:
        return None
    host = numeric_host(place.destination)
    if tls:
        shown = f"[{host}]" if ":" in host else host
        return f"openssl s_client -quiet -connect {shown}:{place.raw[1]}"
    return f"nc {'-u' if kind == 'datagram' else '-N'} {host} {place.raw[1]}"


def _try_unix(path: str, kind: str | None) -> str:
    if path.startswith("\0"):
        address = (
            f"ABSTRACT-SENDTO:{path[1:]}" if kind == "datagram" else f"ABSTRACT-CONNECT:{path[1:]}"
        )
    elif kind == "seqpacket":
        address = f"UNIX-CONNECT:{path}"
    else:
        return f"nc {'-uU' if kind == 'datagram' else '-NU'} {path}"
    # Socat has the number of the type, not its name.
    return f"socat - {address}" + (f",type={SOCK_SEQPACKET.value}" if kind == "seqpacket" else "")
