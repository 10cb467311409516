"""Which methods of a class its page in the reference shows."""

import inspect
from importlib import import_module

# Inherited ones of Keras and keras-tuner are documented there, in Markdown.
_PACKAGES = ("kerashp", "sklearn")
# Those of metadata routing, one for each argument of a method: scikit-learn's guide describes them.
_GENERATED = ("set_", "_request")


def documented_methods(full_name: str, packages: tuple[str, ...] = _PACKAGES) -> list[str]:
    """The public methods of a class, its own first, that have a docstring of one of the packages."""
    module, name = full_name.rsplit(".", 1)
    cls = getattr(import_module(module), name)
    return [
        method
        for owner in cls.__mro__
        if owner.__module__.split(".")[0] in packages
        for method, value in vars(owner).items()
        if _is_documented(cls, owner, method, value)
    ]


def _is_documented(cls: type, owner: type, name: str, value: object) -> bool:
    function = value.__func__ if isinstance(value, classmethod | staticmethod) else value
    return (
        not name.startswith("_")
        and not (name.startswith(_GENERATED[0]) and name.endswith(_GENERATED[1]))
        and (inspect.isroutine(function) or isinstance(function, property))
        and inspect.getdoc(getattr(cls, name)) is not None
        and not any(name in vars(nearer) for nearer in cls.__mro__[: cls.__mro__.index(owner)])
    )
