"""Twisted's own tests of reactors, with the netproc reactor: trial netproc.test.real.reactor_suite.

The test modules ship with Twisted; each of their classes makes a reactor anew for each test.
"""

from __future__ import annotations

import importlib
from typing import Any

from twisted.internet.test.reactormixins import ReactorBuilder
from twisted.trial.unittest import SynchronousTestCase

from netproc.epollreactor import EPollReactor

#: Modules of twisted.internet.test whose classes are for any reactor.
MODULES = (
    "test_core",
    "test_fdset",
    "test_process",
    "test_socket",
    "test_tcp",
    "test_threads",
    "test_time",
    "test_tls",
    "test_udp",
    "test_unix",
    "test_sigchld",
    "test_stdio",
    "test_endpoints",
    "test_base",
)

#: Left out, and why.
LEFT_OUT: dict[str, str] = {}


def _builders(module: Any) -> list[type[ReactorBuilder]]:
    """The classes of MODULE that are made into test cases for each reactor."""
    return [
        found
        for found in vars(module).values()
        if isinstance(found, type)
        and issubclass(found, ReactorBuilder)
        # Those are made for one reactor already.
        and not issubclass(found, SynchronousTestCase)
        and found.__module__ == module.__name__
    ]


def _add_test_cases() -> None:
    for name in MODULES:
        module = importlib.import_module(f"twisted.internet.test.{name}")
        for builder in _builders(module):
            contents = {"reactorFactory": EPollReactor, "__module__": __name__}
            contents |= {test: None for test in LEFT_OUT if hasattr(builder, test)}
            globals()[builder.__name__] = type(
                builder.__name__, (builder, SynchronousTestCase), contents
            )


_add_test_cases()
