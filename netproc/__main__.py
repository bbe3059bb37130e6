"""The command `netproc`, which is also `python -m netproc`: each of its commands, in the foreground.

`commands/table.py` lists the commands.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from twisted.python import usage

from .commands.exits import say
from .commands.table import CommandLine
from .commands.terminal import keep_descriptors


class Options(CommandLine):
    """Options of `netproc`."""

    longdesc = "Network processes as in GNU Emacs, from the command line."

    @property
    def synopsis(self) -> str:
        """The first line of the help."""
        return f"Usage: netproc {super().synopsis}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that ARGUMENTS name (those of the program, if None); return the exit status."""
    keep_descriptors()
    options = Options()
    try:
        options.parseOptions(arguments)
    except usage.UsageError as error:
        say(str(error))
        return os.EX_USAGE
    status: int = options.subOptions.run()
    return status


if __name__ == "__main__":
    sys.exit(main())
