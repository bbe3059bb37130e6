"""The filter and the sentinel of a process that was given none: they write to its buffer.

`process.py` puts them where None was given; programs may call them from functions of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.status import FLOWING

if TYPE_CHECKING:
    from ..core.coding import Text
    from .process import NetworkProcess


def default_filter(process: NetworkProcess, text: Text) -> None:  # N180
    """Insert the text into the buffer of the process, at its mark.  Without a buffer, the text is dropped.

    If the buffer's `point` is at the mark or after it, it moves along with the text.  The text is inserted even if the
    buffer is `read_only`.

    Emacs: ``internal-default-process-filter``.

    Args:
        process: The process.
        text: What the process has received.
    """
    process._insert_in_buffer(text)


def default_sentinel(process: NetworkProcess, event: str) -> None:  # N85
    r"""Insert ``"\nProcess NAME EVENT"`` into the buffer of the process, at its mark, if the process is not open.

    Nothing is inserted if the process has no buffer.  A process that is open and stopped counts as open here.

    Emacs: ``internal-default-process-sentinel``.

    Args:
        process: The process.
        event: The event.
    """
    if process.buffer is not None and process._lifecycle.state not in FLOWING:
        process._insert_in_buffer(f"\nProcess {process.name} {event}")
