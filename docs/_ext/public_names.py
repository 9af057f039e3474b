"""The directive ``public-names``, and a warning for each public name that no page documents.

::

    ```{public-names} mtfast.mask
    ```

documents every name in ``__all__`` of the module, and

    ```{public-names} mtfast
    open open_source
    ```

only those. The text comes from the docstrings.
"""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from typing import Any, ClassVar

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.ext.autodoc.mock import _MockObject, mock
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

logger = logging.getLogger(__name__)

MODULES = (
    "mtfast",
    "mtfast.mask",
    "mtfast.loaders",
    "mtfast.loaders.torch",
    "mtfast.loaders.gpu",
    "mtfast.gpu",
    "mtfast.synth",
)
"""Modules whose ``__all__`` is public."""


# Types of arguments such as `Tensor | int` are made when a module is imported.
_MockObject.__or__ = _MockObject.__ror__ = lambda self, other: self


def names_of(module: str, mocked: list[str]) -> list[str]:
    """Return the public names of a module; modules among them have pages of their own."""
    with mock(mocked):
        loaded = import_module(module)
        return [n for n in loaded.__all__ if not inspect.ismodule(getattr(loaded, n))]


class PublicNames(SphinxDirective):
    """Document names of a module."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {}

    def run(self) -> list[nodes.Node]:
        """Return what autodoc makes of each name."""
        module = self.arguments[0]
        mocked = self.config.autodoc_mock_imports
        names = " ".join(self.content).split() or names_of(module, mocked)
        lines = ["```{eval-rst}"]
        for name in names:
            with mock(mocked):
                value = getattr(import_module(module), name)
            lines += ["", f".. {kind_of(value)}:: {module}.{name}"]
            if inspect.isclass(value):
                lines += ["   :members:"]
                lines += ["   :show-inheritance:"] if issubclass(value, Exception) else []
        return self.parse_text_to_nodes("\n".join([*lines, "```"]))


def kind_of(value: Any) -> str:
    """Return autodoc's directive for a value."""
    if inspect.isclass(value):
        return "autoexception" if issubclass(value, Exception) else "autoclass"
    return "autofunction" if callable(value) else "autodata"


def find_missing(app: Sphinx, env: BuildEnvironment) -> None:
    """Warn of public names without a page."""
    documented = env.domains.python_domain.objects
    for module in MODULES:
        for name in names_of(module, app.config.autodoc_mock_imports):
            if f"{module}.{name}" not in documented:
                logger.warning("%s.%s is public; expected a page with it", module, name)


def link_documents(app: Sphinx, *args: Any) -> None:
    """Turn names such as docs/FORMAT.md in a docstring into links."""
    lines = args[-1]
    lines[:] = [re.sub(r"\bdocs/([A-Z]+)\.md", r":doc:`/\1`", line) for line in lines]


def unlink_words(app: Sphinx, doctree: nodes.document) -> None:
    """Keep words from being links: in types of arguments, shapes such as (n_images,)."""
    for reference in list(doctree.findall(addnodes.pending_xref)):
        if reference.get("refspecific") and not reference["reftarget"].split(".")[-1][0].isupper():
            reference.replace_self(reference.children)
    # Nor do addresses that stand for others, such as tcp://HOST:PORT, lead anywhere.
    for reference in list(doctree.findall(nodes.reference)):
        if reference.get("refuri", "").startswith(("tcp:", "tls:", "s3:")):
            reference.replace_self(reference.children)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.add_directive("public-names", PublicNames)
    app.connect("autodoc-process-docstring", link_documents)
    app.connect("doctree-read", unlink_words)
    app.connect("env-check-consistency", find_missing)
    return {"parallel_read_safe": True, "version": "1"}
