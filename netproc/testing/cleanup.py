"""A table of processes for one test, which fails if the test leaves something behind.

Tests call `clean_table`; it adds its check to the test's cleanups, which run after `tearDown`.
"""

from __future__ import annotations

from twisted.internet import defer
from twisted.trial.unittest import TestCase

from ..net.interfaces import INetprocReactor, default_reactor
from ..process.process import NetworkProcess, Table


def clean_table(
    case: TestCase, *, seconds: float = 5, reactor: INetprocReactor | None = None
) -> Table:
    """Return a new table for the processes of a test.

    Pass it as ``table=`` to every function that makes a process.  When the test is over, processes that are still listed
    are deleted, and the test fails with their names.  Processes that the test has deleted or seen end are waited for until
    their descriptors are closed; the test fails if that takes more than SECONDS.

    :param case: the test; its cleanups may return Deferreds, as those of trial's TestCase may.
    """
    table: Table = Table()
    case.addCleanup(_check, case, table, seconds, reactor or default_reactor())
    return table


def _check(
    case: TestCase, table: Table, seconds: float, reactor: INetprocReactor
) -> defer.Deferred[None]:
    return defer.Deferred.fromCoroutine(_check_in_time(case, table, seconds, reactor))


async def _check_in_time(
    case: TestCase, table: Table, seconds: float, reactor: INetprocReactor
) -> None:
    left = table.processes()
    closing: list[NetworkProcess] = [*left, *table.closing]
    for process in left:
        process.delete()
    for process in closing:
        try:
            await process.closed.addTimeout(seconds, reactor)
        except defer.TimeoutError:
            case.fail(f"the process {process.name!r} is not closed after {seconds} seconds")
    names = [process.name for process in left]
    case.assertEqual([], names, "the test left these processes; delete them, or wait for their end")
