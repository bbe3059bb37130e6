"""Refuses to be imported where netproc cannot work.

`__init__.py` imports this first, so that the line comes before some missing system call does.
"""

import sys

if sys.platform == "win32":
    raise ImportError("netproc does not run on Windows: it needs Linux, or macOS or a BSD")
