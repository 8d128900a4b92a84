"""Sphinx settings: `python -m sphinx -W -b html docs build/site` builds the documents, without a network."""

import zlib
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).parent


def stored_inventory(name: str) -> str:
    """The objects.inv of another project, made from the names listed in docs/intersphinx/NAME.txt."""
    title, *entries = (HERE / "intersphinx" / f"{name}.txt").read_text().splitlines()
    head = f"# Sphinx inventory version 2\n# Project: {title}\n# Version: \n# The remainder is compressed using zlib.\n"
    target = HERE.parent / "build" / "intersphinx" / f"{name}.inv"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(head.encode() + zlib.compress("".join(f"{entry}\n" for entry in entries).encode()))
    return str(target)


project = "hbm_fast"
author = "the hbm_fast developers"
release = version = metadata.version("hbm-fast")
urls = dict(entry.split(", ", 1) for entry in metadata.metadata("hbm-fast").get_all("Project-URL") or [])
extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",  # copies MathJax into the site, so that formulas need no network
    "numpydoc",
    "myst_nb",
    "sphinx_design",
    "sphinx_copybutton",
]
exclude_patterns = ["question_two/*.safetensors"]
nitpicky = True  # a reference that leads nowhere is a warning, and -W makes it an error

# The code of every page runs when the documents are built, and an error ends the build.
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the numpydoc sections state the types in words
numpydoc_show_class_members = False
maximum_signature_line_length = 80

intersphinx_mapping = {
    "python": ("https://docs.python.org/3/", stored_inventory("python")),
    "numpy": ("https://numpy.org/doc/stable/", stored_inventory("numpy")),
}

html_theme = "pydata_sphinx_theme"
html_title = f"hbm_fast {version}"
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["page.css"]
html_theme_options = {
    "navbar_end": ["theme-switcher", "navbar-icon-links"],
    "icon_links": [
        {"name": name, "url": url, "icon": "fa-brands fa-github"} for name, url in urls.items() if name == "Repository"
    ],
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "navigation_with_keys": False,
}
