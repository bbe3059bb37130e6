"""Ready filters, for trying things and as examples: echo, discard, daytime and chat.

`netproc make --filter netproc.filters.echo` finds them by name.  Programs can use them as any other filter.
"""

from __future__ import annotations

import time

from ..core.coding import Text
from ..core.errors import ProcessError
from ..process.process import NetworkProcess


def echo(process: NetworkProcess, text: Text) -> None:
    """Send back the input (RFC 862)."""
    process.send(text)


def discard(process: NetworkProcess, text: Text) -> None:
    """Ignore the input (RFC 863)."""


def daytime(process: NetworkProcess, text: Text) -> None:
    """Send date and time, and close the connection (RFC 867).

    As a filter it does this when a client sends something, as a sentinel when a client connects.
    """
    if process.live:
        process.send(time.strftime("%A, %B %d, %Y %H:%M:%S-%Z\r\n"))
        process.delete()


def chat(process: NetworkProcess, text: Text) -> None:
    """Send the input of one client of a server to all its other clients; close those that cannot take it."""
    for other in process.table.processes():
        if other is not process and other.accepted_by is process.accepted_by is not None:
            try:
                other.send(text)
            except ProcessError:
                other.delete()
