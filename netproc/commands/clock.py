"""The clock of a program that one of the commands runs.

`tap.py`, `foreground.py` and `open.py` call this before anything sets a timer.
"""

from __future__ import annotations

import time

from ..net.interfaces import INetprocReactor


def use_monotonic_clock(reactor: INetprocReactor) -> None:
    """Let the timers of REACTOR follow the monotonic clock, which setting the system's date does not change (H5).

    If there are timers already, the clock stays as it is: changing it would delay them or run them too early.
    """
    if not reactor.getDelayedCalls():
        reactor.seconds = time.monotonic  # type: ignore[method-assign]
