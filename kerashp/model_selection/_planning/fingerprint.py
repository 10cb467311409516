"""Fingerprints of what decides the results of a search: searches with equal ones are the same search."""

import importlib
import inspect
import platform
from collections.abc import Mapping, Sequence
from functools import partial
from types import CodeType, FunctionType, MethodType
from typing import Any

import joblib
import keras
import numpy as np
import scipy
import sklearn
from sklearn.base import BaseEstimator

from kerashp._compat.keras import flatten_layers
from kerashp._version import __version__
from kerashp.estimators._base import BaseKerasEstimator
from kerashp.model_selection._fits.task import Resource, Task
from kerashp.training._keras.identity import names_by_place, renamed

_LIBRARIES = ("builtins", "abc", "kerashp", "scikeras", "sklearn")
_PLAIN = (type(None), bool, int, float, complex, str, bytes, np.generic)


def round_fingerprints(tasks: Sequence[Task]) -> dict[str, str]:
    """The fingerprints of splits and candidates, which differ between rounds, by their names in errors."""
    splits = {task.split: (task.keywords["train"], task.keywords["test"]) for task in tasks}
    candidates = {task.candidate: task.keywords["parameters"] for task in tasks}
    return {"the splits": fingerprint(splits), "the candidates": fingerprint(candidates)}


def search_fingerprints(tasks: Sequence[Task], resource: Resource | None) -> dict[str, str]:
    """The fingerprints of everything else that decides the results, which is the same in all rounds."""
    first = tasks[0]
    estimator, X, y = first.arguments
    keywords = first.keywords
    names = ("scorer", "score_params", "return_train_score")
    scoring = *(keywords[name] for name in names), repr(keywords["error_score"])
    return {
        "X": fingerprint(X),
        "y": fingerprint(y),
        "the fit parameters": fingerprint(keywords["fit_params"]),
        "the estimator": fingerprint(estimator),
        "the scoring": fingerprint(scoring),
        "the resource": fingerprint(resource),
        "the versions": versions(),
    }


def versions() -> str:
    """The versions of everything that computes."""
    backend = keras.backend.backend()
    numbers = {"kerashp": __version__, "keras": keras.__version__}
    numbers[backend] = importlib.import_module(backend).__version__
    numbers |= {module.__name__: module.__version__ for module in (np, scipy, sklearn)}
    numbers |= {"python": platform.python_version(), "float": keras.config.floatx()}
    return ", ".join(f"{name} {number}" for name, number in numbers.items())


def fingerprint(value: Any) -> str:
    """A digest of any value; it is the same for equal values, in another process too."""
    return str(joblib.hash(repr(_plain_form(value, ()))))


def _plain_form(value: Any, parents: tuple[int, ...]) -> Any:
    """The value in plain strings and tuples; `parents` are the objects that contain it."""
    if isinstance(value, _PLAIN):
        return repr(value)
    if id(value) in parents:
        return "itself"
    parents = (*parents, id(value))
    if isinstance(value, Mapping):
        return type(value).__name__, sorted(
            (repr(key), _plain_form(item, parents)) for key, item in value.items()
        )
    if isinstance(value, list | tuple):
        return type(value).__name__, [_plain_form(item, parents) for item in value]
    if isinstance(value, set | frozenset):
        return type(value).__name__, sorted(repr(_plain_form(item, parents)) for item in value)
    if isinstance(value, type):
        return value.__module__, value.__qualname__
    return type(value).__qualname__, _object_form(value, parents)


def _object_form(value: Any, parents: tuple[int, ...]) -> Any:
    if isinstance(value, FunctionType):
        return _function_form(value, parents)
    if isinstance(value, partial):
        return _plain_form((value.func, value.args, value.keywords), parents)
    if isinstance(value, MethodType):
        return value.__name__, _plain_form(value.__self__, parents)
    if isinstance(value, keras.Model):
        return _model_form(value, parents)
    if isinstance(value, BaseEstimator):
        params, model = value.get_params(deep=False), vars(value).get("model_")
        methods = _methods_of_user(type(value)) if isinstance(value, BaseKerasEstimator) else {}
        return tuple(
            _plain_form(part, parents) for part in ((params, model, methods) if methods else (params, model))
        )
    if isinstance(value, np.random.RandomState):
        return _plain_form(value.get_state(legacy=False), parents)
    if isinstance(value, np.ndarray) and value.dtype.kind != "O":
        return joblib.hash(value)
    if hasattr(value, "get_config"):
        weights = [joblib.hash(array) for array in getattr(value, "get_weights", list)()]
        return _plain_form(_without_names(value.get_config()), parents), weights
    if hasattr(value, "dist") and hasattr(value, "kwds"):  # a frozen distribution of SciPy
        return _plain_form((value.dist.name, value.args, value.kwds), parents)
    if _is_pickled_by_attributes(value):
        return _plain_form(vars(value), parents)
    try:
        return joblib.hash(value)
    except Exception:  # a value that cannot be pickled equals no other
        return f"at {id(value)}"


def _methods_of_user(cls: type) -> dict[str, Any]:
    """The functions and properties of a user's subclass, which may build models or encode targets."""
    owners = [
        owner for owner in reversed(cls.__mro__) if owner.__module__.partition(".")[0] not in _LIBRARIES
    ]
    attributes = {name: value for owner in owners for name, value in vars(owner).items()}
    functions: dict[str, Any] = {}
    for name, value in attributes.items():
        if isinstance(value, property):
            functions[name] = value.fget
        else:
            functions[name] = value.__func__ if isinstance(value, staticmethod | classmethod) else value
    return {name: function for name, function in functions.items() if isinstance(function, FunctionType)}


def _is_pickled_by_attributes(value: Any) -> bool:
    """Whether an object is pickled by its attributes, as Python does by default."""
    kind = type(value)
    names = ("__reduce_ex__", "__reduce__", "__getstate__")
    is_default = all(getattr(kind, name) is getattr(object, name) for name in names)
    has_slots = any(vars(base).get("__slots__") for base in kind.__mro__)
    return is_default and hasattr(value, "__dict__") and not has_slots


def _function_form(function: FunctionType, parents: tuple[int, ...]) -> Any:
    """The code of a function, and the constants and functions of its module that it uses."""
    closure = inspect.getclosurevars(function)
    constants = {
        name: value
        for name, value in closure.globals.items()
        if isinstance(value, (*_PLAIN, tuple, frozenset))
        or (isinstance(value, FunctionType) and value.__module__ == function.__module__)
    }
    values = (function.__defaults__, function.__kwdefaults__, closure.nonlocals, constants)
    return function.__qualname__, _code_form(function.__code__), _plain_form(values, parents)


def _model_form(model: Any, parents: tuple[int, ...]) -> Any:
    weights = [joblib.hash(array) for array in model.get_weights()]
    compiled = model.get_compile_config() if model.compiled else None
    try:
        config = renamed(model.get_config(), names_by_place(model, flatten_layers(model)))
    except NotImplementedError:  # of a user's class without a config
        config = type(model).__qualname__
    return repr(config), _plain_form(_without_names(compiled), parents), weights


def _without_names(config: Any) -> Any:
    """A config without the names that Keras numbers from one object to the next."""
    if isinstance(config, Mapping):
        return {key: _without_names(value) for key, value in config.items() if key != "name"}
    return [_without_names(value) for value in config] if isinstance(config, list | tuple) else config


def _code_form(code: CodeType) -> Any:
    constants = [_code_form(c) if isinstance(c, CodeType) else _plain_form(c, ()) for c in code.co_consts]
    return code.co_code.hex(), code.co_names, constants
