"""Sphinx settings: "make docs" builds the pages into docs/_build/html."""

import linecache
import os
import pydoc
import sys

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from twisted.internet import interfaces
from zope.interface.interface import InterfaceClass

import netproc
from netproc.net.interfaces import INetprocReactor

project = "netproc"
author = "The netproc developers"
release = version = netproc.__version__
# What the foot of each page says.
copyright = f"the netproc developers. MIT licence. Documentation of netproc {version}"

exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"netproc {netproc.__version__}"
html_copy_source = False

# The copy button takes the commands of a console block, without prompts and without what they print.
copybutton_prompt_text = "$ "
copybutton_line_continuation_character = "\\"
copybutton_selector = "div:not(.no-copy) > div.highlight > pre"

default_role = "code"
highlight_language = "python"
nitpicky = True

# -- the reference ------------------------------------------------------------------------------

sys.path.append(os.path.join(os.path.dirname(__file__), "_ext"))
extensions = [
    "lifecycle",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]

# A bare name in a page, such as :py:func:`lines`, is a public name of the package.
rst_prolog = ".. py:currentmodule:: netproc\n"
add_module_names = False
python_maximum_signature_line_length = 88

# The signature has the defaults; the types stand beside the descriptions of the parameters.
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False

# The source of a public name is in the module that defines it, and not in netproc/__init__.py.
viewcode_follow_imported_members = True

# The inventories are short lists of the names that the pages use, so that a build needs no network.
intersphinx_mapping = {
    "python": ("https://docs.python.org/3", "inventories/python.txt"),
    "twisted": ("https://docs.twisted.org/en/stable/api", "inventories/twisted.txt"),
    "pyopenssl": ("https://www.pyopenssl.org/en/stable", "inventories/pyopenssl.txt"),
}

# Without their source, autodoc shows the defaults of generated functions by their values.
for name in [name for name in linecache.cache if name.startswith("<attrs generated")]:
    del linecache.cache[name]

# Sphinx names a type in an annotation by this attribute, which interfaces of zope.interface do not have.
for interface in (INetprocReactor, *vars(interfaces).values()):
    if isinstance(interface, InterfaceClass):
        interface.__qualname__ = interface.__name__


# Where names are public.  Elsewhere they are private.
DOORS = ("netproc", "netproc.endpoints", "netproc.service")
# Types that annotations cannot name with their modules.
ALIASES = {"Ask", "Filter", "Sentinel"}


def resolve_our_own(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, contnode: nodes.TextElement
) -> nodes.Element | None:
    """Link a public name that an annotation gives with its module; leave a private one as text."""
    target: str = node.get("reftarget", "")
    if node.get("refdomain") != "py" or not (target.startswith("netproc.") or target in ALIASES):
        return None
    name = target.rpartition(".")[2]
    for door in DOORS:
        found = env.domains.python_domain.resolve_xref(
            env, node["refdoc"], app.builder, "obj", f"{door}.{name}", node, contnode
        )
        if found is not None:
            return found
    return contnode if target in ALIASES or hasattr(pydoc.locate(target), "__name__") else None


def setup(app: Sphinx) -> None:
    """Sphinx calls this."""
    app.connect("missing-reference", resolve_our_own)
