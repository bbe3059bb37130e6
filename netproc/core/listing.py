"""The table of processes as text (Emacs: list-processes, N13).

`process/tables.py` calls `listing` with the processes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from .address import format_network_address
from .buffer import Buffer
from .escape import escape

COLUMNS = ("Process", "PID", "Status", "Buffer", "TTY", "Thread", "Command")


class Row(Protocol):
    """What the table needs to know of a process."""

    @property
    def name(self) -> str:
        """The name of the process."""

    @property
    def status(self) -> str:
        """The status of the process."""

    @property
    def buffer(self) -> Buffer | None:
        """The buffer of the process, or None."""

    @property
    def is_server(self) -> bool:
        """Whether the process is a server."""

    def contact(self, key: str) -> object:
        """Return the value of KEY in the contact of the process."""


def listing(processes: Iterable[Row]) -> str:
    """Return a line of titles and one line for each process, sorted by name."""
    rows = [COLUMNS, *(_row(process) for process in sorted(processes, key=lambda p: p.name))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(lines) + "\n"


def _row(process: Row) -> tuple[str, ...]:
    buffer = process.buffer
    shown = buffer.name if buffer is not None and buffer.name is not None else "--"
    # Emacs has no other kind, so it shows seqpacket as datagram.
    kind = "network" if process.contact("type") is None else "datagram"
    command = f"({kind} {_role(process)})"
    return process.name, "--", process.status, shown, "--", "Main", command


def _role(process: Row) -> str:
    if process.is_server:
        return f"server on {_place(process, 'local')}"
    return f"connection to {_place(process, 'remote')}"


def _place(process: Row, end: str) -> str:
    """Return host and service, or the address at END if the process was made with an address."""
    host = process.contact("host")
    if isinstance(host, str):
        return escape(f"{host}:{process.contact('service')}")
    return escape(format_network_address(process.contact(end)) or "-")
