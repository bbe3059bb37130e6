"""The prefix of log lines, which is computed when a line is logged.

`epoll.py` and `corked.py` record the descriptor whose event runs.  Twisted's log looks up the prefix in its context.

Before each event, Twisted asks the descriptor for its prefix and pushes a context: this takes 1.1 µs, and few events log
a line.  The context here is the default one, below all contexts that are pushed.
"""

from __future__ import annotations

from collections import UserDict
from typing import Any

from twisted.python import context, log, threadable


class LazyLogContext(UserDict[str, Any]):
    """The context of Twisted's log (ILogContext)."""

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
        """Return a dict with the values of now, for a log line or for a context that is pushed."""
        return dict(self)

    def install(self) -> None:
        """Make this the context of log lines that have no other."""
        context.setDefault(log.ILogContext, self)  # type: ignore[arg-type]


#: The log context of this program.
LOG_CONTEXT = LazyLogContext({"system": "-"})
