"""Sphinx settings: "make docs" builds the pages into docs/_build/html."""

import os
import sys

import netproc

project = "netproc"
author = "The netproc developers"
release = version = netproc.__version__
# What the foot of each page says.
copyright = f"the netproc developers. MIT licence. Documentation of netproc {version}"

exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"netproc {netproc.__version__}"
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["netproc.css"]

# The copy button takes the commands of a console block, without prompts and without what they print.
copybutton_prompt_text = "$ "
copybutton_line_continuation_character = "\\"
copybutton_selector = "div:not(.no-copy) > div.highlight > pre"

default_role = "name"
highlight_language = "python"
nitpicky = True
# Strings in running text are copied as they are.
smartquotes = False

# -- the reference ------------------------------------------------------------------------------

sys.path.append(os.path.join(os.path.dirname(__file__), "_ext"))
extensions = [
    "lifecycle",
    "reference",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]

# A bare name in a page, such as :py:func:`lines` or `lines`, is a public name of the package.
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
