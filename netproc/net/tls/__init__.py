"""TLS: parameters, contexts of OpenSSL, channels, and the checks of the peer.

`parameters.py` has the value of the keyword `tls_parameters`.  `contexts.py` makes OpenSSL's contexts from it, with
`credentials.py`, `servernames.py`, `priority.py` and `verify.py`.  `engine.py` has one connection, and `peerstatus.py`
describes it.  `attach.py` puts a channel with TLS on another channel.
"""
