"""`python -m netproc`: the commands for a terminal.

Python runs this; each command has a module of its own: `commands/open.py`.
"""

from __future__ import annotations

import os
from typing import Any, ClassVar

from twisted.python import usage

from .commands.exits import say
from .commands.open import CommandOptions, OpenOptions
from .commands.terminal import keep_descriptors


class Options(CommandOptions):
    """Options of `python -m netproc`."""

    synopsis = "Usage: python -m netproc COMMAND [options]"
    longdesc = "Network processes as in GNU Emacs, from the terminal."
    subCommands: ClassVar[list[Any]] = [
        ["open", None, OpenOptions, "Open a stream and talk over it."]
    ]

    def postOptions(self) -> None:
        """There must be a command."""
        if self.subCommand is None:
            raise usage.UsageError("which command? try: open --help")


def main() -> None:
    """Do what the command line says."""
    keep_descriptors()
    options = Options()
    try:
        options.parseOptions()
    except usage.UsageError as error:
        say(str(error))
        raise SystemExit(os.EX_USAGE) from error
    command = options.subOptions
    assert isinstance(command, OpenOptions)
    raise SystemExit(command.run())


if __name__ == "__main__":
    main()
