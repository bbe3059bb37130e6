"""What happens to the processes of a program when its reactor stops.

`making/make.py` registers each table with the reactor that its processes use.  When that reactor stops, the remaining
processes are deleted, so that each has its terminal event (D20).  The reactor runs until they are closed, so that their
output is written.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary, WeakSet, ref

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.defer import TimeoutError as WaitTimeout
from twisted.internet.task import deferLater

from ..core.errors import ProcessError
from ..net.interfaces import INetprocReactor
from .process import NetworkProcess, Table

#: Seconds to wait for the end of a peer's output.  Most peers answer the end of our output at once, and the others must not delay
#: the end of the program for longer.
_LINGER = 0.5

#: The tables whose processes end when a reactor does.
_tables: WeakKeyDictionary[INetprocReactor, WeakSet[Table]] = WeakKeyDictionary()


def end_with_reactor(table: Table, reactor: INetprocReactor) -> None:
    """Close the processes of TABLE in order when REACTOR stops."""
    tables = _tables.setdefault(reactor, WeakSet())
    if table in tables:
        return
    tables.add(table)
    known = ref(table)

    def processes() -> list[NetworkProcess]:
        ending = known()
        return [] if ending is None else [*ending.processes(), *ending.closing]

    def close_all() -> Deferred[Any]:
        # In the next turn, after the other "before shutdown" triggers, which may send a farewell.
        return deferLater(reactor, 0, _close_all, processes)

    def delete_all() -> None:
        # Processes that have been made meanwhile.
        for process in processes():
            if process.live:
                process.delete()

    reactor.addSystemEventTrigger("before", "shutdown", close_all)
    reactor.addSystemEventTrigger("during", "shutdown", delete_all)


def _close_all(processes: Callable[[], list[NetworkProcess]]) -> Deferred[Any]:
    closing = [Deferred.fromCoroutine(_close(process)) for process in processes()]
    # A process that takes too long is given up.
    return DeferredList(closing, consumeErrors=True)


async def _close(process: NetworkProcess) -> None:
    """Delete PROCESS and wait until it is closed, for no longer than its limits allow.

    Without `query_on_exit` it has one turn of the reactor (D17).
    """
    reactor, waits = process.reactor, process.query_on_exit
    flush = process.limits.flush_timeout
    linger = min(process.limits.linger_timeout, _LINGER)
    if process._lifecycle.channel is None and process.pending and waits:
        # It is still connecting and has output, which `delete` would drop.
        process.limits = replace(process.limits, low_water=1)
        with suppress(ProcessError, WaitTimeout):
            await process.drain().addTimeout(flush, reactor)
    if process.live:
        process.limits = replace(process.limits, linger_timeout=linger)
        process.delete()
    await process.closed.addTimeout(flush + linger if waits else 0, reactor)
