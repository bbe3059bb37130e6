"""What the servers of a benchmark share: where they listen, and how they say so.

`SERVER.py DIRECTORY WORD…` runs one.  It offers services by the names of `workloads.py`, prints their addresses as one line of
JSON in the form that `load/load.c` takes, and is killed when whoever started it is gone.  DIRECTORY
has `certificate.pem` and `key.pem`, and room for sockets.  Each server is written as a user of its library would write it,
with the library's defaults and a backlog of BACKLOG.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from importlib import import_module
from pathlib import Path

HOST = "127.0.0.1"
BACKLOG = 1024
#: The service "pieces" answers a message in so many.
PIECES = 4

DIRECTORY = Path(sys.argv[1])
WORDS = sys.argv[2:]
CERTIFICATE = DIRECTORY / "certificate.pem"
KEY = DIRECTORY / "key.pem"


def unix_path() -> str:
    """The path for this server's UNIX socket."""
    return str(DIRECTORY / f"{os.getpid()}.socket")


def announce(ports: dict[str, object], unix: str | None = None) -> None:
    """Say where the services are: PORTS by service, and the path of the UNIX socket."""
    kinds = {"tls": "tls", "udp": "udp"}
    addresses = {name: f"{kinds.get(name, 'tcp')}:{HOST}:{port}" for name, port in ports.items()}
    if unix is not None:
        addresses["unix"] = f"unix:{unix}"
    print(json.dumps(addresses), flush=True)


def end_with_parent() -> None:
    """Be killed by the kernel when the parent is gone, however it went."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def install_reactor() -> None:
    """Install the reactor that WORDS name: "stock", "netproc" or "spinning"."""
    if "stock" in WORDS:
        from twisted.internet import epollreactor

        epollreactor.install()
        return
    import_module("netproc.reactor").install(spin=SPIN if "spinning" in WORDS else 0.0)


#: For how many seconds the spinning reactor looks for events before it sleeps.
SPIN = 0.0002
