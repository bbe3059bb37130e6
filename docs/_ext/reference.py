"""Sphinx extension: links between the pages, the docstrings and the annotations of netproc.

* A name in backquotes, such as `lines`, is code.  If the reference describes a public name of the package or of the
  class at hand with these letters, the code is a link to it.
* A type in an annotation is a link if it is public.  Otherwise it is text.
"""

from __future__ import annotations

import linecache
import pydoc
import re
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxRole
from twisted.internet import interfaces
from zope.interface.interface import InterfaceClass

from netproc.net.interfaces import INetprocReactor

#: The modules whose names are public.
DOORS = ("netproc", "netproc.endpoints", "netproc.service", "netproc.testing")

#: Types that annotations cannot name with their modules.
ALIASES = {"Ask", "Filter", "IReactorTime", "Sentinel"}


class NameRole(SphinxRole):
    """Code that is a link if it is a name that the reference describes."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return the code, in a reference that may find nothing."""
        # Code has its backslashes, which `text` has not.
        text = self.rawtext.partition("`")[2].removesuffix("`")
        code = nodes.literal(self.rawtext, text, classes=["code"])
        if not re.fullmatch(r"\w+(\.\w+)*", text):
            return [code], []
        context = {key: self.env.ref_context.get(key) for key in ("py:module", "py:class")}
        reference = pending_xref(
            self.rawtext,
            code,
            refdomain="py",
            reftype="obj",
            reftarget=text,
            refdoc=self.env.docname,
            refexplicit=False,
            may_be_missing=True,
            **context,
        )
        return [reference], []


def resolve(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement
) -> nodes.Element | None:
    """Find what NODE refers to, or leave its CONTENT as it is if nothing need be found."""
    target: str = node.get("reftarget", "")
    if node.get("may_be_missing"):
        return content
    if node.get("refdomain") != "py" or not (target.startswith("netproc.") or target in ALIASES):
        return None
    name = target.rpartition(".")[2]
    for door in DOORS:
        found = env.domains.python_domain.resolve_xref(
            env, node["refdoc"], app.builder, "obj", f"{door}.{name}", node, content
        )
        if found is not None:
            return found
    is_private = target in ALIASES or pydoc.locate(target) is not None
    return content if is_private else None


def describe_constant(
    app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    """Leave the description of a constant to the page: its docstring is that of its type."""
    if what == "data":
        lines.clear()


def prepare_annotations() -> None:
    """Let Sphinx show the types and defaults of signatures as a reader would write them."""
    # Sphinx names a type by this attribute, which interfaces of zope.interface do not have.
    for interface in (INetprocReactor, *vars(interfaces).values()):
        if isinstance(interface, InterfaceClass):
            interface.__qualname__ = interface.__name__
    # With the source of a generated function, Sphinx shows the expressions of the generator.
    for file in [file for file in linecache.cache if file.startswith("<attrs generated")]:
        del linecache.cache[file]


def setup(app: Sphinx) -> dict[str, Any]:
    """Sphinx calls this."""
    prepare_annotations()
    app.add_role("name", NameRole())
    app.connect("missing-reference", resolve)
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("autodoc-process-docstring", describe_constant)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
