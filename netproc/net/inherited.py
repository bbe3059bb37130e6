"""Sockets that the process was started with: systemd's, or any launcher's that follows sd_listen_fds(3).

Makers of processes ask for one when `use_external_socket` is given.  The names are optional, which Twisted's own
parser does not allow.  A descriptor is used once.
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

#: More are not passed on: systemd stops at 1024.
_MOST_DESCRIPTORS = 9999

_KEYWORD = "use_external_socket"
_KINDS = {
    int(socket.SOCK_STREAM): "a stream",
    int(socket.SOCK_DGRAM): "a datagram",
    int(socket.SOCK_SEQPACKET): "a seqpacket",
}


class Inherited:
    """The descriptors of one environment, by position."""

    def __init__(self, environment: Mapping[str, str], first: int = FIRST) -> None:
        self._first = first
        ours = environment.get("LISTEN_PID", str(os.getpid())) == str(os.getpid())
        count = _count(environment.get("LISTEN_FDS", "")) if ours else 0
        self._names = environment.get("LISTEN_FDNAMES", "").split(":")
        self._unused = list(range(count))

    def take(self, which: object, kind: int) -> socket.socket | None:
        """The socket WHICH: True for the first that is not used, a position, or a name.

        None when there is nothing to use: that is no error for True, as in Emacs (N39).  Raises
        ProcessArgumentError when the one that was named is not there, or it is not of KIND.
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
    """How many descriptors LISTEN_FDS is about; 0 for what is no number that could be meant."""
    return int(text) if text.isdecimal() and len(text) <= len(str(_MOST_DESCRIPTORS)) else 0


def _problem(sock: socket.socket, kind: int) -> str | None:
    """Why SOCK cannot serve as a socket of KIND, or None."""
    if sock.type != kind:
        return f"is {_KINDS.get(int(sock.type), 'another')} socket, not {_KINDS[kind]} one"
    if kind != socket.SOCK_DGRAM and not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return "does not listen"
    return None


def first_environment(path: str = "/proc/self/environ") -> Mapping[str, str]:
    """The environment that the program was started with, as far as that can be found out.

    Each source may lack the variables that are wanted.  A program that sets its title overwrites the memory that
    the kernel shows at PATH.  Twisted takes them out of `os.environ` when its endpoints are imported.
    """
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            settings = file.read().split("\0")
    except OSError:
        settings = []
    shown = dict(item.split("=", 1) for item in settings if "=" in item)
    return {**_taken_by_twisted(), **os.environ, **shown}


def _taken_by_twisted() -> Mapping[str, str]:
    """What Twisted has found, if its endpoints were imported before netproc."""
    endpoints = sys.modules.get("twisted.internet.endpoints")
    parser = getattr(endpoints, "_SystemdParser", None)
    count = len(parser._sddaemon.inheritedDescriptors()) if parser is not None else 0
    return {"LISTEN_FDS": str(count)} if count else {}


#: Those of this process; known before twistd becomes another process to run in the background.
OWN = Inherited(first_environment())
