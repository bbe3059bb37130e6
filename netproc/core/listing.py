"""The table of processes as text (Emacs: list-processes, N13).

`tables.py` hands in the processes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from .buffer import Buffer

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
    return process.name, "--", process.status, shown, "--", "Main", f"(network {_role(process)})"


def _role(process: Row) -> str:
    host, service = process.contact("host"), process.contact("service")
    if process.is_server:
        place = process.contact("local") if host is None else f"{host}:{service}"
        return f"server on {place}"
    return f"connection to {host}:{service}"
