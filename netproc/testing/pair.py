"""Two processes that are connected to each other in memory.

Tests call `connected_pair`.  The connection is one of `memory.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from ..core.errors import ProcessArgumentError, ProcessError
from ..making.make import make_network_process
from ..net.interfaces import INetprocReactor
from ..process.process import NetworkProcess, Table
from .memory import MemoryNetwork


async def connected_pair(
    *,
    client: Mapping[str, Any] | None = None,
    server: Mapping[str, Any] | None = None,
    table: Table | None = None,
    reactor: INetprocReactor | None = None,
) -> tuple[NetworkProcess, NetworkProcess]:
    """Connect two processes in memory.

    Both processes have been opened, and the sentinel of the server's process and the server's log function have been called.
    (A client without TLS has no "open" event.)  The server is deleted after it has accepted the client, so that the test has to
    clean up only these two.  The keywords `table`, `reactor`, `endpoint` and `server` are set by this function.  Keywords that an `endpoint` cannot have, such as network options, are refused.

    If there is an error, or if the coroutine is cancelled, no process is left.

    Args:
        client: Keywords of `make_network_process` for the client, such as `filter`.  By default its `name` is "client".
        server: Keywords for the server, which cannot be made stopped.  The accepted process takes its filter, sentinel, coding system and property list
            from the server.  By default the server's `name` is "server".
        table: The table of all processes, for example the one that `clean_table` returns.
        reactor: The reactor.

    Returns:
        The client, and the process that the server made for the connection.

    Raises:
        ProcessArgumentError: A keyword is wrong.
        ProcessError: The connection ended before the server accepted it, for example because the server refused the client's
            certificate.
    """
    if server is not None and server.get("stop"):
        raise ProcessArgumentError("stop", "a stopped server accepts nothing, so there is no pair")
    network = MemoryNetwork(reactor)
    ours: dict[str, Any] = {"table": table, "reactor": reactor}
    ours.update(server=True, endpoint=network.server_endpoint())
    listening = await make_network_process(**{"name": "server", **(server or {}), **ours})
    accepted: Deferred[NetworkProcess] = Deferred()

    def note(process: NetworkProcess, what: str, value: object) -> None:
        if process.accepted_by is listening and not accepted.called:
            made.append(process)
            accepted.callback(process)

    def ended(process: NetworkProcess) -> None:
        if not accepted.called:
            accepted.errback(process.reason or ProcessError(None, "the server does not accept"))

    ours.update(server=None, endpoint=network.client_endpoint())
    made: list[NetworkProcess] = []
    unobserve = listening.table.observe(note)
    try:
        connected = await make_network_process(**{"name": "client", **(client or {}), **ours})
        made.append(connected)
        connected.closed.addCallback(ended)
        connection = await accepted
        # The table's observers are called first.
        await deferLater(listening.reactor, 0)
    except BaseException:
        for process in made:
            process.delete()
        raise
    finally:
        unobserve()
        listening.delete()
    return connected, connection
