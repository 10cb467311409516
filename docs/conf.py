"""Sphinx's configuration: `make docs` builds the site into docs/_build/html, without a network."""

import os
import sys
import warnings
from pathlib import Path

_DOCS = Path(__file__).parent
sys.path[:0] = [str(_DOCS / "_extensions"), str(_DOCS.parent)]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import matplotlib as mpl

mpl.use("agg")

from documented import documented_members, inherited_methods
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 - the gallery reads base classes

import kerashp
from kerashp.training import FallbackWarning

# An example in which this happens has to be mended.
for category in (ConvergenceWarning, FallbackWarning, FitFailedWarning):
    warnings.simplefilter("error", category)

project = "kerashp"
author = "The kerashp developers"
copyright = "the kerashp developers"
version = release = kerashp.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "docstring_markup",
    "public_names",
]
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}
exclude_patterns = ["_build", "_inventories", "**/README.md", "gallery/*"]
templates_path = ["_templates"]
suppress_warnings = ["config.cache"]  # functions among the settings below

# A reference that cannot be resolved is a warning, and the build treats warnings as errors.
nitpicky = True

# Text in single backquotes of a docstring: code, which `public_names` links where it names something public.
default_role = "code"
autodoc_preserve_defaults = True  # as they are written, not their repr

# Pages in Markdown: headings are targets of links.
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

# Reference.
autosummary_generate = True
autosummary_context = {"documented_members": documented_members, "inherited_methods": inherited_methods}
autodoc_typehints = "none"  # the docstrings have the types
autodoc_member_order = "bysource"
numpydoc_show_class_members = False  # the templates list them
numpydoc_xref_param_type = False

# The inventories of other projects are files of this repository: `_inventories/make.py` writes them.
intersphinx_mapping = {
    name: (url, f"_inventories/{name}.inv")
    for name, url in {
        "joblib": "https://joblib.readthedocs.io/en/stable/",
        "keras": "https://keras.io/",
        "numpy": "https://numpy.org/doc/stable/",
        "scipy": "https://docs.scipy.org/doc/scipy/",
        "sklearn": "https://scikit-learn.org/stable/",
    }.items()
}

sphinx_gallery_conf = {
    "examples_dirs": ["gallery"],
    "gallery_dirs": ["auto_gallery"],
    "backreferences_dir": "reference/generated/backreferences",
    "doc_module": ("kerashp",),
    "reference_url": {"kerashp": None},
    "within_subsection_order": "gallery_order.GalleryOrder",
    "download_all_examples": False,
    "show_signature": False,
    "show_memory": False,
    "remove_config_comments": True,
    "reset_modules": ("matplotlib",),  # plots of Optuna set a style
    "plot_gallery": "True",
    "copyfile_regex": r".*\.rst",
    "matplotlib_animations": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "kerashp"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "kerashp"},
    "github_url": "https://github.com/kerashp/kerashp",
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "header_links_before_dropdown": 6,
    "footer_start": ["copyright"],
    "footer_end": [],
}
