"""What twistd asks for: the options of `twistd netproc`, and the service that they describe.

The plugin file names this module.  The commands and their services are in `table.py`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from twisted.application.service import IService
from twisted.python import usage

from ..net.interfaces import default_reactor
from .clock import use_monotonic_clock
from .exits import one_line_errors, say
from .table import Command, CommandLine

#: Exit statuses for a wrong command line.
_WRONG_FOR_TWISTD = 1
_WRONG_FOR_TWIST = os.EX_USAGE


class Options(CommandLine):
    """Options of `twistd netproc`."""

    def commands(self) -> Iterable[Command]:
        """Return the commands that are services."""
        return [row for row in super().commands() if row.is_service]

    def parseOptions(self, options: Any = None) -> None:
        """Read the command line; if it is wrong, exit with one line instead of the usage text."""
        try:
            super().parseOptions(options)
        except usage.UsageError as error:
            say(str(error))
            is_twistd = "nodaemon" in (self.parent or ())
            raise SystemExit(_WRONG_FOR_TWISTD if is_twistd else _WRONG_FOR_TWIST) from error


def makeService(options: Options) -> IService:
    """Return the service of the command that OPTIONS name."""
    reactor = default_reactor()
    use_monotonic_clock(reactor)
    one_line_errors()
    service: IService = options.subOptions.make_service(reactor, _owner(options.parent))
    return service


def _owner(twistd: Any) -> tuple[int, int] | None:
    """Return the user that twistd will become: the file of a UNIX server must belong to that user."""
    uid = twistd.get("uid") if twistd is not None else None
    if uid is None:
        return None
    gid = twistd.get("gid")
    return uid, -1 if gid is None else gid
