"""Floor 3: one process in its parts.

`process.py` is the object that programs use; `settings.py` has what they can set at any time.  `lifecycle.py` owns the
channel and the state.  `input.py` and `output.py` are the two halves, which move the data.  `insertion.py` has the buffer.

Other folders call methods of the process, or of its lifecycle, which makers hand a channel to.  Only this folder uses the other
parts.
"""
