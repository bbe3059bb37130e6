"""The plugin for "twistd netproc".

Twisted imports this file for every twistd command in the environment, so it imports nothing of netproc.
`netproc/commands/tap.py` is imported when "twistd netproc" is called.
"""

from twisted.application.service import ServiceMaker

netproc = ServiceMaker(
    "netproc",
    "netproc.commands.tap",
    "Network processes as in GNU Emacs: servers and clients from the command line.",
    "netproc",
)
