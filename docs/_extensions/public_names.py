"""Sphinx extension: code in running text that names something public becomes a link.

Docstrings and pages write `RandomizedSearchCV` or `Population.train` as code. At the end of the build, such a
piece of code is looked up among the objects of the reference (by the end of its name, where that is
unambiguous), and among those of the inventories (by its whole name). What is not found remains code, without
a warning.
"""

import re
from functools import lru_cache
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.ext.intersphinx import InventoryAdapter
from sphinx.transforms import SphinxTransform
from sphinx.util.nodes import make_refnode

_TYPE = "public-name"
_NAME = re.compile(r"@?([A-Za-z_]\w*(?:\.\w+)*)(\(\))?")
_AMBIGUOUS = frozenset({"fit", "kerashp"})  # a docstring means the method; the package is everywhere


class PublicNames(SphinxTransform):
    """Marks each piece of code that is a name; `_resolve` decides whether it is a link."""

    default_priority = 900

    def apply(self, **_: Any) -> None:
        for literal in list(self.document.findall(nodes.literal)):
            name = _NAME.fullmatch(literal.astext())
            if name is None or _within_link_or_title(literal):
                continue
            reference = addnodes.pending_xref(
                "", refdomain="", reftype=_TYPE, reftarget=name[1], refexplicit=False, refwarn=False
            )
            reference["refdoc"] = self.env.docname
            literal.replace_self(reference)
            reference += literal


def _within_link_or_title(node: nodes.Element) -> bool:
    parents = (nodes.reference, nodes.title, nodes.term, addnodes.pending_xref, addnodes.desc_signature)
    while node.parent is not None:
        node = node.parent
        if isinstance(node, parents):
            return True
    return False


def _resolve(
    app: Sphinx, env: BuildEnvironment, node: addnodes.pending_xref, content: nodes.Element
) -> nodes.Element | None:
    """The link of a marked name, or of a name in "See Also" that is written without its module."""
    if node["reftype"] != _TYPE and (node.get("refdomain"), node["reftype"]) != ("py", "obj"):
        return None
    full_name = _full_names(env).get(node["reftarget"])
    if full_name is not None:
        entry = env.get_domain("py").objects[full_name]
        return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, content, full_name)
    if node["reftype"] != _TYPE:
        return None
    return _external(env, node["reftarget"], content) or content


@lru_cache(maxsize=1)
def _full_names(env: BuildEnvironment) -> dict[str, str]:
    """From a name, whole or without the modules in front, to the whole name of an object of the reference."""
    found: dict[str, set[str]] = {}
    for full_name, entry in env.get_domain("py").objects.items():
        if entry.aliased or entry.objtype == "module":
            continue
        found.setdefault(full_name, set()).add(full_name)
        parts = full_name.split(".")
        # An attribute or a method is named with its class.
        n_parts = 2 if entry.objtype in ("method", "attribute", "property") else 1
        found.setdefault(".".join(parts[-n_parts:]), set()).add(full_name)
    return {
        name: full_names.pop()
        for name, full_names in found.items()
        if len(full_names) == 1 and name not in _AMBIGUOUS
    }


def _external(env: BuildEnvironment, name: str, content: nodes.Element) -> nodes.Element | None:
    if "." not in name:
        return None
    for kind, items in InventoryAdapter(env).main_inventory.items():
        if kind.startswith("py:") and name in items:
            item = items[name]
            link = nodes.reference("", "", internal=False, refuri=item.uri, reftitle=item.project_name)
            link += content
            return link
    return None


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_transform(PublicNames)
    app.connect("missing-reference", _resolve, priority=900)  # after intersphinx
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
