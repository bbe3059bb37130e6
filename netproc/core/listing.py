"""The table of processes as text (Emacs: list-processes, N13).

`process/tables.py` hands in the processes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from .address import format_network_address
from .buffer import Buffer
from .escape import escape

COLUMNS = ("Process", "PID", "Status", "Buffer", "TTY", "Thread", "Command")


class Row(Protocol):
    """What the table shows of a process."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def status(self) -> str:
        """Its status."""

    @property
    def buffer(self) -> Buffer | None:
        """Its buffer."""

    @property
    def is_server(self) -> bool:
        """Does it listen?"""

    def contact(self, key: str) -> object:
        """What process-contact shows."""


def listing(processes: Iterable[Row]) -> str:
    """One line a process under a line of titles, sorted by name."""
    rows = [COLUMNS, *(_row(process) for process in sorted(processes, key=lambda p: p.name))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(lines) + "\n"


def _row(process: Row) -> tuple[str, ...]:
    buffer = process.buffer
    shown = buffer.name if buffer is not None and buffer.name is not None else "--"
    # Emacs knows no other kind, so it shows seqpacket as datagram.
    kind = "network" if process.contact("type") is None else "datagram"
    command = f"({kind} {_role(process)})"
    return process.name, "--", process.status, shown, "--", "Main", command


def _role(process: Row) -> str:
    if process.is_server:
        return f"server on {_place(process, 'local')}"
    return f"connection to {_place(process, 'remote')}"


def _place(process: Row, end: str) -> str:
    """The host and the service, or the address of that END for what was made by an address."""
    host = process.contact("host")
    if isinstance(host, str):
        return escape(f"{host}:{process.contact('service')}")
    return escape(format_network_address(process.contact(end)) or "-")
