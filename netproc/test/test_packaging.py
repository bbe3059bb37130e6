"""Twisted finds the plugin, it imports nothing, and the packages are those in setup.cfg."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys

from twisted.application.service import IServiceMaker
from twisted.internet.interfaces import (
    IStreamClientEndpointStringParserWithReactor,
    IStreamServerEndpointStringParser,
)
from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase

import netproc
from netproc.test.support.base import PATIENCE
from netproc.test.support.checkout import checkout
from netproc.test.support.programs import environment


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    """Run CODE in a fresh interpreter; return the process, which has ended."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


class PluginTests(SynchronousTestCase):
    def test_twistd_finds_one_command(self) -> None:
        found = [p for p in getPlugins(IServiceMaker) if p.tapname == "netproc"]
        self.assertEqual(["netproc.commands.tap"], [plugin.module for plugin in found])

    def test_twisted_finds_the_endpoints(self) -> None:
        for interface, prefixes in (
            (IStreamClientEndpointStringParserWithReactor, ["netproc", "starttls"]),
            (IStreamServerEndpointStringParser, ["netproc"]),
        ):
            modules = {plugin.prefix: type(plugin).__module__ for plugin in getPlugins(interface)}
            ours = [p for p, m in modules.items() if m == "twisted.plugins.netproc_endpoints"]
            self.assertEqual(prefixes, sorted(ours))

    def test_the_plugin_files_import_nothing_of_netproc(self) -> None:
        code = (
            "import sys; from twisted.plugin import getPlugins\n"
            "from twisted.application.service import IServiceMaker\n"
            "list(getPlugins(IServiceMaker)); import twisted.plugins.netproc_plugin\n"
            "import twisted.plugins.netproc_endpoints\n"
            "print([n for n in sys.modules if n.startswith('netproc')])\n"
        )
        self.assertEqual("[]\n", run_python(code).stdout)

    def test_importing_netproc_installs_no_reactor(self) -> None:
        for module in ("netproc", "netproc.commands.tap", "netproc.filters"):
            code = f"import sys, {module}; print('twisted.internet.reactor' in sys.modules)"
            self.assertEqual("False\n", run_python(code).stdout)


class PlatformTests(SynchronousTestCase):
    def test_windows_is_refused_with_one_clear_line(self) -> None:
        code = "import sys; sys.platform = 'win32'; import netproc"
        done = run_python(code)
        expected = "ImportError: netproc does not run on Windows: it needs Linux, or macOS or a BSD"
        self.assertEqual((1, expected), (done.returncode, done.stderr.splitlines()[-1]))


class SetupTests(SynchronousTestCase):
    def test_packages_are_those_that_there_are(self) -> None:
        root = checkout()
        config = configparser.ConfigParser()
        config.read(os.path.join(root, "setup.cfg"))
        listed = set(config["options"]["packages"].split())
        found = {"twisted.plugins"}
        for directory, _, names in os.walk(os.path.join(root, "netproc")):
            if "__init__.py" in names:
                found.add(os.path.relpath(directory, root).replace(os.sep, "."))
        self.assertEqual(found, listed)

    def test_the_oldest_releases_are_those_that_are_allowed(self) -> None:
        root = checkout()
        config = configparser.ConfigParser()
        config.read(os.path.join(root, "setup.cfg"))
        needed = config["options"]["install_requires"] + config["options.extras_require"]["test"]
        allowed = dict(re.findall(r"^(\S+) >= (\S+)$", needed, re.MULTILINE))
        with open(os.path.join(root, ".ci", "oldest.txt")) as file:
            tried = dict(re.findall(r"^(\S+) == (\S+)$", file.read(), re.MULTILINE))
        self.assertEqual(allowed, tried)

    def test_the_plugin_directory_is_no_package(self) -> None:
        root = checkout()
        for directory in ("twisted", "twisted/plugins"):
            self.assertFalse(os.path.exists(os.path.join(root, directory, "__init__.py")))

    def test_version(self) -> None:
        self.assertRegex(netproc.__version__, r"\A\d+\.\d+\.\d+\Z")

    def test_types_are_shipped(self) -> None:
        directory = os.path.dirname(os.path.abspath(netproc.__file__))
        self.assertTrue(os.path.exists(os.path.join(directory, "py.typed")))
