"""The tests of netproc; "trial netproc" runs them.

There is one test module for each module of netproc.  Tests in `real/` use real sockets, those in `conformance/`
compare netproc with Emacs.
"""

from hypothesis import HealthCheck, settings

# On a busy machine an example may be slow without being wrong.  The examples are the same in each run, so that a test fails
# because of a change and not by chance.
settings.register_profile(
    "netproc", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
settings.load_profile("netproc")
