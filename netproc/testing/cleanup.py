"""A table of processes for one test, which fails if the test leaves a process behind.

Tests call `clean_table`.  It adds a check to the test's cleanups.
"""

from __future__ import annotations

from twisted.internet.defer import DeferredList, TimeoutError
from twisted.trial.unittest import TestCase

from ..net.interfaces import INetprocReactor, default_reactor
from ..process.process import Table


def clean_table(
    case: TestCase, *, seconds: float = 5, reactor: INetprocReactor | None = None
) -> Table:
    """Return a new table for the processes of a test, and check after the test that it is empty.

    Pass the table as ``table=`` to the functions that make processes.  The check runs with the test's cleanups, after
    ``tearDown``.  It deletes the processes that are still listed, and the test fails with their names.  It also waits until
    the processes that have ended or were deleted are closed, and fails if that takes too long.

    :param case: the test.  It must be a TestCase of :py:mod:`twisted.trial.unittest`, whose cleanups may be coroutines.
    :param seconds: how long the check waits.
    """
    table: Table = Table()
    case.addCleanup(_check, case, table, seconds, reactor or default_reactor())
    return table


async def _check(case: TestCase, table: Table, seconds: float, reactor: INetprocReactor) -> None:
    left = table.processes()
    for process in left:
        process.delete()
    all_closed = DeferredList([process.closed for process in table.closing], consumeErrors=True)
    try:
        await all_closed.addTimeout(seconds, reactor)
    except TimeoutError:
        names = ", ".join(repr(process.name) for process in table.closing)
        case.fail(f"not closed after {seconds} seconds: {names}")
    if left:
        names = ", ".join(repr(process.name) for process in left)
        case.fail(f"the test left processes: {names}; delete them, or wait until they are closed")
