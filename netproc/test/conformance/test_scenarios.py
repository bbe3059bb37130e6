"""A test for each scenario: netproc's trace must equal Emacs's, except for the listed differences."""

from __future__ import annotations

from twisted.internet import reactor
from twisted.internet.defer import Deferred

from netproc.test.conformance import differences
from netproc.test.conformance.compare import differences as compare
from netproc.test.conformance.files import golden, load, scenario_names
from netproc.test.conformance.notation import CallbackError
from netproc.test.conformance.runner import Runner
from netproc.test.support.base import NetprocTestCase


class ScenarioTests(NetprocTestCase):
    """One test for each scenario; the methods are made below."""

    async def check(self, name):
        scenario = load(name)
        got = await Runner(scenario, reactor).run()
        self.flushLoggedErrors(CallbackError)
        found = compare(scenario, golden(name), got)
        allowed = differences.DIFFERENCES.get(name, {})
        unlisted = [text for step, text in found if step not in allowed]
        self.assertEqual([], unlisted)
        gone = set(allowed) - {step for step, _ in found}
        self.assertEqual(set(), gone, "these listed differences are no more")


def _add_test(name):
    scenario = load(name)

    def test(self):
        return Deferred.fromCoroutine(self.check(name))

    test.__doc__ = scenario["about"]
    setattr(ScenarioTests, "test_" + name.replace("-", "_"), test)


for _name in scenario_names():
    _add_test(_name)
