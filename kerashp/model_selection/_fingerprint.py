"""What a search is made of, as digests: two searches of equal ones are the same search."""

import inspect
import platform
from collections.abc import Mapping, Sequence
from types import CodeType, FunctionType, MethodType
from typing import Any

import joblib
import keras
import numpy as np
import scipy
import sklearn
from sklearn.base import BaseEstimator

from kerashp._version import __version__
from kerashp.model_selection._task import Task
from kerashp.training._identity import names_by_place, renamed

_PLAIN = (type(None), bool, int, float, complex, str, bytes, np.generic)


def of_search(tasks: Sequence[Task]) -> dict[str, str]:
    """Of all that decides about the results of a round's tasks, by what it is called in errors."""
    first = tasks[0]
    estimator, X, y = first.arguments
    told = first.keywords
    splits = {task.split: (task.keywords["train"], task.keywords["test"]) for task in tasks}
    candidates = {task.candidate: task.keywords["parameters"] for task in tasks}
    scoring = told["scorer"], told["score_params"], told["return_train_score"], repr(told["error_score"])
    return {
        "X": digest(X),
        "y": digest(y),
        "the fit parameters": digest(told["fit_params"]),
        "the estimator": digest(estimator),
        "the splits": digest(splits),
        "the candidates": digest(candidates),
        "the scoring": digest(scoring),
        "the versions": versions(),
    }


def versions() -> str:
    """Of what computes."""
    own = {"kerashp": __version__, "keras": keras.__version__, "backend": keras.backend.backend()}
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
        closure = inspect.getclosurevars(value).nonlocals
        return value.__qualname__, _told_code(value.__code__), _told((value.__defaults__, closure), inside)
    if isinstance(value, MethodType):
        return value.__name__, _told(value.__self__, inside)
    if isinstance(value, keras.Model):
        return _told_model(value, inside)
    if isinstance(value, BaseEstimator):
        return _told(value.get_params(deep=False), inside), _told(vars(value).get("model_"), inside)
    if isinstance(value, np.random.RandomState):
        return _told(value.get_state(legacy=False), inside)
    if isinstance(value, np.ndarray) and value.dtype.kind != "O":
        return joblib.hash(value)
    if hasattr(value, "get_config"):
        return _told(_unnamed(value.get_config()), inside)
    try:
        return joblib.hash(value)
    except Exception:  # what cannot be pickled
        return _told(vars(value), inside) if hasattr(value, "__dict__") else type(value).__name__


def _told_model(model: Any, inside: tuple[int, ...]) -> Any:
    weights = [joblib.hash(array) for array in model.get_weights()]
    compiled = model.get_compile_config() if model.compiled else None
    try:
        config = renamed(model.get_config(), names_by_place(model, model._flatten_layers()))
    except NotImplementedError:  # of a class of the user's own
        config = type(model).__qualname__
    return repr(config), _told(_unnamed(compiled), inside), weights


def _unnamed(config: Any) -> Any:
    """Without the names that Keras counts on from one object to the next."""
    if isinstance(config, Mapping):
        return {key: _unnamed(own) for key, own in config.items() if key != "name"}
    return [_unnamed(own) for own in config] if isinstance(config, list | tuple) else config


def _told_code(code: CodeType) -> Any:
    constants = [_told_code(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return code.co_code.hex(), code.co_names, constants
