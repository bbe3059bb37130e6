"""Two log lines for each connection of a process that the command `make` has made.

`make.py` uses a Reporter if the user has given neither a sentinel nor a log function.
"""

from __future__ import annotations

import os
import shlex
from socket import AF_UNIX, SOCK_SEQPACKET

from twisted.logger import Logger

from ..core.address import LOOPBACK, SocketAddress, numeric_host
from ..core.escape import escape
from ..process.defaults import default_sentinel
from ..process.process import NetworkProcess

log = Logger(namespace="netproc.report")

#: Characters that are special in socat's addresses.
_SPECIAL_IN_SOCAT = frozenset(":,!\"'(){}[]")


class Reporter:
    """Logs when connections open and close."""

    def __init__(self) -> None:
        self._opened: dict[NetworkProcess, float] = {}

    def sentinel(self, process: NetworkProcess, event: str) -> None:
        """Log the open and the end of PROCESS; then do what the default sentinel does."""
        if event.startswith("open"):
            self.opened(process)
        elif process in self._opened:
            self._closed(process, event)
        default_sentinel(process, event)

    def opened(self, process: NetworkProcess) -> None:
        """Log that PROCESS is connected."""
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


def how_to_try(place: SocketAddress | None, kind: str | None, tls: bool = False) -> str | None:
    """Return a shell command that talks to the server at PLACE, or None if there is no simple one.

    KIND is the `type` of the server; TLS says whether it expects TLS.
    """
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
    """Return the command for the PATH of a UNIX socket, or for an abstract name after a NUL character."""
    is_abstract = path.startswith("\0")
    if "\\" in path or not path.removeprefix("\0").isprintable():
        return None  # the log would escape these characters
    if tls:
        return None if is_abstract else f"openssl s_client -quiet -unix {shlex.quote(path)}"
    if not is_abstract and kind != "seqpacket":
        return f"nc {'-uU' if kind == 'datagram' else '-NU'} {shlex.quote(path)}"
    if _SPECIAL_IN_SOCAT & set(path):
        return None
    how = "CONNECT" if kind != "datagram" else "SENDTO"
    address = f"ABSTRACT-{how}:{path[1:]}" if is_abstract else f"UNIX-CONNECT:{path}"
    # Socat expects the number of the type, not its name.
    by_kind = f",type={SOCK_SEQPACKET.value}" if kind == "seqpacket" else ""
    return f"socat - {shlex.quote(address + by_kind)}"
