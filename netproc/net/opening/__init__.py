"""Opening a connection: the stages between "connected" and "open".

`stages.py` has the Opening, which hands a connection from stage to stage and finally to its process.  The stages are in
`handshake.py` (TLS, netproc's or that of the transport), `dialogue.py` (greeting, capabilities and STARTTLS) and
`approval.py` (the security manager).
"""
