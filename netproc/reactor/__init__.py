"""Floor 2: the netproc reactor, a faster epoll reactor for any Twisted program."""

from __future__ import annotations

from .epoll import install

__all__ = ["install"]
