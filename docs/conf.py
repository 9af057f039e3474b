"""How Sphinx builds the documentation: `make docs`, into site/html/, without the network."""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "mtfast"
author = "The mtfast developers"
copyright = author  # noqa: A001 - Sphinx's name
version = release = version_of("mtfast")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "command_pages",
    "public_names",
]
exclude_patterns = ["_ext", "_static"]

# Options are written with two hyphens.
smartquotes = False
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
# Notebooks are run by `make test-docs`; the pages show the outputs that are in the files.
nb_execution_mode = "off"
nb_merge_streams = True

autodoc_member_order = "groupwise"
autodoc_typehints = "none"
# The pages are the same on machines without PyTorch and a GPU.
autodoc_mock_imports = ["torch", "torchvision", "detectron2", "cuda", "numba_cuda"]
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
napoleon_preprocess_types = False

html_theme = "furo"
html_title = "mtfast"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}
# Of blocks without a language: trees and drawings of text.
highlight_language = "text"
pygments_style = "friendly"
pygments_dark_style = "github-dark"
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True
