"""A table of processes for one test.  The test fails if it leaves a process in the table.

Tests call `clean_table`.  It adds a check to the test's cleanups.
"""

from __future__ import annotations

from twisted.internet.defer import DeferredList
from twisted.trial.unittest import TestCase

from ..net.interfaces import INetprocReactor, default_reactor
from ..process.process import NetworkProcess, Table


def clean_table(
    case: TestCase, *, seconds: float = 5, reactor: INetprocReactor | None = None
) -> Table:
    """Make a table for the processes of a test, and check after the test that nothing is left in it.

    Pass the table as `table` to the functions that make processes.  The check runs with the test's cleanups, after `tearDown`.
    If processes are still listed, the check deletes them, and the test fails with their names.  The check then waits until
    all processes that have ended or were deleted are closed.  If that takes too long, the test fails, too.

    Args:
        case: The test.  Its cleanups may be coroutines, as in `twisted.trial.unittest.TestCase`.
        seconds: How long the check waits.
        reactor: The reactor.

    Returns:
        The new table.
    """
    table: Table = Table()
    case.addCleanup(_check, case, table, seconds, reactor or default_reactor())
    return table


async def _check(case: TestCase, table: Table, seconds: float, reactor: INetprocReactor) -> None:
    left = table.processes()
    for process in left:
        process.delete()
    closing = [*table.closing]
    all_closed = DeferredList([process.closed for process in closing], consumeErrors=True)
    # After the timeout, those that are not closed have failed.
    results = await all_closed.addTimeout(seconds, reactor)
    slow = [
        process for process, (is_closed, _) in zip(closing, results, strict=True) if not is_closed
    ]
    problems = []
    if left:
        problems.append(
            f"the test left processes: {_names(left)}; delete them, or wait until they are closed"
        )
    if slow:
        problems.append(f"not closed after {seconds} seconds: {_names(slow)}")
    if problems:
        case.fail("; ".join(problems))


def _names(processes: list[NetworkProcess]) -> str:
    return ", ".join(repr(process.name) for process in processes)
