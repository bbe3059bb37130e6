"""The reference describes what exists, and all of it.  From a checkout only."""

from __future__ import annotations

import dataclasses
import inspect
import os
import pydoc
import re
from collections.abc import Callable

import attrs
from twisted.python.reflect import namedAny
from twisted.trial.unittest import SynchronousTestCase

import netproc
import netproc.endpoints
import netproc.filters
import netproc.service
import netproc.testing
from netproc.commands.table import COMMANDS
from netproc.core import errors, options
from netproc.core.codecnames import CODECS
from netproc.core.dialects import DIALECTS
from netproc.core.trust import _CHECKS, UNENCRYPTED
from netproc.test.conformance.differences import DIFFERENCES
from netproc.test.conformance.files import scenario_names
from netproc.test.support.checkout import PACKAGE, checkout, modules

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
    """The numbers by which the package and its tests refer to facts, promises and differences."""
    found: set[str] = set()
    for directory, _, names in os.walk(PACKAGE):
        for name in names:
            if name.endswith(".py"):
                with open(os.path.join(directory, name), encoding="utf-8") as file:
                    # Ruff's rules have numbers like these.
                    lines = [line.partition("# noqa")[0] for line in file]
                found.update(re.findall(r"\b[NPHFD]\d+\b", "".join(lines)))
    return found


def documented() -> list[str]:
    """The objects whose docstrings the reference includes, by the import paths in its directives."""
    found = []
    for name in os.listdir(os.path.join(checkout(), "docs/reference")):
        directives = re.findall(r"(?m)^\.\. auto\w+:: ([\w.]+).*\n((?: +:.*\n)*)", page(name[:-4]))
        for path, fields in directives:
            members = re.findall(r":members: (.+)", fields)
            found += [
                path,
                *(f"{path}.{member}" for line in members for member in line.split(", ")),
            ]
    return found


def described(thing: Callable[..., object], section: str = "Args") -> list[str]:
    """The names that SECTION of THING's docstring describes: the parameters of a function, the fields of a class."""
    _, _, text = inspect.cleandoc(thing.__doc__ or "").partition(f"\n{section}:\n")
    # The section ends where the indentation does.
    return re.findall(r"(?m)^    (\w+): \S", re.split(r"(?m)^\S", text)[0])


class DocstringTests(SynchronousTestCase):
    """The reference of classes and functions is their docstrings."""

    def test_what_is_public_is_documented_once(self) -> None:
        found = documented()
        self.assertEqual(sorted({*found}), sorted(found))
        there = {path.removeprefix("netproc.") for path in found if path.count(".") == 1}
        self.assertEqual({*netproc.__all__}, there)

    def test_a_process_has_no_other_public_names(self) -> None:
        prefix = "netproc.NetworkProcess."
        found = {path.removeprefix(prefix) for path in documented() if path.startswith(prefix)}
        found.update(described(netproc.NetworkProcess, "Attributes"))
        self.assertEqual(
            {name for name in dir(netproc.NetworkProcess) if not name.startswith("_")}, found
        )

    def test_what_the_front_doors_have_is_documented(self) -> None:
        found = {*documented()}
        for door in (netproc.endpoints, netproc.filters, netproc.service, netproc.testing):
            # A front door may also export a public name of the package.
            own = {f"{door.__name__}.{name}" for name in {*door.__all__} - {*netproc.__all__}}
            self.assertEqual(
                own, {path for path in found if path.rpartition(".")[0] == door.__name__}
            )

    def test_every_parameter_is_described(self) -> None:
        """The docstring has them in the order of the signature."""
        for path in documented():
            function = namedAny(path)
            if inspect.isfunction(function):
                parameters = [*inspect.signature(function).parameters]
                if parameters[:1] == ["self"]:
                    del parameters[0]
                self.assertEqual(parameters, described(function), path)

    def test_every_field_of_tls_parameters_is_described(self) -> None:
        fields = [field.name for field in attrs.fields(netproc.TLSParameters)]
        self.assertEqual(sorted(fields), sorted(described(netproc.TLSParameters)))

    def test_no_number_of_the_source_is_in_what_users_read(self) -> None:
        texts = {path: inspect.getdoc(namedAny(path)) or "" for path in documented()}
        for name in os.listdir(os.path.join(checkout(), "docs/reference")):
            texts[name] = page(name[:-4])
        for name, text in texts.items():
            self.assertEqual([], re.findall(r"\b[NPHFD]\d+\b", text), name)

    def test_the_names_of_other_projects_exist(self) -> None:
        """Links to their documentation come from lists that are kept by hand."""
        directory = os.path.join(checkout(), "docs/inventories")
        for inventory in os.listdir(directory):
            with open(os.path.join(directory, inventory), encoding="utf-8") as file:
                names = [line.split()[0] for line in file if not line.startswith("#")]
            self.assertEqual(sorted({*names}), names, inventory)
            for name in names:
                self.assertIsNotNone(pydoc.locate(name), name)


class ReferenceTests(SynchronousTestCase):
    def test_every_option_is_there(self) -> None:
        for keyword in options.NAMES:
            self.assertIn(f"   * - `{keyword}`\n", page("options"))

    def test_every_coding_system_is_there(self) -> None:
        text = page("coding-systems")
        for name in CODECS:
            self.assertIn(f"`{name}`", text)

    def test_every_condition_of_the_security_manager_is_there(self) -> None:
        text = page("security-manager")
        for condition in {check.condition for check in _CHECKS} | {UNENCRYPTED}:
            self.assertIn(f'"{condition}"', text)

    def test_every_limit_is_there_with_its_default(self) -> None:
        for field in dataclasses.fields(netproc.Limits):
            row = f"   * - `{field.name}`\n     - {field.default:,}\n"
            self.assertIn(row, page("limits"))

    def test_every_error_is_there(self) -> None:
        found = re.findall(r"(?m)^[ |]+\+-- (\w+)", page("errors"))
        classes = [vars(errors)[name] for name in found]
        self.assertEqual(set(self.kinds(netproc.NetprocError)), set(classes))

    def kinds(self, error: type[BaseException]) -> list[type[BaseException]]:
        below = error.__subclasses__()
        return below + [kind for one in below for kind in self.kinds(one)]

    def test_the_options_of_the_commands_are_there(self) -> None:
        pages = {"make": "twistd"}
        for row in COMMANDS:
            command = row.options()
            text = page(pages.get(row.name, row.name))
            self.assertIn(f"\n   netproc {row.name} ", text)
            first = re.findall(r"(?m)^   \* - (``--[^\n]*(?:\n       .*)*)", text)
            shown = re.findall(r"``--([\w-]+)``", " ".join(first))
            options = {option.rstrip("=") for option in command.longOpt}
            self.assertEqual(
                sorted(options - {"help", "version"}), sorted({*shown} - {"help", "version"})
            )
            self.assertEqual(len(shown), len({*shown}))

    def test_every_dialect_is_there(self) -> None:
        named = inspect.getdoc(netproc.open_network_stream) or ""
        for name in DIALECTS:
            self.assertRegex(page("open"), rf"\b{name}\b")
            self.assertIn(f'"{name}"', named)

    def test_every_module_is_in_the_table_of_its_folder(self) -> None:
        """The tables name no other modules."""
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
        """Each number on the page of numbers is used."""
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
        self.assertEqual(35, len(re.findall(r"\n\d+\. ", text)))
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
