"""make_network_process: keywords in, a Deferred of a process out.

The keywords become a spec (`core/spec.py`), and `client.py`, `server.py` or `datagrams.py` makes the process that the spec
describes.
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
from ..net.lookup import Resolver, resolve
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
    r"""Make a client or, with `server`, a server.

    The call starts the process and returns at once.  It never blocks.  All arguments are keywords.

    Emacs: ``make-network-process``.

    Args:
        name: The name of the process.  If another process of the table has this name, netproc appends "<1>", "<2>", …
            to it.  This keyword is required.
            Emacs: ``:name``.
        buffer: The process buffer.  A str is the name of a buffer: netproc looks it up in the table, and creates the
            buffer if there is none.
            Emacs: ``:buffer``.
        host: A host name or a numeric address, in ASCII.  For other names use the IDNA (xn--) form.  None and "local" mean
            this machine: 127.0.0.1, or ::1 if `family` is "ipv6".  A server listens on that address only.  Use "0.0.0.0" or
            "::" to listen on all networks.
            Emacs: ``:host``.
        service: A port (0…65535) as int or str, or the name of a service.  For a server, True means any free port.
            With ``family="local"`` it is the path of a UNIX socket.  This keyword is required, unless you pass `local`,
            `remote` or `endpoint`.
            Emacs: ``:service``.
        type: None for a stream, "datagram" for UDP or for datagrams over UNIX sockets, or "seqpacket" for UNIX sockets.
            Emacs: ``:type``.
        family: "ipv4", "ipv6", "local" (a UNIX socket), or the number of an address family.  With None, netproc uses
            the families of the addresses that the host has.
            Emacs: ``:family``.
        local: The address on which a server listens.  If you pass it, netproc does not use `host`, `service` and
            `family`.  A client ignores it.  See "Addresses" in the reference for the forms of addresses.
            Emacs: ``:local``.
        remote: The address to which a client connects.  If you pass it, netproc does not use `host`, `service` and
            `family`.  A datagram server sends to this address until it has received the first packet from a client; it must
            be of the family on which the server listens.  Other servers ignore it.
            Emacs: ``:remote``.
        coding: The coding system for both directions, or a pair (decoding, encoding).  None is the default:
            "undecided-unix" for decoding and "utf-8-unix" for encoding.
            Emacs: ``:coding``.
        nowait: For clients: whether the Deferred fires at once, before the process is connected.  Data that you send before
            that waits until the connection is open.  You cannot combine it with `server`.
            Emacs: ``:nowait``.
        noquery: Whether the process starts with `query_on_exit` off.  A service or a reactor that stops does not wait for
            such a process.
            Emacs: ``:noquery``.
        stop: Whether the process starts stopped, as after `NetworkProcess.stop`.  A server then accepts connections after
            you call `resume`.  The connections themselves do not start stopped.
            Emacs: ``:stop``.
        filter: The function that receives the data, called as ``filter(process, text)``.  None is `default_filter`.  With
            True, the process reads nothing from its socket.  The function may be a coroutine function or return a Deferred.
            Emacs: ``:filter``.
        filter_multibyte: Whether the filter receives str.  With False it receives bytes, whatever the coding system is.
            netproc still converts line ends if the coding system says so.
            Emacs: ``:filter-multibyte``.
        sentinel: The function that is called with events, as ``sentinel(process, event)``: when the process ends, and when
            it opens if it was made with `nowait`, uses TLS, or is a connection of a server.  For any other client the Deferred
            fires when it is open.  None is `default_sentinel`.
            Emacs: ``:sentinel``.
        log: The function that a server calls for each connection, as ``log(server, connection, message)``, before the
            sentinel of the connection is called.  If accepting fails, `connection` is None.
            Emacs: ``:log``.
        plist: The property list, as a mapping.  netproc copies it.
            Emacs: ``:plist``.
        tls_parameters: A `TLSParameters`, a dictionary of its fields, a pyOpenSSL `Context`, or one of Twisted's TLS
            options or context factories.  If you pass it, the process uses TLS.
            Emacs: ``:tls-parameters``.
        server: True for a server whose backlog is 5, or an int for a server with that backlog.  The backlog is the number
            of clients that may wait to be accepted.
            Emacs: ``:server``.
        broadcast: Network option: whether broadcasts are allowed.  For all network options see "Network options" in the
            reference.  netproc does not set an option that is `UNSET`, except for `reuseaddr`, which is on for TCP servers.
            The Emacs name of this option and of the next eight is the same with a colon, as in ``:broadcast``.
        dontroute: Network option: whether to send only to hosts in directly connected networks.
        keepalive: Network option: whether the system probes an idle connection.
        linger: Network option: for how many seconds (an int) netproc writes the pending output after the end.  With 0, it
            resets the connection.
        oobinline: Network option: whether out-of-band data is received in line.
        priority: Network option: the protocol-defined priority of sent packets.
        reuseaddr: Network option: whether a server may use a port of which old connections still exist.
        bindtodevice: Network option: the network interface that the process uses.
        nodelay: Network option: whether small pieces are sent at once.
        reuseport: Network option: whether several servers may share the port.  Emacs does not have this and the
            following options.
        v6only: Network option: whether an IPv6 server refuses IPv4 clients.
        keepidle: Network option: seconds without traffic before the first probe, as an int.
        keepintvl: Network option: seconds between two probes, as an int.
        keepcnt: Network option: the number of probes without an answer after which the connection is broken.
        sndbuf: Network option: the size of the system's send buffer, in bytes.
        rcvbuf: Network option: the size of the system's receive buffer, in bytes.
        join: Network option: the multicast group to join, as "GROUP" or "GROUP%INTERFACE".
        multicast_ttl: Network option: how many routers a multicast packet may pass.
        multicast_loop: Network option: whether the process receives what this machine sends to groups that it has joined.
        use_external_socket: Which socket, of those with which the program was started, a server or a datagram process
            uses.  True is the first unused socket, an int is a position (from 0), a str is a name.  If the program was
            started without any socket, True has no effect.
            Emacs: ``:use-external-socket``, which can only be t.
        endpoint: Any Twisted endpoint, or its description, instead of `host` and `service`.
            Emacs does not have it.
        mode: The mode of the file of a UNIX server, an int such as 0o660.  None is 0o600.
            Emacs does not have it.
        connect_timeout: Seconds for looking up the host and connecting, together.
            Emacs does not have it.
        handshake_timeout: Seconds for a TLS handshake: that of the client, or that of each connection of a server.
            Emacs does not have it.
        table: The `ProcessTable` that lists the process and its buffer.  None is the default table.
            Emacs does not have it.
        reactor: The reactor that runs the process.  None is the installed reactor.
            Emacs does not have it.

    Returns:
        A Deferred that fires with the process.

        * For a server, it fires when the server listens.  It has already fired when the call returns, unless netproc has to
          look up a host name or the `endpoint` needs time.
        * For a client, it fires when the client can send and receive: after connecting and, with TLS, after the
          handshake.  Until then the name is reserved, but the process is not listed and its sentinel is not called.
        * For a client with `nowait`, it has always fired when the call returns.  The process is listed and its status
          is "connect".  netproc calls the sentinel with ``"open\n"`` or ``"failed…\n"`` later.

        It fails with `ProcessArgumentError` if an argument cannot be used; there is no socket and no new buffer then.  It
        fails with `ProcessError` if connecting or listening fails.

        If you cancel the Deferred, it fails with `CancelledError`.  A client's attempt ends then: there is no process,
        and the sentinel is not called.

    Raises:
        TypeError: A keyword is unknown, or `name` is missing.  All other errors come through the Deferred.
    """
    keywords = dict(locals())  # before any other local variable is set
    del keywords["table"], keywords["reactor"]
    return make(keywords, table, reactor)


def make(
    keywords: Mapping[str, object],
    table: Table | None = None,
    reactor: INetprocReactor | None = None,
    resolver: Resolver = resolve,
) -> Deferred[NetworkProcess]:
    """Make a process of KEYWORDS, all those of `make_network_process`; RESOLVER looks up names."""
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
    """Return how the process does TLS, None if it does not; wrong parameters are refused before there is a socket."""
    if spec.tls_parameters is None:
        return None
    return contexts.security(spec.tls_parameters, is_server=spec.is_server)


def new_process(spec: ProcessSpec, table: Table, reactor: INetprocReactor) -> NetworkProcess:
    """Return a process of SPEC, not connected and not listed yet; its name is reserved."""
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


#: The keywords of `make`, and their defaults.
KEYWORDS: Mapping[str, Any] = {
    key: parameter.default
    for key, parameter in inspect.signature(make_network_process).parameters.items()
    if key not in ("table", "reactor")
}
