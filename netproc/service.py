"""Front door for applications: processes as Twisted services.

It hands on the class of `adapters/service.py`.
"""

from __future__ import annotations

from .adapters.service import ProcessService

__all__ = ["ProcessService"]
