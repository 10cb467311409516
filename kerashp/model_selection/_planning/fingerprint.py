"""What a search is made of, as digests: two searches of equal ones are the same search."""

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


def round_digests(tasks: Sequence[Task]) -> dict[str, str]:
    """The digests of splits and candidates, which every round has its own of, by their names in errors."""
    splits = {task.split: (task.keywords["train"], task.keywords["test"]) for task in tasks}
    candidates = {task.candidate: task.keywords["parameters"] for task in tasks}
    return {"the splits": digest(splits), "the candidates": digest(candidates)}


def search_digests(tasks: Sequence[Task], resource: Resource | None) -> dict[str, str]:
    """The digests of everything else that decides the results, which is the same in every round."""
    first = tasks[0]
    estimator, X, y = first.arguments
    told = first.keywords
    scoring = told["scorer"], told["score_params"], told["return_train_score"], repr(told["error_score"])
    return {
        "X": digest(X),
        "y": digest(y),
        "the fit parameters": digest(told["fit_params"]),
        "the estimator": digest(estimator),
        "the scoring": digest(scoring),
        "the resource": digest(resource),
        "the versions": versions(),
    }


def versions() -> str:
    """Of what computes."""
    backend = keras.backend.backend()
    own = {"kerashp": __version__, "keras": keras.__version__}
    own[backend] = importlib.import_module(backend).__version__
    others = {module.__name__: module.__version__ for module in (np, scipy, sklearn)}
    told = own | others | {"python": platform.python_version(), "float": keras.config.floatx()}
    return ", ".join(f"{name} {version}" for name, version in told.items())


def digest(value: Any) -> str:
    """Of anything: equal values have equal ones, in another process too."""
    return str(joblib.hash(repr(_told(value, ()))))


def _told(value: Any, within: tuple[int, ...]) -> Any:
    """The value in plain strings and tuples; `within` are the objects that it is told of."""
    if isinstance(value, _PLAIN):
        return repr(value)
    if id(value) in within:
        return "itself"
    inside = (*within, id(value))
    if isinstance(value, Mapping):
        return type(value).__name__, sorted((repr(key), _told(own, inside)) for key, own in value.items())
    if isinstance(value, list | tuple):
        return type(value).__name__, [_told(own, inside) for own in value]
    if isinstance(value, set | frozenset):
        return type(value).__name__, sorted(repr(_told(own, inside)) for own in value)
    if isinstance(value, type):
        return value.__module__, value.__qualname__
    return type(value).__qualname__, _told_object(value, inside)


def _told_object(value: Any, inside: tuple[int, ...]) -> Any:
    if isinstance(value, FunctionType):
        return _told_function(value, inside)
    if isinstance(value, partial):
        return _told((value.func, value.args, value.keywords), inside)
    if isinstance(value, MethodType):
        return value.__name__, _told(value.__self__, inside)
    if isinstance(value, keras.Model):
        return _told_model(value, inside)
    if isinstance(value, BaseEstimator):
        told = _told(value.get_params(deep=False), inside), _told(vars(value).get("model_"), inside)
        methods = _methods(type(value)) if isinstance(value, BaseKerasEstimator) else {}
        return (*told, _told(methods, inside)) if methods else told
    if isinstance(value, np.random.RandomState):
        return _told(value.get_state(legacy=False), inside)
    if isinstance(value, np.ndarray) and value.dtype.kind != "O":
        return joblib.hash(value)
    if hasattr(value, "get_config"):
        weights = [joblib.hash(array) for array in getattr(value, "get_weights", list)()]
        return _told(_unnamed(value.get_config()), inside), weights
    if hasattr(value, "dist") and hasattr(value, "kwds"):  # a distribution of SciPy's with its arguments
        return _told((value.dist.name, value.args, value.kwds), inside)
    if _is_its_attributes(value):
        return _told(vars(value), inside)
    try:
        return joblib.hash(value)
    except Exception:  # what cannot be pickled is equal to nothing else
        return f"at {id(value)}"


def _methods(cls: type) -> dict[str, Any]:
    """The functions and properties of a subclass of the user's own, which build or encode."""
    others = [
        owner for owner in reversed(cls.__mro__) if owner.__module__.partition(".")[0] not in _LIBRARIES
    ]
    found = {name: own for owner in others for name, own in vars(owner).items()}
    found |= {name: own.fget for name, own in found.items() if isinstance(own, property)}
    found |= {
        name: own.__func__ for name, own in found.items() if isinstance(own, staticmethod | classmethod)
    }
    return {name: own for name, own in found.items() if isinstance(own, FunctionType)}


def _is_its_attributes(value: Any) -> bool:
    """Whether an object is pickled as Python does it by itself, by its attributes."""
    kind = type(value)
    names = ("__reduce_ex__", "__reduce__", "__getstate__")
    own = all(getattr(kind, name) is getattr(object, name) for name in names)
    return own and hasattr(value, "__dict__") and not any(vars(c).get("__slots__") for c in kind.__mro__)


def _told_function(function: FunctionType, inside: tuple[int, ...]) -> Any:
    """A function's code, and what it takes from around it, as far as that does not change by itself."""
    around = inspect.getclosurevars(function)
    others = {
        name: value
        for name, value in around.globals.items()
        if isinstance(value, (*_PLAIN, tuple, frozenset))
        or (isinstance(value, FunctionType) and value.__module__ == function.__module__)
    }
    told = (function.__defaults__, function.__kwdefaults__, around.nonlocals, others)
    return function.__qualname__, _told_code(function.__code__), _told(told, inside)


def _told_model(model: Any, inside: tuple[int, ...]) -> Any:
    weights = [joblib.hash(array) for array in model.get_weights()]
    compiled = model.get_compile_config() if model.compiled else None
    try:
        config = renamed(model.get_config(), names_by_place(model, flatten_layers(model)))
    except NotImplementedError:  # of a class of the user's own
        config = type(model).__qualname__
    return repr(config), _told(_unnamed(compiled), inside), weights


def _unnamed(config: Any) -> Any:
    """Without the names that Keras counts on from one object to the next."""
    if isinstance(config, Mapping):
        return {key: _unnamed(own) for key, own in config.items() if key != "name"}
    return [_unnamed(own) for own in config] if isinstance(config, list | tuple) else config


def _told_code(code: CodeType) -> Any:
    constants = [_told_code(c) if isinstance(c, CodeType) else _told(c, ()) for c in code.co_consts]
    return code.co_code.hex(), code.co_names, constants
