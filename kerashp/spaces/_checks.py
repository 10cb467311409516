"""Checks of numbers, of tasks and of `HyperParameters` objects."""

import sys
from numbers import Integral, Real
from typing import Any

_TASKS = ("regression", "binary", "multiclass", "multilabel")


def number(owner: str, name: str, value: Any) -> float:
    """A float from a real number that is not a bool."""
    if isinstance(value, Real) and not isinstance(value, bool):
        return float(value)
    raise TypeError(f"{owner}: {name} must be a number such as 0.9, got {value!r} ({type(value).__name__})")


def integer(owner: str, name: str, value: Any) -> int:
    """An int from an integer that is not a bool."""
    if isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    raise TypeError(f"{owner}: {name} must be an integer such as 16, got {value!r} ({type(value).__name__})")


def positive_integer(owner: str, name: str, value: Any) -> int:
    """An int that is at least 1."""
    if (number := integer(owner, name, value)) < 1:
        raise ValueError(f"{owner}: {name} must be 1 or more, got {number}")
    return number


def known_task(owner: str, task: Any) -> None:
    """Refuse what is not the name of a task."""
    if task not in _TASKS:
        raise ValueError(f"{owner}: task must be one of {', '.join(_TASKS)}; got {task!r}")


def is_hyperparameters(space: Any) -> bool:
    """Whether a space is keras-tuner's `HyperParameters`; this does not import keras-tuner."""
    keras_tuner = sys.modules.get("keras_tuner")
    return keras_tuner is not None and isinstance(space, keras_tuner.HyperParameters)
