"""The functions on the table of processes and buffers, by their Emacs names.

Each takes `table=`, a ProcessTable; without it, it is the default one.
"""

from __future__ import annotations

from types import NoneType

from twisted.internet.defer import Deferred, fail

from ..core.buffer import Buffer
from ..core.errors import ProcessArgumentError
from ..core.escape import shown
from ..core.limits import check_patience
from ..core.listing import listing
from ..net.interfaces import INetprocReactor, default_reactor
from .process import DEFAULT_TABLE, NetworkProcess, Table
from .waiting import Waiters


def process_list(*, table: Table = DEFAULT_TABLE) -> list[NetworkProcess]:
    """The processes that have not ended, newest first (N3)."""
    return table.processes()


def list_processes(query_only: bool = False, *, table: Table = DEFAULT_TABLE) -> str:
    """The table of processes as text; with QUERY_ONLY those that are asked about on exit (N13)."""
    return listing(p for p in table.processes() if p.query_on_exit or not query_only)


def get_process(
    name: str | NetworkProcess, *, table: Table = DEFAULT_TABLE
) -> NetworkProcess | None:
    """The process of that name, or None; a process is returned as it is (N3)."""
    return table.get(name)


def get_buffer(name: str, *, table: Table = DEFAULT_TABLE) -> Buffer | None:
    """The buffer NAME, or None."""
    return table.get_buffer(name)


def get_buffer_create(name: str | Buffer, *, table: Table = DEFAULT_TABLE) -> Buffer:
    """The buffer NAME, made if there is none; a buffer is returned as it is."""
    return table.get_buffer_create(name)


def get_buffer_process(
    buffer: Buffer | str | None, *, table: Table = DEFAULT_TABLE
) -> NetworkProcess | None:
    """The newest process whose buffer that is, or None (N11)."""
    return table.buffer_process(buffer)


def accept_process_output(
    process: NetworkProcess | None = None,
    timeout: float | None = None,
    *,
    table: Table = DEFAULT_TABLE,
    reactor: INetprocReactor | None = None,
) -> Deferred[bool]:
    """Fires with True when something has been delivered from PROCESS, or from any without one.

    Otherwise as `NetworkProcess.accept_output` (N168).
    """
    try:
        check_patience("timeout", timeout)
        if not isinstance(process, (NetworkProcess, NoneType)):
            raise ProcessArgumentError("process", f"{shown(process)} is not a process")
    except ProcessArgumentError as error:
        return fail(error)
    if process is not None:
        return process.accept_output(timeout)
    waiters: Waiters[bool] = Waiters()
    waiter = waiters.add_with_timeout(timeout, False, reactor or default_reactor())

    def observe(_: NetworkProcess, what: str, value: object) -> None:
        if what == "delivered":
            waiters.fire(True)

    stop = table.observe(observe)

    def done(result: object) -> object:
        stop()
        return result

    return waiter.addBoth(done)
