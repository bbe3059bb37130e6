"""The structure: modules import only from lower floors, without circles, and no file is too long."""

from __future__ import annotations

import ast
import inspect
import os
import re
from functools import cache
from types import FunctionType

from twisted.trial.unittest import SynchronousTestCase

import netproc
import netproc.endpoints
import netproc.filters
import netproc.testing
from netproc.test.support.checkout import PACKAGE, modules

#: Floor 0 has values and machines only: no Twisted, no I/O, no clock.
NOT_IN_CORE = {
    "OpenSSL",
    "asyncio",
    "select",
    "selectors",
    "ssl",
    "threading",
    "time",
    "twisted",
    "zope",
}
#: Constants and conversions of addresses are values.
SOCKET_IN_CORE = {"core.address", "core.options", "core.spec"}

#: What applications import besides `netproc` itself.  These modules re-export names, and stand above all floors.
FRONT_DOORS = {"", "__main__", "service", "endpoints", "testing"}
#: Values that no room owns.
CELLAR = {"_platform", "_version"}

#: The attributes of a process that are its parts, but for its lifecycle.
PARTS = {"_input", "_insertion", "_output"}

MOST_LINES = 600


@cache
def test_files() -> list[str]:
    """The paths of all modules in `test/`."""
    return [
        os.path.join(directory, name)
        for directory, _, names in os.walk(os.path.join(PACKAGE, "test"))
        for name in names
        if name.endswith(".py")
    ]


@cache
def tree(path: str) -> ast.Module:
    with open(path, encoding="utf-8") as file:
        return ast.parse(file.read())


def is_for_types_only(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    )


@cache
def imports(module: str, types_too: bool = True) -> set[str]:
    """What a module imports; names of netproc begin with a dot: ".core.spec"."""
    found: set[str] = set()
    package = module.split(".")[:-1]
    pending: list[ast.AST] = [tree(modules()[module])]
    while pending:
        node = pending.pop()
        if is_for_types_only(node) and not types_too:
            continue
        pending.extend(ast.iter_child_nodes(node))
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module or "")
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1]
            base += node.module.split(".") if node.module else []
            for alias in node.names:
                # "from .core import options" imports a module, "from .options import pack" a name.
                name = ".".join([*base, alias.name])
                found.add("." + (name if name in modules() else ".".join(base)))
    return found


@cache
def neighbours(module: str, types_too: bool = True) -> set[str]:
    """The modules of netproc that a module imports."""
    return {n[1:] for n in imports(module, types_too) if n.startswith(".") and n[1:] in modules()}


def named(module: str) -> list[str]:
    """The files and folders that the docstring of a module names: `input.py`, `net/stream.py`, `net/opening/`.

    A word such as `contexts` counts too if the folder of the module has a module of that name.  A name with
    "(at run time)" after it does not count: the two work together, but no import joins them.
    """
    doc = ast.get_docstring(tree(modules()[module])) or ""
    names: list[str] = re.findall(r"`([\w/]+(?:\.py|/)?)`(?!\s\(at\srun\stime\))", doc)
    return [name for name in names if name.endswith((".py", "/")) or meant(module, name)]


def meant(module: str, name: str) -> set[str]:
    """The modules that NAME stands for in the docstring of a module: one, or all of a folder, or none.

    A name without a folder is that of a module in the same folder, or else at the top.
    """
    dotted = name.removesuffix(".py").replace("/", ".")
    if name.endswith("/"):
        return {found for found in modules() if found.startswith(dotted)}
    beside = ".".join([*module.split(".")[:-1], dotted])
    return {beside if beside in modules() else dotted} & modules().keys() - {module}


def is_neighbour(module: str, name: str) -> bool:
    """Whether a module imports what NAME stands for, or the other way round; a folder may also name what is in it."""
    others = meant(module, name)
    if module.endswith("__init__"):
        return bool(others)
    return bool(neighbours(module) & others) or any(module in neighbours(o) for o in others)


def is_used_outside(module: str, name: str) -> bool:
    """Whether NAME is a file of Twisted plugins or of the documentation that uses the room of a module."""
    top = os.path.dirname(PACKAGE)
    if name.startswith("docs/") and not os.path.isdir(os.path.join(top, "docs")):
        return True  # netproc is installed without its documentation
    path = os.path.join(top, name)
    if not (name.startswith(("docs/", "twisted/plugins/")) and os.path.exists(path)):
        return False
    with open(path, encoding="utf-8") as file:
        return re.search(rf"\bnetproc\.{room(module)}\b", file.read()) is not None


def room(module: str) -> str:
    """The folder at the top that a module is in; a front door is its own room."""
    return module.partition(".")[0]


def floor(module: str) -> int:
    """The number that the docstring of the room begins with; front doors stand above all."""
    if module in CELLAR:
        return -1
    if room(module) in FRONT_DOORS or module == "__init__":
        return 100
    doc = ast.get_docstring(tree(modules()[f"{room(module)}.__init__"])) or ""
    found = re.match(r"Floor (\d+): ", doc)
    assert found, f"the docstring of {room(module)}/ does not begin with its floor"
    return int(found[1])


class LayoutTests(SynchronousTestCase):
    def test_imports_look_to_their_own_floor_or_down(self) -> None:
        for module in modules():
            for name in neighbours(module):
                self.assertLessEqual(floor(name), floor(module), f"{module} imports {name}")

    def test_no_module_has_the_name_of_a_public_function(self) -> None:
        """`netproc.NAME` is then never a module at one time and a function at another."""
        doors = (netproc, netproc.endpoints, netproc.filters, netproc.testing)
        functions = {name for door in doors for name in door.__all__ if callable(vars(door)[name])}
        for module in modules():
            self.assertEqual(set(), functions & set(module.split(".")), module)

    def test_netproc_has_no_public_names_but_its_own(self) -> None:
        public = {name for name in vars(netproc) if not name.startswith("_")}
        rooms = {name.partition(".")[0] for name in modules()} | {"test"}
        self.assertEqual(set(netproc.__all__) - {"__version__"}, public - rooms)

    def test_there_is_no_circle(self) -> None:
        graph = {module: neighbours(module, types_too=False) for module in modules()}
        while graph:
            leaves = {module for module, below in graph.items() if not below & graph.keys()}
            self.assertTrue(leaves, f"a circle among {sorted(graph)}")
            graph = {m: below for m, below in graph.items() if m not in leaves}

    def test_only_its_own_room_touches_the_parts_of_a_process(self) -> None:
        """Other rooms call the process, or its lifecycle, which owns the channel."""
        for module, path in modules().items():
            for node in ast.walk(tree(path)):
                if isinstance(node, ast.Attribute) and node.attr in PARTS:
                    own = isinstance(node.value, ast.Name) and node.value.id == "self"
                    self.assertTrue(own or room(module) == "process", f"{module} uses {node.attr}")

    def test_the_ground_floor_is_pure(self) -> None:
        for module in modules():
            if room(module) == "core":
                outside = {name.split(".")[0] for name in imports(module)}
                self.assertEqual(set(), outside & NOT_IN_CORE, module)
                if "socket" in outside:
                    self.assertIn(module, SOCKET_IN_CORE)

    def test_only_one_place_knows_the_installed_reactor(self) -> None:
        for module, path in modules().items():
            for node in ast.walk(tree(path)):
                if isinstance(node, ast.ImportFrom) and node.module == "twisted.internet":
                    names = {alias.name for alias in node.names}
                    if "reactor" in names:
                        self.assertEqual("net.interfaces", module)
                        self.assertNotIn(node, tree(path).body)

    def test_no_file_is_too_long(self) -> None:
        for path in [*modules().values(), *test_files()]:
            with open(path, encoding="utf-8") as file:
                self.assertLessEqual(len(file.readlines()), MOST_LINES, path)

    def test_every_module_says_its_job(self) -> None:
        for module, path in modules().items():
            doc = ast.get_docstring(tree(path))
            self.assertTrue(doc, module)
            assert doc is not None
            if not module.endswith("__init__") and module != "_version":
                self.assertIn("\n\n", doc, f"{module} does not say where its data comes from")

    def test_no_test_module_imports_another(self) -> None:
        """What they share is in `test/support/`; a test case that is imported would run twice."""
        for path in test_files():
            for node in ast.walk(tree(path)):
                if isinstance(node, ast.ImportFrom):
                    names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
                elif isinstance(node, ast.Import):
                    names = [part for alias in node.names for part in alias.name.split(".")]
                else:
                    continue
                if "netproc" in names or (isinstance(node, ast.ImportFrom) and node.level):
                    self.assertEqual([], [n for n in names if n.startswith("test_")], path)

    def test_public_classes_explain_their_methods(self) -> None:
        for name in netproc.__all__:
            public = getattr(netproc, name)
            if inspect.isclass(public):
                for member, value in vars(public).items():
                    if not member.startswith("_") and isinstance(value, (FunctionType, property)):
                        self.assertTrue(inspect.getdoc(value), f"{name}.{member}")

    def test_docstrings_name_true_neighbours(self) -> None:
        wrong = [
            f"{module}: {name}"
            for module in modules()
            for name in named(module)
            if not (is_neighbour(module, name) or is_used_outside(module, name))
        ]
        if wrong:
            self.fail("named, but not joined by an import:\n" + "\n".join(wrong))

    def test_tests_wait_for_conditions(self) -> None:
        """Only the base test case lets time pass, and the player of scenarios, which says when Emacs is quiet."""
        for path in test_files():
            if not path.endswith((os.path.join("support", "base.py"), "runner.py")):
                for node in ast.walk(tree(path)):
                    if isinstance(node, ast.ImportFrom) and node.module == "twisted.internet.task":
                        self.assertNotIn("deferLater", [alias.name for alias in node.names], path)

    def test_async_tests_are_in_cases_that_run_them(self) -> None:
        """An async test of a SynchronousTestCase passes without running."""
        for path in test_files():
            self.check_async_tests(path)

    def check_async_tests(self, path: str) -> None:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ClassDef):
                bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
                if "SynchronousTestCase" in bases:
                    for item in node.body:
                        is_async = isinstance(item, ast.AsyncFunctionDef)
                        self.assertFalse(is_async, f"{path}: {node.name}")
