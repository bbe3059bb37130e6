"""Floor 3: one process in its parts.

`process.py` is the object that programs use.  `lifecycle.py` owns its channel and its status, `input.py` (for datagrams and
seqpacket `packets.py`) and `output.py` are its two halves, `settings.py` has what programs set at any time.
"""
