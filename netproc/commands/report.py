"""A line for each connection in the log, when nobody else says anything about them.

`make.py` gives a process of `twistd netproc make` these functions when it has neither a sentinel nor a log
function of the user's.
"""

from __future__ import annotations

import os
import shlex
from socket import AF_UNIX, SOCK_SEQPACKET

from twisted.logger import Logger

from ..core.address import LOOPBACK, Address, SocketAddress, numeric_host, parse_address
from ..core.escape import escape
from ..process.defaults import default_sentinel
from ..process.process import NetworkProcess

log = Logger(namespace="netproc.report")

#: Characters that have a meaning in the addresses of socat.
_SOCATS = frozenset(":,!\"'(){}[]")


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


def how_to_try(
    local: Address | SocketAddress | None, kind: str | None, tls: bool = False
) -> str | None:
    """A command line that talks to a server of that KIND (its `type`) at LOCAL, with or without TLS;
    None if there is no telling.
    """
    place = (
        local
        if isinstance(local, SocketAddress) or local is None
        else parse_address(local, "local")
    )
    if place is None:
        return None
    if place.family == AF_UNIX:
        return _try_unix(os.fsdecode(place.raw), kind, tls)
    if place.family not in LOOPBACK:
        return None
    host = numeric_host(place.destination)
    if tls:
        shown = f"[{shlex.quote(host)}]" if ":" in host else host
        return f"openssl s_client -quiet -connect {shown}:{place.raw[1]}"
    return f"nc {'-u' if kind == 'datagram' else '-N'} {shlex.quote(host)} {place.raw[1]}"


def _try_unix(path: str, kind: str | None, tls: bool) -> str | None:
    """The same for the PATH of a UNIX socket, or an abstract name."""
    is_abstract = path.startswith("\0")
    if "\\" in path or not path.removeprefix("\0").isprintable():
        return None  # the log would show something else
    if tls:
        return None if is_abstract else f"openssl s_client -quiet -unix {shlex.quote(path)}"
    if not is_abstract and kind != "seqpacket":
        return f"nc {'-uU' if kind == 'datagram' else '-NU'} {shlex.quote(path)}"
    if _SOCATS & set(path):
        return None
    how = "CONNECT" if kind != "datagram" else "SENDTO"
    address = f"ABSTRACT-{how}:{path[1:]}" if is_abstract else f"UNIX-CONNECT:{path}"
    # Socat has the number of the type, not its name.
    by_kind = f",type={SOCK_SEQPACKET.value}" if kind == "seqpacket" else ""
    return f"socat - {shlex.quote(address + by_kind)}"
