"""Tells twistd that there is a "netproc" command.

Twisted reads this file for every command of twistd in the environment, so it imports nothing of netproc;
`netproc/tap.py` is imported when "twistd netproc" is called.
"""

from twisted.application.service import ServiceMaker

netproc = ServiceMaker(
    "netproc",
    "netproc.commands.tap",
    "Network processes as in GNU Emacs: servers and clients from the command line.",
    "netproc",
)
