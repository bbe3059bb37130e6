"""The prefix of log lines, found out when there is a line.

`epoll.py` and `corked.py` say whose event runs; Twisted's log asks for its context.

Twisted asks each descriptor for its prefix and stacks a context before each event: 1.1 µs, for a line that hardly
any event writes.  This context is the default one, below all that are stacked.
"""

from __future__ import annotations

from collections import UserDict
from typing import Any

from twisted.python import context, log, threadable


class LazyLogContext(UserDict[str, Any]):
    """What Twisted's log knows as its context (ILogContext)."""

    #: The descriptor whose event runs; None outside of events.
    served: Any = None

    def __getitem__(self, key: str) -> Any:
        if key == "system" and self.served is not None and threadable.isInIOThread():
            try:
                return self.served.logPrefix()
            except Exception:
                return "(buggy logPrefix method)"
        return self.data[key]

    def copy(self) -> dict[str, Any]:  # type: ignore[override]
        """What is kept, in a line or in a stacked context, does not change any more."""
        return dict(self)

    def install(self) -> None:
        """Let lines that belong to no other context have this one."""
        context.setDefault(log.ILogContext, self)  # type: ignore[arg-type]


#: The one of this program.
LOG_CONTEXT = LazyLogContext({"system": "-"})
