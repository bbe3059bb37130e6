"""The plugin for "twistd --reactor=netproc".

Twisted imports this file for every twistd command in the environment, so it imports nothing of netproc.
"""

from twisted.application.reactors import Reactor

netproc = Reactor(
    "netproc", "netproc.reactor", "a faster epoll reactor, which any application can use"
)
