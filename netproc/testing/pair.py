"""Two processes that are connected to each other in memory.

Tests call `connected_pair`; the connection is that of `memory.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred

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

    The server itself is deleted once it has accepted the client, so that there is nothing else to clean up.

    :param client: keywords of make_network_process for the client, such as ``filter``; ``name`` is "client" by default.
    :param server: the same for the server, from which the accepted process takes its filter, sentinel, coding system and
        property list; ``name`` is "server" by default.
    :param table: the table of the processes; that of `clean_table`, for instance.
    :raises ProcessArgumentError: if a keyword is wrong.  The server has been deleted then.
    """
    network = MemoryNetwork(reactor)
    accepted: Deferred[NetworkProcess] = Deferred()
    given = dict(server or {})
    log = given.pop("log", None)

    def note(listening: NetworkProcess, connection: NetworkProcess | None, message: str) -> None:
        if log is not None:
            log(listening, connection, message)
        if connection is not None and not accepted.called:
            accepted.callback(connection)

    listening = await make_network_process(
        **{
            "name": "server",
            **given,
            "server": True,
            "log": note,
            "endpoint": network.server_endpoint(),
            "table": table,
            "reactor": reactor,
        }
    )
    try:
        connected = await make_network_process(
            **{
                "name": "client",
                **(client or {}),
                "endpoint": network.client_endpoint(),
                "table": table,
                "reactor": reactor,
            }
        )
        return connected, await accepted
    finally:
        listening.delete()
