"""The tests of netproc; "trial netproc" runs them.

There is one test module for each module of netproc.  Tests in `real/` use real sockets, those in `conformance/`
compare netproc with Emacs.
"""

from hypothesis import HealthCheck, settings

# On a busy machine an example may be slow without being wrong.
settings.register_profile("netproc", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("netproc")
