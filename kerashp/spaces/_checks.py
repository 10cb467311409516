"""Checks of numbers and of `HyperParameters` objects."""

import sys
from numbers import Integral, Real
from typing import Any


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


def is_hyperparameters(space: Any) -> bool:
    """Whether a space is keras-tuner's `HyperParameters`; this does not import keras-tuner."""
    keras_tuner = sys.modules.get("keras_tuner")
    return keras_tuner is not None and isinstance(space, keras_tuner.HyperParameters)
