"""What happens to the processes of a program when its reactor stops.

`making/make.py` names each table and the reactor that its processes use.  Processes that are left are deleted, so that each
has its terminal event (D20).  The reactor goes on until they are closed, so that what they have sent is written.
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

#: Seconds for which a peer may go on sending.  Most peers answer the end of our output at once, and the others must not
#: hold up the end of the program for longer.
_LINGER = 0.5

#: The tables whose processes end when a reactor does.
_tables: WeakKeyDictionary[INetprocReactor, WeakSet[Table]] = WeakKeyDictionary()


def end_with_reactor(table: Table, reactor: INetprocReactor) -> None:
    """Let the processes of TABLE end in order when REACTOR stops."""
    tables = _tables.setdefault(reactor, WeakSet())
    if table in tables:
        return
    tables.add(table)
    known = ref(table)

    def processes() -> list[NetworkProcess]:
        ending = known()
        return [] if ending is None else [*ending.processes(), *ending.closing]

    def close_all() -> Deferred[Any]:
        # In the next turn: what others do before the shutdown comes first, such as sending a farewell.
        return deferLater(reactor, 0, _close_all, processes)

    def delete_all() -> None:
        # Only those are left that somebody has made meanwhile.
        for process in processes():
            if process.live:
                process.delete()

    reactor.addSystemEventTrigger("before", "shutdown", close_all)
    reactor.addSystemEventTrigger("during", "shutdown", delete_all)


def _close_all(processes: Callable[[], list[NetworkProcess]]) -> Deferred[Any]:
    closing = [Deferred.fromCoroutine(_close(process)) for process in processes()]
    # One that takes too long is given up.
    return DeferredList(closing, consumeErrors=True)


async def _close(process: NetworkProcess) -> None:
    """Delete PROCESS and wait until it is closed, for no longer than its limits allow.

    With `query_on_exit` off there is one turn of the reactor for it (D17).
    """
    reactor, waits = process.reactor, process.query_on_exit
    flush = process.limits.flush_timeout
    linger = min(process.limits.linger_timeout, _LINGER)
    if process._output.channel is None and process.pending and waits:
        # It has something to send and is still connecting, which `delete` would give up.
        process.limits = replace(process.limits, low_water=1)
        with suppress(ProcessError, WaitTimeout):
            await process.drain().addTimeout(flush, reactor)
    if process.live:
        process.limits = replace(process.limits, linger_timeout=linger)
        process.delete()
    await process.closed.addTimeout(flush + linger if waits else 0, reactor)
