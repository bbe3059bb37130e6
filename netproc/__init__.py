"""The network processes of GNU Emacs, on Twisted.

The public names are here.  The folders, in the order in which a connection meets them:

* `commands/`: what people type becomes keywords;
* `streams/`: `open_network_stream` adds the dialogue of STARTTLS, client certificates and the security manager;
* `making/`: the keywords of `make_network_process` become a client, a server or a datagram socket;
* `net/`: sockets become channels, with TLS (`net/tls/`), and pass the stages before "open" (`net/opening/`);
* `process/`: the process takes its channel: input to the filter, output to the socket, events to the sentinel;
* `filters/`, `adapters/`: filters for programs; processes as Twisted endpoints, transports and services;
* `reactor/`: a faster epoll reactor for any Twisted program;
* `core/`: the values, tables and state machines that all of these use;
* `testing/`: tools for the tests of applications.

Applications also import `netproc.filters`, `netproc.service`, `netproc.endpoints`, `netproc.testing` and `netproc.reactor`.
"""

from . import _platform as _platform

# Before anything imports Twisted's endpoints, which take variables out of the environment.
from .net import inherited as _inherited  # noqa: F401

# isort: split
from ._version import __version__
from .core.address import format_network_address
from .core.buffer import Buffer
from .core.errors import (
    AnswerSizeError,
    CommandError,
    NegotiationError,
    NetprocError,
    ProcessArgumentError,
    ProcessError,
    SecurityError,
    StartTLSError,
)
from .core.limits import Limits
from .core.negotiate import StreamProperties
from .core.options import UNSET
from .core.table import ProcessTable
from .filters.framing import length_prefixed, lines
from .filters.transactions import TransactionQueue
from .making.features import supports
from .making.make import make_network_process
from .net.info import (
    InterfaceInfo,
    network_interface_info,
    network_interface_list,
    network_lookup_address_info,
)
from .net.tls.parameters import TLSParameters, tls_boot_parameters
from .process.defaults import default_filter, default_sentinel
from .process.process import NetworkProcess
from .process.tables import (
    accept_process_output,
    get_buffer,
    get_buffer_create,
    get_buffer_process,
    get_process,
    list_processes,
    process_list,
)
from .streams.openstream import open_network_stream
from .streams.security import SecurityManager

__all__ = [
    "UNSET",
    "AnswerSizeError",
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
    "StartTLSError",
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
