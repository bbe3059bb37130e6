"""The network processes of GNU Emacs, on Twisted.

Public names are here; the modules behind them, in the order in which data passes them:

* `make` (keywords in) and `core.spec` (checked), `core.options`, `core.coding`, `core.address` by it;
* `core.streamspec`, `core.dialects` with `core.ldap` and `core.xmpp`, and `core.answers`: how a stream is opened,
  `core.negotiate`: its dialogue;
* `client` and `server`, which join what follows; `open_stream` with `core.streamspec`, `core.negotiate`, `core.answers`,
  `core.dialects` and `net.opening.dialogue`, which talk before a client is there;
* `clientcert` with `core.authinfo`: who we are to the server; `security` with `core.trust` and `pinfile`: may a connection
  be used? `net.opening.approval` waits for the answer;
* `net.opening`: the row of stages (handshake, dialogue, approval) between a connection and its process;
* `net.resolve`, `net.endpoints`, `net.connector`, `net.listener`, `net.socketfile`, `net.sockets`: to a
  socket that is connected;
* `net.transport`, `net.event`, `net.sendqueue`, `net.producer`, `net.upgrade`: bytes from and to it;
* `net.tls`, where they are encrypted: `parameters`, `priority`, `credentials`, `servernames`, `primes`,
  `contexts`, `verify`, `ocsp`, `engine`, `peerstatus`, and between these and a process `channel` with `onsocket` or `memory`,
  put there by `attach` from the beginning or by `starttls`;
* `net.stream`, `net.foreign` (and `net.child`, a command in the place of a connection), behind `net.channel`: Twisted's protocols as channels; `net.seqpacket`;
* `datagrams` with `net.datagram`, `net.packetbuffer`, `net.packetinfo`, `net.icmp` in the place of these for datagrams;
  `net.rawaddress` for unusual families, `net.inherited` for sockets that are handed over;
* `reading` (or `packets`) with `core.delivery`, `core.decoders`, `core.codecnames`, and `sending` with
  `core.flow`: the two halves of a process; `core.throttle` for what they log;
* `process` and `settings` with `core.status`, `core.contact`, `core.buffer`, `core.names`: the object itself;
* `shutdown`: what happens to them when the reactor stops;
* `defaults`, `callbacks`: the functions it calls; `framing` with `core.framing`, and `transactions`: filters for
  programs;
* `service`, `tap`, `filters`: processes for twistd;
* `epollreactor` with `net.corked` and `net.logcontext`: the netproc reactor, for any program of Twisted's;
* `endpointstrings`, `processendpoints`, `processtransport`: processes for protocols of Twisted's;
* `__main__`, `opencommand`, `terminal`: a stream in the terminal; `passwords`, of keys, for this and `tap`;
* `net.info`, `supports`: what this machine has;
* `devcert`: a certificate to try TLS with.
"""

from __future__ import annotations

from . import _platform as _platform

# Before anything imports Twisted's endpoints, which take variables out of the environment.
from .net import inherited as _inherited  # noqa: F401

# isort: split
from ._version import __version__
from .core.address import format_network_address
from .core.buffer import Buffer
from .core.errors import (
    CommandError,
    NegotiationError,
    NetprocError,
    ProcessArgumentError,
    ProcessError,
    SecurityError,
)
from .core.limits import Limits
from .core.names import ProcessTable
from .core.negotiate import StreamProperties
from .core.options import UNSET
from .defaults import default_filter, default_sentinel
from .framing import length_prefixed, lines
from .make import make_network_process
from .net.info import (
    InterfaceInfo,
    network_interface_info,
    network_interface_list,
    network_lookup_address_info,
)
from .net.tls.parameters import TLSParameters, tls_boot_parameters
from .open_stream import open_network_stream
from .process import NetworkProcess
from .security import SecurityManager
from .supports import supports
from .tables import (
    accept_process_output,
    get_buffer,
    get_buffer_create,
    get_buffer_process,
    get_process,
    list_processes,
    process_list,
)
from .transactions import TransactionQueue

__all__ = [
    "UNSET",
    "Buffer",
    "CommandError",
    "InterfaceInfo",
    "Limits",
    "NegotiationError",
    "NetprocError",
    "NetworkProcess",
    "ProcessArgumentError",
    "ProcessError",
    "ProcessTable",
    "SecurityError",
    "SecurityManager",
    "StreamProperties",
    "TLSParameters",
    "TransactionQueue",
    "__version__",
    "accept_process_output",
    "default_filter",
    "default_sentinel",
    "format_network_address",
    "get_buffer",
    "get_buffer_create",
    "get_buffer_process",
    "get_process",
    "length_prefixed",
    "lines",
    "list_processes",
    "make_network_process",
    "network_interface_info",
    "network_interface_list",
    "network_lookup_address_info",
    "open_network_stream",
    "process_list",
    "supports",
    "tls_boot_parameters",
]
