"""Ready filters, for trying things and as examples: echo, discard, daytime and chat.

`netproc make --filter netproc.filters.echo` finds them by name.  Programs can use them as any other filter.
"""

from __future__ import annotations

import time

from ..core.coding import Text
from ..core.errors import ProcessError
from ..process.process import NetworkProcess


def echo(process: NetworkProcess, text: Text) -> None:
    """Send the input back to the peer (RFC 862).

    Args:
        process: The process.
        text: The input.
    """
    process.send(text)


def discard(process: NetworkProcess, text: Text) -> None:
    """Ignore the input (RFC 863).

    Args:
        process: The process.
        text: The input.
    """


def daytime(process: NetworkProcess, text: Text) -> None:
    """Send the date and the time, and delete the process (RFC 867).

    As a filter, it does this when the first input arrives.  As a sentinel, it does this as soon as a client has connected.

    Args:
        process: The process.
        text: The input, or the event.
    """
    if process.live:
        process.send(time.strftime("%A, %B %d, %Y %H:%M:%S-%Z\r\n"))
        process.delete()


def chat(process: NetworkProcess, text: Text) -> None:
    """Send the input of one client of a server to all other clients.

    A client that cannot receive it, for example because it does not read, is deleted.

    Args:
        process: The connection of the client.
        text: The input.
    """
    for other in process.table.processes():
        if other is not process and other.accepted_by is process.accepted_by is not None:
            try:
                other.send(text)
            except ProcessError:
                other.delete()
