"""The network processes of GNU Emacs, on Twisted.

Public names are here; the modules behind them, in the order in which data passes them:

* `make` (keywords in) and `core.spec` (checked), `core.options`, `core.coding`, `core.address` by it;
* `core.streamspec`, `core.dialects` and `core.answers`: how a stream is opened, `core.negotiate`: its
  dialogue;
* `clientcert` with `core.authinfo`: who we are to the server;
* `security` with `core.trust` and `pinfile`: may it be used?
* `client` and `server`, which join what follows;
* `net.resolve`, `net.endpoints`, `net.connector`, `net.listener`, `net.socketfile`, `net.sockets`: to a
  socket that is connected;
* `net.transport`, `net.event`, `net.sendqueue`: bytes from and to it;
* `net.stream`, `net.foreign`, behind `net.channel`: Twisted's protocols as channels;
* `reading` with `core.delivery`, `sending` with `core.flow`: the two halves of a process;
* `process` with `core.status`, `core.contact`, `core.buffer`, `core.names`: the object itself;
* `defaults`, `callbacks`: the functions it calls;
* `service`, `tap`, `filters`: processes for twistd.
"""

from __future__ import annotations

from ._version import __version__
from .core.buffer import Buffer
from .core.errors import NetprocError, ProcessArgumentError, ProcessError
from .core.limits import Limits
from .core.names import ProcessTable
from .core.options import UNSET
from .defaults import default_filter, default_sentinel
from .make import make_network_process
from .process import NetworkProcess
from .tables import (
    accept_process_output,
    get_buffer,
    get_buffer_create,
    get_buffer_process,
    get_process,
    list_processes,
    process_list,
)

__all__ = [
    "UNSET",
    "Buffer",
    "Limits",
    "NetprocError",
    "NetworkProcess",
    "ProcessArgumentError",
    "ProcessError",
    "ProcessTable",
    "__version__",
    "accept_process_output",
    "default_filter",
    "default_sentinel",
    "get_buffer",
    "get_buffer_create",
    "get_buffer_process",
    "get_process",
    "list_processes",
    "make_network_process",
    "process_list",
]
