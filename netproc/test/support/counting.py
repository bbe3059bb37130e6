"""Counts work, so that tests can distinguish linear from quadratic time without a clock."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def lines_run(function: Callable[[], object]) -> int:
    """Call FUNCTION and return how many lines of Python it runs; each element of a generator is one."""
    count = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        if event == "line":
            count += 1
        return trace

    previous = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(previous)
    return count


def growth(work: Callable[[int], object], size: int = 200) -> float:
    """Return how many times more lines WORK runs for four times SIZE: 4 if it is linear, 16 if quadratic."""
    return lines_run(lambda: work(4 * size)) / lines_run(lambda: work(size))
