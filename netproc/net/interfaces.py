"""The reactor interfaces that netproc needs, as one type.

The modules of `net/`, and those above, take a reactor of this type.  Only `default_reactor` imports the
installed reactor.
"""

from __future__ import annotations

from typing import cast

from twisted.internet.interfaces import (
    IReactorCore,
    IReactorFDSet,
    IReactorPluggableNameResolver,
    IReactorThreads,
    IReactorTime,
)


class INetprocReactor(
    IReactorCore, IReactorFDSet, IReactorPluggableNameResolver, IReactorThreads, IReactorTime
):
    """A reactor with all interfaces that netproc uses.  Python has no intersection types to say this otherwise."""


def default_reactor() -> INetprocReactor:
    """Return the installed reactor.  If there is none, install Twisted's default reactor."""
    from twisted.internet import reactor

    return cast(INetprocReactor, reactor)
