"""The arguments of a model function, read from its signature."""

import inspect
from functools import lru_cache
from typing import Any

import keras
import numpy as np

# Arguments that scikeras passes to a model function that names them.
SCIKERAS_ARGUMENTS = ("meta", "compile_kwargs", "params")


def _signature(model: Any) -> list[inspect.Parameter] | None:
    """The parameters of a model function; an empty list for a model, None if there is no signature."""
    if isinstance(model, keras.Model):
        return []
    if inspect.ismethod(model) and inspect.isfunction(model.__func__):
        return list(_cached_signature(model.__func__).parameters.values())[1:]
    read_signature = _cached_signature if inspect.isfunction(model) else inspect.signature
    try:
        return list(read_signature(model).parameters.values())
    except (TypeError, ValueError):
        return None


_cached_signature = lru_cache(maxsize=16)(
    inspect.signature
)  # a search reads every parameter of every candidate


def names_of(model: Any, *, with_scikeras: bool = False) -> list[str]:
    """The names in a model function's signature, without `SCIKERAS_ARGUMENTS` unless `with_scikeras`."""
    parameters = _signature(model) or []
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    return [name for name in names if with_scikeras or name not in SCIKERAS_ARGUMENTS]


def takes_any(model: Any) -> bool:
    """Whether a function has `**kwargs` or no signature."""
    parameters = _signature(model)
    return parameters is None or any(p.kind is p.VAR_KEYWORD for p in parameters)


def arguments_for_kwargs(model: Any) -> list[str]:
    """The `SCIKERAS_ARGUMENTS` that a function takes by `**kwargs`; none for a class."""
    is_function = inspect.isroutine(getattr(model, "func", model))  # of a functools.partial
    if not is_function or _signature(model) is None or not takes_any(model):
        return []
    return [name for name in SCIKERAS_ARGUMENTS if name not in names_of(model, with_scikeras=True)]


def defaults_of(model: Any) -> dict[str, Any]:
    """The arguments that have a default, with their defaults."""
    return {
        p.name: p.default
        for p in _signature(model) or ()
        if p.default is not p.empty and p.name not in SCIKERAS_ARGUMENTS
    }


@lru_cache(maxsize=64)
def init_defaults(classes: tuple[type, ...], root: type) -> dict[str, Any]:
    """The arguments of a class's `__init__` and their defaults, without `model`.

    `classes` is the method resolution order of the class; only the classes before `root` count.
    """
    initializers = [
        vars(owner)["__init__"] for owner in classes[: classes.index(root)] if "__init__" in vars(owner)
    ]
    defaults: dict[str, Any] = {}
    for initialize in initializers:
        parameters = list(inspect.signature(initialize).parameters.values())[1:]
        arguments = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        defaults = {p.name: p.default for p in arguments if p.name != "model"} | defaults
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return defaults


def display_name(model: Any) -> str:
    """The name of a model or a model function in messages."""
    if isinstance(model, keras.Model):
        return f"the model {model.name!r}"
    function = getattr(model, "func", model)  # of a functools.partial
    return str(function.__name__) if hasattr(function, "__name__") else repr(model)


def keras_tuner_remedy(model: Any) -> str | None:
    """How to use a `build(hp)` function or a hypermodel of keras-tuner; None for any other model."""
    build = model if callable(model) else getattr(model, "build", None)
    if isinstance(model, keras.Model) or not callable(build):
        return None
    first = next(iter(_signature(build) or ()), None)
    if first is None or first.name != "hp" or first.default is not first.empty:
        return None
    name = display_name(model)
    return (
        f"{name} takes keras-tuner's hp: pass from_build({name}), with from_build imported from "
        "kerashp.integrations.keras_tuner; its hyperparameters become the estimator's parameters"
    )


def is_same_value(value: Any, other: Any) -> bool:
    """Whether the values of two parameters are equal; arrays only if they are the same object."""
    if value is other:
        return True
    return type(value) is type(other) and not isinstance(value, np.ndarray) and bool(value == other)
