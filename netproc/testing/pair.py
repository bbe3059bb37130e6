"""Two processes that are connected to each other in memory.

Tests call `connected_pair`.  The connection is one of `memory.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from ..core.errors import ProcessError
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
    """Return two connected processes: a client, and the process that a server has made for it.

    Both are open, and their sentinels and the server's log function have been called.  The server is deleted once it has
    accepted the client, so that a test has only these two processes to clean up.

    :param client: keywords of `make_network_process` for the client, such as ``filter``.  Its ``name`` is "client" by
        default.
    :param server: the keywords for the server.  The accepted process takes its filter, sentinel, coding system and
        property list from it.  Its ``name`` is "server" by default.
    :param table: the table of all three processes, for instance that of `clean_table`.
    :raises ProcessArgumentError: if a keyword is wrong.
    :raises ProcessError: if the connection ends before the server has accepted it, for instance because the server refuses
        the client's certificate.

    After an error, and if the coroutine is cancelled, no process is left.
    """
    network = MemoryNetwork(reactor)
    ours: dict[str, Any] = {"table": table, "reactor": reactor}
    ours.update(server=True, endpoint=network.server_endpoint())
    listening = await make_network_process(**{"name": "server", **(server or {}), **ours})
    accepted: Deferred[NetworkProcess] = Deferred()

    def note(process: NetworkProcess, what: str, value: object) -> None:
        if process.accepted_by is listening and not accepted.called:
            accepted.callback(process)

    def ended(process: NetworkProcess) -> None:
        if not accepted.called:
            accepted.errback(process.reason or ProcessError(None, "the server does not accept"))

    ours.update(server=None, endpoint=network.client_endpoint())
    made: list[NetworkProcess] = []
    unobserve = listening.table.observe(note)
    try:
        made.append(await make_network_process(**{"name": "client", **(client or {}), **ours}))
        made[0].closed.addCallback(ended)
        made.append(await accepted)
        # The table's observers are called first.
        await deferLater(listening.reactor, 0)
    except BaseException:
        for process in made:
            process.delete()
        raise
    finally:
        unobserve()
        listening.delete()
    return made[0], made[1]
