"""The base test case: a deprecated call of netproc's is an error, one of a test's or of somebody else's is not."""

from __future__ import annotations

import warnings
from typing import Any

from netproc.test.support.base import NetprocTestCase


def caller(module: str) -> Any:
    """A function of MODULE that calls what is deprecated."""
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
