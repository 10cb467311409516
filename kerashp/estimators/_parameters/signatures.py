"""What a model function takes, read from its signature."""

import inspect
from functools import lru_cache
from typing import Any

import keras
import numpy as np

# What scikeras hands to a model function that names it.
HANDED = ("meta", "compile_kwargs", "params")


def _signature(model: Any) -> list[inspect.Parameter] | None:
    """A model function's parameters; none for a model, None where there is no signature to read."""
    if isinstance(model, keras.Model):
        return []
    if inspect.ismethod(model) and inspect.isfunction(model.__func__):
        return list(_read_once(model.__func__).parameters.values())[1:]
    read = _read_once if inspect.isfunction(model) else inspect.signature
    try:
        return list(read(model).parameters.values())
    except (TypeError, ValueError):
        return None


_read_once = lru_cache(maxsize=16)(inspect.signature)  # a search asks for every parameter of every candidate


def names_of(model: Any, *, handed: bool = False) -> list[str]:
    """The names in the signature of a model function; `handed` ones are scikeras' to give."""
    parameters = _signature(model) or []
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    return [name for name in names if handed or name not in HANDED]


def takes_any(model: Any) -> bool:
    """Whether a function takes any keyword argument, or has no signature to read."""
    parameters = _signature(model)
    return parameters is None or any(p.kind is p.VAR_KEYWORD for p in parameters)


def offers_to(model: Any) -> list[str]:
    """What scikeras hands to a function with `**kwargs` that does not name it; nothing to a class."""
    is_function = inspect.isroutine(getattr(model, "func", model))  # a functools.partial's
    if not is_function or _signature(model) is None or not takes_any(model):
        return []
    return [name for name in HANDED if name not in names_of(model, handed=True)]


def defaults_of(model: Any) -> dict[str, Any]:
    """The names that have a default, and the defaults."""
    return {
        p.name: p.default
        for p in _signature(model) or ()
        if p.default is not p.empty and p.name not in HANDED
    }


@lru_cache(maxsize=64)
def init_defaults(classes: tuple[type, ...], root: type) -> dict[str, Any]:
    """What the `__init__` of a class takes by name, and the defaults, without `model`.

    `classes` are those that it inherits from, itself first; those from `root` on have no say.
    """
    below = [vars(owner)["__init__"] for owner in classes[: classes.index(root)] if "__init__" in vars(owner)]
    defaults: dict[str, Any] = {}
    for initialize in below:
        parameters = list(inspect.signature(initialize).parameters.values())[1:]
        named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        defaults = {p.name: p.default for p in named if p.name != "model"} | defaults
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return defaults


def called(model: Any) -> str:
    """What to call a model or a model function in a message."""
    if isinstance(model, keras.Model):
        return f"the model {model.name!r}"
    function = getattr(model, "func", model)  # a functools.partial's
    return str(function.__name__) if hasattr(function, "__name__") else repr(model)


def way_from_keras_tuner(model: Any) -> str | None:
    """What to do with a `build(hp)` function or a hypermodel of keras-tuner's; None for any other model."""
    build = model if callable(model) else getattr(model, "build", None)
    if isinstance(model, keras.Model) or not callable(build):
        return None
    first = next(iter(_signature(build) or ()), None)
    if first is None or first.name != "hp" or first.default is not first.empty:
        return None
    name = called(model)
    return (
        f"{name} takes keras-tuner's hp: pass from_build({name}), with from_build imported from "
        "kerashp.integrations.keras_tuner; its hyperparameters become the estimator's parameters"
    )


def same(value: Any, other: Any) -> bool:
    """Whether two parameters' values are equal; arrays are only if they are one."""
    if value is other:
        return True
    return type(value) is type(other) and not isinstance(value, np.ndarray) and bool(value == other)
