"""Opening a connection: the stages between "connected" and "open".

`stages` has the Opening, which hands a connection from stage to stage and at last to its process; each stage has a file:
`handshake` (TLS, ours or the transport's), `dialogue` (greeting, capabilities, STARTTLS), `approval` (the security manager).
"""
