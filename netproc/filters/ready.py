"""Ready filters, for trying things and as examples: echo, discard, daytime and chat.

`twistd netproc make --filter netproc.filters.echo` finds them by name; they are filters like any other.
"""

from __future__ import annotations

import time

from ..core.coding import Text
from ..core.errors import ProcessError
from ..process.process import NetworkProcess


def echo(process: NetworkProcess, text: Text) -> None:
    """Send back what comes (RFC 862)."""
    process.send(text)


def discard(process: NetworkProcess, text: Text) -> None:
    """Do nothing with it (RFC 863)."""


def daytime(process: NetworkProcess, text: Text) -> None:
    """Send date and time and close (RFC 867): as a filter when something comes, as a sentinel as
    soon as a client has connected.
    """
    if process.live:
        process.send(time.strftime("%A, %B %d, %Y %H:%M:%S-%Z\r\n"))
        process.delete()


def chat(process: NetworkProcess, text: Text) -> None:
    """Send what one client of a server says to all others; who does not read loses the connection."""
    for other in process.table.processes():
        if other is not process and other.accepted_by is process.accepted_by is not None:
            try:
                other.send(text)
            except ProcessError:
                other.delete()
