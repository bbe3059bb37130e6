"""The table of peers: the servers that are compared, one row each.

`run.py` chooses rows, `programs.py` starts them; the programs are in `servers/`.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

SERVERS = Path(__file__).resolve().parent / "servers"


@dataclass(frozen=True)
class Peer:
    """One kind of server."""

    name: str
    title: str
    #: A file in `servers/`, or "echo", which `programs.py` builds from `servers/echo.c`.
    program: str
    words: Sequence[str] = ()
    #: A module or a program that it needs beside Twisted and netproc.
    needs: str = ""
    #: The workloads in which it takes part, all for which it has a service if empty.
    only: frozenset[str] = frozenset()
    #: Processes of its own do the work, so that its CPU time says nothing.
    forks: bool = False

    @property
    def installed(self) -> bool:
        """Is there what it needs?"""
        return not self.needs or bool(shutil.which(self.needs) or find_spec(self.needs))

    def command(self, built: Path, directory: Path) -> list[str]:
        """How to start it: programs that were built are in BUILT, the certificate in DIRECTORY."""
        if self.program == "echo":
            return [str(built / "echo"), str(directory)]
        path = str(SERVERS / self.program)
        if self.program.endswith(".el"):
            return ["emacs", "--batch", "-Q", "-l", path, "--", str(directory)]
        return [sys.executable, path, str(directory), *self.words]


FAST = "netproc.reactor"
LAYER = frozenset({"pp1", "pp50", "bulk1"})
SMALL = frozenset({"pp1", "pp50", "bulk1", "bulk8", "sink", "churn", "unix50", "pieces50"})

BASELINE = "twisted"
LIMIT = "c"

PEERS = (
    Peer("c", "C, epoll", "echo"),
    Peer(BASELINE, "plain Twisted", "twisted_echo.py", ["stock"]),
    Peer("asyncio", "asyncio Protocol", "asyncio_echo.py", ["asyncio"]),
    Peer("uvloop", "uvloop Protocol", "asyncio_echo.py", ["uvloop"], needs="uvloop"),
    Peer("netproc", "netproc, bytes", "netproc_echo.py", ["stock", "bytes"]),
    Peer("netproc-text", "netproc, text", "netproc_echo.py", ["stock", "text"]),
    Peer("transport", "netproc's transport alone", "transport_echo.py", ["stock"], only=LAYER),
    Peer("fast", "netproc, its reactor, bytes", "netproc_echo.py", ["netproc", "bytes"], FAST),
    Peer("fast-text", "netproc, its reactor, text", "netproc_echo.py", ["netproc", "text"], FAST),
    Peer(
        "fast-transport",
        "its transport and reactor alone",
        "transport_echo.py",
        ["netproc"],
        FAST,
        only=LAYER,
    ),
    Peer(
        "fast-spin",
        "netproc, its reactor spinning, bytes",
        "netproc_echo.py",
        ["spinning", "bytes"],
        FAST,
        only=frozenset({"pp1"}),
    ),
    Peer("fast-twisted", "plain Twisted, netproc's reactor", "twisted_echo.py", ["netproc"], FAST),
    Peer("emacs", "Emacs", "echo.el", needs="emacs", only=SMALL),
    Peer(
        "socat",
        "socat, fork",
        "socat_echo.py",
        needs="socat",
        only=frozenset({"pp1", "pp50", "bulk1"}),
        forks=True,
    ),
)
