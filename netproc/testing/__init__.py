"""Front door for tests of applications: connections in memory, and a table that must be empty at the end.

`memory.py` has the network, `pair.py` makes two processes that are connected by it, `cleanup.py` has the table.
"""

from __future__ import annotations

from .cleanup import clean_table
from .memory import MemoryNetwork
from .pair import connected_pair

__all__ = ["MemoryNetwork", "clean_table", "connected_pair"]
