"""The base test case: a deprecated call in netproc is an error, one in a test or in another package is not."""

from __future__ import annotations

import warnings
from typing import Any

from netproc.test.support.base import NetprocTestCase


def caller(module: str) -> Any:
    """Return a function of MODULE that makes a deprecated call."""
    names: dict[str, Any] = {"__name__": module, "warnings": warnings}
    exec("def call():\n    warnings.warn('old', DeprecationWarning)", names)
    return names["call"]


class WarningTests(NetprocTestCase):
    async def test_calls(self) -> None:
        for module in ("netproc", "netproc.making.make", "netproc.net.tls.contexts"):
            with self.assertRaises(DeprecationWarning):
                caller(module)()
        for module in ("netproc.test.test_make", "netprocess", "twisted.names"):
            caller(module)()
        self.assertEqual(["old"] * 3, [warning["message"] for warning in self.flushWarnings()])
