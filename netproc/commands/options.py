"""What the options of all commands have in common: two base classes, and the protocol by which commands are run.

`make.py`, `open.py` and `devcert.py` derive the options of their command from these, and `table.py` lists the commands.
`tap.py` (at run time) calls `make_service`, and `__main__.py` (at run time) calls `run`.
"""

from __future__ import annotations

import os

from twisted.application.service import IService
from twisted.python import usage

from .._version import __version__
from ..net.interfaces import INetprocReactor
from .foreground import run_service


class CommandOptions(usage.Options):
    """Options of a command, which `run` runs once they are read."""

    def opt_version(self) -> None:
        """Show the version and exit."""
        print(f"netproc {__version__}")  # noqa: T201
        raise SystemExit(os.EX_OK)

    def run(self) -> int:
        """Run the command in the foreground; return its exit status."""
        raise NotImplementedError


class ServiceOptions(CommandOptions):
    """Options of a command that is a service: twistd runs it as well."""

    def make_service(
        self, reactor: INetprocReactor, owner: tuple[int, int] | None = None
    ) -> IService:
        """Return the service.

        OWNER, as (user id, group id), is the user that the program becomes when the service has started with privileges.
        The file of a UNIX server must belong to that user then; `ProcessService` takes care of it.

        Check all options before, in `postOptions`.  An error of netproc that is raised here ends the program with one line.
        """
        raise NotImplementedError

    def run(self) -> int:
        """Run the service in the foreground; return the exit status."""
        return run_service(self.make_service)
