"""The tests of netproc; "trial netproc" runs them.

One module for each module of netproc, `real/` for what needs real sockets, `conformance/` for what Emacs
does.
"""
