"""Sockets that the program has inherited from systemd, or from another launcher that follows sd_listen_fds(3).

`making/server.py` and `making/datagrams.py` take one if the program passes `use_external_socket`.  Unlike Twisted's parser,
this one allows descriptors without names.  Each descriptor is used once.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping

from ..core.errors import ProcessArgumentError
from ..core.escape import shown

#: The first descriptor that a launcher passes on.
FIRST = 3

#: A larger LISTEN_FDS is ignored; systemd passes 1024 descriptors at most.
_MOST_DESCRIPTORS = 9999

_KEYWORD = "use_external_socket"
_KINDS = {
    int(socket.SOCK_STREAM): "a stream",
    int(socket.SOCK_DGRAM): "a datagram",
    int(socket.SOCK_SEQPACKET): "a seqpacket",
}


class Inherited:
    """The descriptors that ENVIRONMENT describes, by position; the first one has the number FIRST."""

    def __init__(self, environment: Mapping[str, str], first: int = FIRST) -> None:
        self._first = first
        ours = environment.get("LISTEN_PID", str(os.getpid())) == str(os.getpid())
        count = _count(environment.get("LISTEN_FDS", "")) if ours else 0
        self._names = environment.get("LISTEN_FDNAMES", "").split(":")
        self._unused = list(range(count))

    def take(self, which: object, kind: int) -> socket.socket | None:
        """Return the inherited socket WHICH: True for the first unused one, a position, or a name.

        Return None if WHICH is None or False, or if it is True and no socket is left, as in Emacs (N39).  Raises
        ProcessArgumentError if there is no socket of that position or name, or if the socket is not of KIND.
        """
        position = self._find(which)
        if position is None:
            return None
        where = f"the descriptor that was inherited at position {position}"
        try:
            sock = socket.socket(fileno=self._first + position)
        except OSError as error:
            raise ProcessArgumentError(_KEYWORD, f"{where}: {error.strerror}") from None
        problem = _problem(sock, kind)
        if problem is not None:
            sock.detach()
            raise ProcessArgumentError(_KEYWORD, f"{where} {problem}")
        self._unused.remove(position)
        sock.setblocking(False)
        sock.set_inheritable(False)
        return sock

    def _find(self, which: object) -> int | None:
        if which is None or which is False:
            return None
        if which is True:
            return self._unused[0] if self._unused else None
        if isinstance(which, str):
            named = [p for p in self._unused if p < len(self._names) and self._names[p] == which]
            if not named:
                raise ProcessArgumentError(
                    _KEYWORD, f"no socket named {shown(which)} was inherited"
                )
            return named[0]
        if which not in self._unused:
            problem = f"no socket was inherited at position {shown(which)}"
            raise ProcessArgumentError(_KEYWORD, problem)
        return int(which)


def _count(text: str) -> int:
    """Return the number of descriptors that TEXT, the value of LISTEN_FDS, says; 0 if it is not a plausible number."""
    return int(text) if text.isdecimal() and len(text) <= len(str(_MOST_DESCRIPTORS)) else 0


def _problem(sock: socket.socket, kind: int) -> str | None:
    """Return why SOCK cannot be used as a socket of KIND; None if it can."""
    if sock.type != kind:
        return f"is {_KINDS.get(int(sock.type), 'another')} socket, not {_KINDS[kind]} one"
    if kind != socket.SOCK_DGRAM and not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return "does not listen"
    return None


def first_environment(path: str = "/proc/self/environ") -> Mapping[str, str]:
    """Return the environment that the program was started with, as far as that can be found out.

    Each source may lack the variables that we need.  A program that sets its title overwrites the memory that the kernel
    shows at PATH.  Twisted removes the variables from `os.environ` when its endpoints are imported.
    """
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            settings = file.read().split("\0")
    except OSError:
        settings = []
    at_start = dict(item.split("=", 1) for item in settings if "=" in item)
    return {**_taken_by_twisted(), **os.environ, **at_start}


def _taken_by_twisted() -> Mapping[str, str]:
    """Return what Twisted has found, if its endpoints were imported before netproc."""
    endpoints = sys.modules.get("twisted.internet.endpoints")
    parser = getattr(endpoints, "_SystemdParser", None)
    count = len(parser._sddaemon.inheritedDescriptors()) if parser is not None else 0
    return {"LISTEN_FDS": str(count)} if count else {}


#: The descriptors of this program.  They are read at import, before twistd forks to run in the background.
OWN = Inherited(first_environment())
