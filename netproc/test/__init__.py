"""The tests of netproc; "trial netproc" runs them.

One module for each module of netproc, `real/` for what needs real sockets, `conformance/` for what Emacs
does.
"""

from hypothesis import HealthCheck, settings

# A busy machine makes an example slow, which is no fault.
settings.register_profile("netproc", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("netproc")
