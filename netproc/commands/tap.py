"""What twistd asks for: the options of `twistd netproc`, and the service that they describe.

The plugin file names this module.  `make.py` has the command's own options and its service.
"""

from __future__ import annotations

import os
import time
from typing import Any, ClassVar

from twisted.application.service import IService
from twisted.python import usage

from ..net.interfaces import INetprocReactor, default_reactor
from .exits import one_line_errors, say
from .make import MakeOptions, ProcessCommand

#: Exit statuses for a wrong command line.
WRONG_FOR_TWISTD = 1
WRONG_FOR_TWIST = os.EX_USAGE


class Options(usage.Options):
    """Options of `twistd netproc`."""

    synopsis = "COMMAND [options]"
    subCommands: ClassVar[list[Any]] = [
        ["make", None, MakeOptions, "Make a server or a client process."]
    ]

    def parseOptions(self, options: Any = None) -> None:
        """Read the command line; what is wrong with it is one line, not the usage text."""
        try:
            super().parseOptions(options)
        except usage.UsageError as error:
            say(str(error))
            is_twistd = "nodaemon" in (self.parent or ())
            raise SystemExit(WRONG_FOR_TWISTD if is_twistd else WRONG_FOR_TWIST) from error

    def postOptions(self) -> None:
        """There must be a command."""
        if self.subCommand is None:
            raise usage.UsageError("which command? try: make --help")


# -- the service ----------------------------------------------------------------------------------


def makeService(options: Options) -> IService:
    """The service of the command that OPTIONS name."""
    reactor = default_reactor()
    use_monotonic_clock(reactor)
    one_line_errors()
    command = options.subOptions
    assert isinstance(command, MakeOptions)
    return ProcessCommand(reactor, command.keywords, _owner(options.parent))


def use_monotonic_clock(reactor: INetprocReactor) -> None:
    """Let the reactor's timers follow a clock that nobody sets back (H5).

    Timers that run already would be lost, so then the clock stays; there are none this early.
    """
    if not reactor.getDelayedCalls():
        reactor.seconds = time.monotonic  # type: ignore[method-assign]


def _owner(twistd: Any) -> tuple[int, int] | None:
    """Whom the file of a UNIX server must belong to: the user that twistd will become."""
    uid = twistd.get("uid") if twistd is not None else None
    if uid is None:
        return None
    gid = twistd.get("gid")
    return uid, -1 if gid is None else gid
