"""make_network_process: keywords in, a Deferred of a process out.

The keywords become a spec (`core/spec.py`); `client.py` or `server.py` makes a process of it, by joining
addresses, endpoint, channel and process.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from socket import SOCK_DGRAM
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IStreamClientEndpoint, IStreamServerEndpoint

from ..core.buffer import Buffer
from ..core.contact import Contact
from ..core.errors import ProcessArgumentError, argument
from ..core.options import LINGER, UNSET
from ..core.spec import ProcessSpec, process_spec
from ..net.foreign import client_endpoint, server_endpoint
from ..net.interfaces import INetprocReactor, default_reactor
from ..net.resolve import Resolver, resolve
from ..net.tls import contexts
from ..net.tls.interfaces import Security
from ..process.process import DEFAULT_TABLE, LogFunction, NetworkProcess, Table
from ..process.settings import Filter, Sentinel
from ..process.shutdown import end_with_reactor
from .client import ClientMaker
from .datagrams import DatagramMaker
from .server import ServerMaker


def make_network_process(
    *,
    name: str,
    buffer: Buffer | str | None = None,
    host: str | None = None,
    service: str | int | bool | None = None,
    type: str | None = None,
    family: str | int | None = None,
    local: object = None,
    remote: object = None,
    coding: object = None,
    nowait: bool = False,
    noquery: bool = False,
    stop: bool = False,
    filter: Filter | bool | None = None,
    filter_multibyte: bool = True,
    sentinel: Sentinel | None = None,
    log: LogFunction | None = None,
    plist: Mapping[str, object] | None = None,
    tls_parameters: object = None,
    server: bool | int = False,
    broadcast: object = UNSET,
    dontroute: object = UNSET,
    keepalive: object = UNSET,
    linger: object = UNSET,
    oobinline: object = UNSET,
    priority: object = UNSET,
    reuseaddr: object = UNSET,
    bindtodevice: object = UNSET,
    nodelay: object = UNSET,
    reuseport: object = UNSET,
    v6only: object = UNSET,
    keepidle: object = UNSET,
    keepintvl: object = UNSET,
    keepcnt: object = UNSET,
    sndbuf: object = UNSET,
    rcvbuf: object = UNSET,
    join: object = UNSET,
    multicast_ttl: object = UNSET,
    multicast_loop: object = UNSET,
    use_external_socket: bool | int | str = False,
    endpoint: IStreamClientEndpoint | IStreamServerEndpoint | str | None = None,
    mode: int | None = None,
    connect_timeout: float = 30,
    handshake_timeout: float = 10,
    table: Table | None = None,
    reactor: INetprocReactor | None = None,
) -> Deferred[NetworkProcess]:
    r"""Make a client, or with `server` a server (Emacs: make-network-process).

    The reference has a paragraph on each keyword.  Starts at once and never blocks.

    The Deferred fires with the process when the server listens or the client can talk.  For a server
    whose host needs no look-up, and with `nowait`, it has fired on return; with `nowait` the
    status is "connect" then, and the sentinel hears "open\n" or "failed…\n" later.

    It fails with ProcessArgumentError for a bad argument, before any socket exists, and with
    ProcessError when connecting or listening fails.  Cancelling it gives the attempt up.
    """
    keywords = dict(locals())
    del keywords["table"], keywords["reactor"]
    return make(keywords, table, reactor)


def make(
    keywords: Mapping[str, object],
    table: Table | None = None,
    reactor: INetprocReactor | None = None,
    resolver: Resolver = resolve,
) -> Deferred[NetworkProcess]:
    """The same with all keywords in a mapping, and another way to look up names."""
    try:
        spec = process_spec(keywords)
        security = _security(spec)
        reactor = default_reactor() if reactor is None else reactor
        endpoint: Any = None
        if spec.endpoint is not None:
            find = server_endpoint if spec.is_server else client_endpoint
            with argument("endpoint"):
                endpoint = find(spec.endpoint, reactor)
    except ProcessArgumentError as error:
        return fail(error)
    process = new_process(spec, DEFAULT_TABLE if table is None else table, reactor)
    if spec.is_server and spec.kind != SOCK_DGRAM:
        return ServerMaker(spec, process, resolver, endpoint, security).make()
    maker = DatagramMaker if spec.kind == SOCK_DGRAM else ClientMaker
    client = maker(spec, process, resolver, endpoint, security)
    return succeed(client.make_nowait()) if spec.nowait else client.make()


def _security(spec: ProcessSpec) -> Security | None:
    """How it does TLS, if it does; what is wrong with that is known before there is a socket."""
    if spec.tls_parameters is None:
        return None
    with argument("tls_parameters"):
        return contexts.security(spec.tls_parameters, is_server=spec.is_server)


def new_process(spec: ProcessSpec, table: Table, reactor: INetprocReactor) -> NetworkProcess:
    """A process of SPEC, not connected and not listed yet; its name is reserved."""
    process = NetworkProcess(
        table.reserve(spec.name),
        table,
        reactor,
        contact=Contact(spec.given),
        coding=spec.coding,
        filter=spec.filter,
        sentinel=spec.sentinel,
        log=spec.log,
        plist=spec.plist,
        filter_multibyte=spec.filter_multibyte,
        query_on_exit=spec.query_on_exit,
        linger=spec.options.get(LINGER),
        limits=spec.limits,
        tls_host=spec.tls_host,
    )
    if spec.stopped:
        process.stop()
    end_with_reactor(table, reactor)
    return process


#: The keywords that say what is made, and their defaults.
KEYWORDS: Mapping[str, Any] = {
    key: parameter.default
    for key, parameter in inspect.signature(make_network_process).parameters.items()
    if key not in ("table", "reactor")
}
