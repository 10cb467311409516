"""Which methods and properties of a class its page in the reference shows."""

from functools import cached_property
from importlib import import_module


def documented_members(full_name: str) -> list[tuple[str, str]]:
    """The directive and the name of each public member with a docstring of kerashp, a class's own first."""
    members: dict[str, str] = {}
    for owner, name, value in _public_members(full_name):
        function = _function(value)
        directive = "autoproperty" if isinstance(value, property | cached_property) else "automethod"
        is_ours = _package(owner) == _package(function) == "kerashp"
        if function is not None and is_ours and function.__doc__:
            members[name] = directive
    return [(directive, name) for name, directive in members.items()]


def inherited_methods(full_name: str) -> list[str]:
    """The names of the public methods that scikit-learn defines, without those that route metadata."""
    names = {
        name
        for owner, name, value in _public_members(full_name)
        if _package(owner) == "sklearn" and _function(value) is not None and not isinstance(value, property)
    }
    return sorted(name for name in names if not (name.startswith("set_") and name.endswith("_request")))


def _public_members(full_name: str) -> list[tuple[type, str, object]]:
    """The members of a class and its bases that no nearer class hides."""
    module, class_name = full_name.rsplit(".", 1)
    seen: dict[str, tuple[type, str, object]] = {}
    for owner in getattr(import_module(module), class_name).__mro__:
        for name, value in vars(owner).items():
            if not name.startswith("_"):
                seen.setdefault(name, (owner, name, value))
    return list(seen.values())


def _function(value: object) -> object | None:
    """The function of a method or a property; None for other values."""
    for attribute in ("fget", "func", "__func__", "fn"):  # `fn`: of scikit-learn's `available_if`
        value = getattr(value, attribute, value)
    return value if callable(value) and not isinstance(value, type) else None


def _package(value: object) -> str:
    return str(getattr(value, "__module__", "")).split(".")[0]
