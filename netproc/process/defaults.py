"""The filter and the sentinel of a process that was given none: they write to its buffer.

`process.py` puts them where None was given; programs may call them from functions of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.status import FLOWING

if TYPE_CHECKING:
    from ..core.coding import Text
    from .process import NetworkProcess


def default_filter(process: NetworkProcess, text: Text) -> None:
    """Insert TEXT into the buffer of PROCESS at its mark; without a buffer it is thrown away.

    Emacs: internal-default-process-filter (N180).
    """
    process._insertion.insert(text)


def default_sentinel(process: NetworkProcess, event: str) -> None:
    """Note EVENT in the buffer of PROCESS, unless the process is open, stopped or not.

    Emacs: internal-default-process-sentinel (N85).
    """
    if process.buffer is not None and process._lifecycle.state not in FLOWING:
        process._insertion.insert(f"\nProcess {process.name} {event}")
