"""Tells twistd that there is a "netproc" reactor: twistd --reactor=netproc.

Twisted reads this file for every command of twistd in the environment, so it imports nothing of netproc.
"""

from twisted.application.reactors import Reactor

netproc = Reactor(
    "netproc", "netproc.reactor", "a faster epoll reactor, which any application can use"
)
