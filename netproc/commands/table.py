"""The commands: one row each.  `netproc`, `python -m netproc` and `twistd netproc` offer what is here.

`__main__.py` and `tap.py` build their command lines from this table, by `CommandLine`.  A new command is a file with a
class of options, derived from one of those in `options.py`, and a row here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from twisted.python import usage

from .devcert import DevCertOptions
from .exits import standard_output
from .make import MakeOptions
from .open import OpenOptions
from .options import CommandOptions, ServiceOptions


class Command(NamedTuple):
    """A command: its name, the class of its options, and a line of help."""

    name: str
    options: type[CommandOptions]
    help: str

    @property
    def is_service(self) -> bool:
        """Whether twistd can run the command; other commands run in the foreground only."""
        return issubclass(self.options, ServiceOptions)


COMMANDS: tuple[Command, ...] = (
    Command("make", MakeOptions, "Make a server or a client process."),
    Command("open", OpenOptions, "Open a stream and connect it to the terminal."),
    Command("dev-cert", DevCertOptions, "Make a certificate for trying TLS on this machine."),
)


class CommandLine(CommandOptions):
    """A command line that begins with the name of a command."""

    def commands(self) -> Iterable[Command]:
        """Return the commands that this command line offers."""
        return COMMANDS

    @property
    def subCommands(self) -> list[tuple[str, None, type[CommandOptions], str]]:
        """The commands in the form that Twisted reads."""
        return [(row.name, None, row.options, row.help) for row in self.commands()]

    @property
    def synopsis(self) -> str:
        """What follows the name of the program in the first line of the help."""
        return "COMMAND [options]" if self.subCommand is None else ""

    def getSynopsis(self) -> str:
        """Return the first line of the help; a command puts its own after this."""
        return super().getSynopsis().rstrip()

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Read the command line; --help and --version print and exit."""
        with standard_output():
            super().parseOptions(options)

    def postOptions(self) -> None:
        """Check that there is a command."""
        if self.subCommand is None:
            names = ", ".join(row.name for row in self.commands())
            raise usage.UsageError(f"a command is required: {names}; try --help")
