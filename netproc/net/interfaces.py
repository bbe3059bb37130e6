"""The interfaces of Twisted's reactors that netproc needs, as one type.

Everything in `net/` and above takes a reactor of this type; only `default_reactor` knows the installed
one.
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
    """What netproc asks of a reactor: there is no way to write an intersection of interfaces."""


def default_reactor() -> INetprocReactor:
    """The installed reactor; installs Twisted's default one if there is none."""
    from twisted.internet import reactor

    return cast(INetprocReactor, reactor)
