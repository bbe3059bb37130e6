"""Run Twisted's own reactor tests on the netproc reactor: `make twisted-suite`.

The test modules are part of Twisted.  They make test cases from their classes for every reactor that
`ReactorBuilder` lists; here it lists only ours.  LEFT_OUT has the tests that are left out, with the reasons.
"""

from __future__ import annotations

import importlib

from twisted.internet.test.reactormixins import ReactorBuilder

#: Modules of twisted.internet.test that make test cases for reactors, except those for Windows and macOS.
MODULES = (
    "test_core",
    "test_fdset",
    "test_newtls",
    "test_process",
    "test_socket",
    "test_stdio",
    "test_tcp",
    "test_threads",
    "test_time",
    "test_tls",
    "test_udp",
    "test_unix",
)

#: Tests that are left out, with the reasons.  A test that passes on Twisted's own epoll reactor must not be here.
LEFT_OUT = {
    "test_changeUID": "starts Python as another user, who may not be allowed to read it",
    "test_lostFileDescriptor": "epoll forgets closed descriptors; Twisted skips it for its own too",
}

ReactorBuilder._reactors = ["netproc.reactor.epoll.EPollReactor"]


def _add_test_cases() -> None:
    for name in MODULES:
        module = importlib.import_module(f"twisted.internet.test.{name}")
        for case_name, case in vars(module).items():
            if case_name.endswith("_EPollReactorTests"):
                globals()[case_name] = case
                for test in LEFT_OUT.keys() & set(dir(case)):
                    getattr(case, test).skip = LEFT_OUT[test]


_add_test_cases()
