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


def process_list(*, table: Table = DEFAULT_TABLE) -> list[NetworkProcess]:  # N3
    """Return the processes that have not ended, the newest first.

    Emacs: ``process-list``.

    Args:
        table: The `ProcessTable`; the default table if you do not pass one.
    """
    return table.processes()


def list_processes(query_only: bool = False, *, table: Table = DEFAULT_TABLE) -> str:  # N13
    """Return the processes that have not ended as a text table, sorted by name.

    Emacs: ``list-processes``.

    Args:
        query_only: Whether to list only the processes whose `query_on_exit` is on.
        table: The `ProcessTable`; the default table if you do not pass one.
    """
    return listing(p for p in table.processes() if p.query_on_exit or not query_only)


def get_process(
    name: str | NetworkProcess, *, table: Table = DEFAULT_TABLE
) -> NetworkProcess | None:  # N3
    """Return the process with this name, or None.

    Emacs: ``get-process``.

    Args:
        name: The name of a process.  A process is returned as it is.
        table: The `ProcessTable`; the default table if you do not pass one.

    Raises:
        ProcessArgumentError: `name` is neither a str nor a process.
    """
    return table.get(name)


def get_buffer(name: str, *, table: Table = DEFAULT_TABLE) -> Buffer | None:
    """Return the buffer with this name, or None.

    Emacs: ``get-buffer``.

    Args:
        name: The name of a buffer.
        table: The `ProcessTable`; the default table if you do not pass one.
    """
    return table.get_buffer(name)


def get_buffer_create(name: str | Buffer, *, table: Table = DEFAULT_TABLE) -> Buffer:
    """Return the buffer with this name, and create it if there is none.

    Emacs: ``get-buffer-create``.

    Args:
        name: The name of a buffer, not empty.  A buffer is returned as it is.
        table: The `ProcessTable`; the default table if you do not pass one.

    Raises:
        ProcessArgumentError: `name` is empty, or neither a str nor a buffer.
    """
    return table.get_buffer_create(name)


def get_buffer_process(
    buffer: Buffer | str | None, *, table: Table = DEFAULT_TABLE
) -> NetworkProcess | None:  # N11
    """Return the newest process that uses this buffer, or None.

    Emacs: ``get-buffer-process``.

    Args:
        buffer: A buffer or the name of a buffer.
        table: The `ProcessTable`; the default table if you do not pass one.
    """
    return table.buffer_process(buffer)


def accept_process_output(
    process: NetworkProcess | None = None,
    timeout: float | None = None,
    *,
    table: Table = DEFAULT_TABLE,
    reactor: INetprocReactor | None = None,
) -> Deferred[bool]:  # N168
    """Wait until data of a process, or of any process, has been delivered to the filter or the buffer.

    Accepting a connection or calling a sentinel is not output.

    Emacs: ``accept-process-output``.

    Args:
        process: The process.  If you pass one, this function is `NetworkProcess.accept_output`.  None means any process of
            the table.
        timeout: The longest wait, in seconds.  None waits without a limit.  With 0 or less, netproc looks once at what
            has arrived.
        table: The `ProcessTable`; the default table if you do not pass one.
        reactor: The reactor that counts the seconds if you do not pass a process.  None is the installed reactor.

    Returns:
        A Deferred that fires with True after data was delivered, and with False after the timeout.  It fails with
        `ProcessArgumentError` if an argument cannot be used.
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
