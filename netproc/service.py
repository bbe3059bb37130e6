"""Public module for applications: network processes as Twisted services.

It exports the class of `adapters/service.py`.
"""

from __future__ import annotations

from .adapters.service import ProcessService

__all__ = ["ProcessService"]
