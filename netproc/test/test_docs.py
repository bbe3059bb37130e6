"""The reference is about what there is.  From a checkout only."""

from __future__ import annotations

import dataclasses
import inspect
import os
import re

import attrs
from twisted.python.reflect import namedAny
from twisted.trial.unittest import SynchronousTestCase

import netproc
from netproc.commands.open import OpenOptions
from netproc.commands.tap import MakeOptions
from netproc.core import errors, options
from netproc.core.codecnames import CODECS
from netproc.making.make import KEYWORDS
from netproc.test.conformance.differences import DIFFERENCES
from netproc.test.conformance.test_scenarios import scenario_names
from netproc.test.test_layout import PACKAGE, modules
from netproc.test.test_packaging import checkout

TESTS = os.path.dirname(os.path.abspath(__file__))


def page(name: str) -> str:
    with open(
        os.path.join(checkout(), "docs", "reference", f"{name}.rst"), encoding="utf-8"
    ) as file:
        return file.read()


def test_modules() -> set[str]:
    return {name[:-3] for _, _, names in os.walk(TESTS) for name in names if name.endswith(".py")}


def rows(text: str) -> list[str]:
    """The first cell of each row of the list tables."""
    return re.findall(r"(?m)^   \* - (.+)$", text)


def numbers_in_the_source() -> set[str]:
    """Those by which the package and its tests refer to facts, promises and differences."""
    found: set[str] = set()
    for directory, _, names in os.walk(PACKAGE):
        for name in names:
            if name.endswith(".py"):
                with open(os.path.join(directory, name), encoding="utf-8") as file:
                    # Ruff's rules have numbers like these.
                    lines = [line.partition("# noqa")[0] for line in file]
                found.update(re.findall(r"\b[NPHFD]\d+\b", "".join(lines)))
    return found


class ReferenceTests(SynchronousTestCase):
    def test_every_keyword_is_there(self) -> None:
        text = page("make") + page("options")
        for keyword in KEYWORDS:
            self.assertIn(f"`{keyword}`", text)

    def test_every_option_is_there(self) -> None:
        for keyword in options.NAMES:
            self.assertIn(f"   * - `{keyword}`\n", page("options"))

    def test_every_coding_system_is_there(self) -> None:
        text = page("coding-systems")
        for name in CODECS:
            self.assertIn(f"`{name}`", text)

    def test_every_public_name_is_there(self) -> None:
        text = "".join(
            page(name[:-4]) for name in os.listdir(os.path.join(checkout(), "docs/reference"))
        )
        for name in set(netproc.__all__) - {"__version__"}:
            self.assertRegex(text, rf"\b{name}\b")

    def test_every_field_of_tls_parameters_is_there(self) -> None:
        for field in attrs.fields(netproc.TLSParameters):
            self.assertIn(f"      * - `{field.name}`\n", page("tls"))

    def test_every_name_of_boot_parameters_and_of_streams_is_there(self) -> None:
        _, _, boot = page("tls").partition("tls_boot_parameters(")
        for name in inspect.signature(netproc.tls_boot_parameters).parameters:
            self.assertRegex(boot.partition(")")[0], rf"\b{name}\b")
        _, _, stream = page("tls").partition("open_network_stream(")
        for name in inspect.signature(netproc.open_network_stream).parameters:
            self.assertRegex(stream, rf"\n      \* - .*`{name}`")

    def test_every_limit_is_there_with_its_default(self) -> None:
        for field in dataclasses.fields(netproc.Limits):
            row = f"      * - `{field.name}`\n        - {field.default:,}\n"
            self.assertIn(row, page("limits"))

    def test_every_error_is_there(self) -> None:
        found = re.findall(r"(?m)^[ |]+\+-- (\w+)", page("errors"))
        classes = [vars(errors)[name] for name in found]
        self.assertEqual(set(self.kinds(netproc.NetprocError)), set(classes))

    def kinds(self, error: type[BaseException]) -> list[type[BaseException]]:
        below = error.__subclasses__()
        return below + [kind for one in below for kind in self.kinds(one)]

    def test_the_options_of_the_commands_are_there(self) -> None:
        for name, command in (("twistd", MakeOptions()), ("open", OpenOptions())):
            first = re.findall(r"(?m)^   \* - (``--[^\n]*(?:\n       .*)*)", page(name))
            shown = re.findall(r"``--([\w-]+)``", " ".join(first))
            options = {option.rstrip("=") for option in command.longOpt}
            self.assertEqual(
                sorted(options - {"help", "version"}), sorted({*shown} - {"help", "version"})
            )
            self.assertEqual(len(shown), len({*shown}))

    def test_every_module_is_in_the_table_of_its_folder(self) -> None:
        """And the tables have no other modules."""
        tables = {}
        for table in page("../explanation/datapath").split(".. list-table:: ")[1:]:
            caption, _, rest = table.partition("\n")
            tables[caption] = {name for row in rows(rest) for name in row.split(", ")}
        found: dict[str, set[str]] = {}
        for module in modules():
            folder, _, name = module.rpartition(".")
            if name != "__init__":
                caption = folder.replace(".", "/") + "/" if folder else "the package"
                found.setdefault(caption, set()).add(name)
        self.assertEqual(found, tables)

    def test_every_number_in_the_source_is_explained(self) -> None:
        """And the page of numbers has none that is not used."""
        numbers = set(re.findall(r"\b[PHFN]\d+\b", " ".join(rows(page("../explanation/numbers")))))
        guarantees = set(re.findall(r"(?m)^P\d+$", page("../explanation/life")))
        differences = set(rows(page("../explanation/differences")))
        used = numbers_in_the_source()
        self.assertEqual(set(), used - numbers - guarantees - differences)
        self.assertEqual(set(), numbers - used)

    def test_the_count_of_scenarios(self) -> None:
        every = scenario_names()
        differing = len(DIFFERENCES)
        same = len(every) - differing
        text = " ".join(page("../explanation/differences").split())
        self.assertIn(f"Of the {len(every)} scenarios", text)
        self.assertIn(f"{same} are the same", text)
        self.assertIn(f"{differing} differ", text)

    def test_what_is_said_to_keep_the_promises_of_tls_exists(self) -> None:
        text = page("security")
        proofs = re.findall(r"\| ``(\S+)``", text)
        self.assertEqual(35, len(re.findall(r"\n   \* - \d+\n", text)))
        self.assertEqual(sum(map(text.count, ("``test_", "``real.", "``interop."))), len(proofs))
        for proof in proofs:
            self.assertIsNotNone(namedAny(f"netproc.test.{proof}"), proof)

    def test_what_is_said_to_prove_something_exists(self) -> None:
        scenarios, modules = scenario_names(), test_modules()
        rows = [row.split("\n     -") for row in page("emacs").split("\n   * - ")]
        proofs = [row[3].partition("\n")[0].strip() for row in rows if len(row) == 4]
        self.assertGreater(len(proofs), 40)
        for proof in ", ".join(filter(None, proofs)).split(", "):
            found = proof in modules or any(name.startswith(proof) for name in scenarios)
            self.assertTrue(found or proof == "Proof", proof)
