"""Floor 4: from keywords to a process.

`make.py` has the public function.  `client.py`, `server.py` and `datagrams.py` make what the keywords describe, by what
`maker.py` has for all three.
"""
