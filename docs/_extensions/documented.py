"""Which methods and properties of a class its page in the reference shows."""

import inspect
from functools import cached_property
from importlib import import_module

# What is inherited from Keras and keras-tuner is documented there, in Markdown.
_PACKAGES = ("kerashp", "sklearn")


def documented_members(full_name: str, packages: tuple[str, ...] = _PACKAGES) -> list[tuple[str, str]]:
    """The public methods and properties of a class, its own first, with a docstring of one of the packages.

    Each has the directive that documents it.
    """
    module, name = full_name.rsplit(".", 1)
    cls = getattr(import_module(module), name)
    members: dict[str, str] = {}
    hidden: set[str] = set()
    for owner in cls.__mro__:
        for member, value in vars(owner).items():
            if member in hidden or member.startswith("_") or _routes_metadata(member):
                continue
            hidden.add(member)
            directive = _directive(value)
            is_ours = owner.__module__.split(".")[0] in packages
            if directive and is_ours and inspect.getdoc(getattr(cls, member, None) or value):
                members[member] = directive
    return [(directive, member) for member, directive in members.items()]


def _routes_metadata(name: str) -> bool:
    """Whether it is one of the methods for metadata routing, which scikit-learn's guide describes."""
    return name.startswith("set_") and name.endswith("_request")


def _directive(value: object) -> str | None:
    if isinstance(value, property | cached_property):
        return "autoproperty"
    function = value.__func__ if isinstance(value, classmethod | staticmethod) else value
    return "automethod" if inspect.isfunction(function) else None
