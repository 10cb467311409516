"""Converts a search space to keras-tuner's hyperparameters. keras-tuner is imported on first use."""

import math
from collections.abc import Iterable, Mapping
from functools import singledispatch
from typing import Any

import numpy as np

from kerashp.spaces._checks import is_hyperparameters
from kerashp.spaces._conversion import Conversion, Space
from kerashp.spaces._distributions import int_loguniform, one_minus_loguniform
from kerashp.spaces._hyperparameter_names import ONE_MINUS, POSITION, SELECTOR

_CONVERSION = Conversion("to_hyperparameters")
_CHOICE_TYPES = (bool, int, float, str)  # a Choice holds values of one of them


def to_hyperparameters(space: Space | Iterable[Space]) -> Any:
    """Convert a search space to keras-tuner's `HyperParameters` with the same distributions.

    - `loguniform`, `uniform`: `Float`, sampled "log" or "linear";
    - `int_loguniform`, `randint`: `Int`, sampled "log" or "linear";
    - `one_minus_loguniform` of beta: `Float` named "1 - ...", sampled "log";
    - list of one value: `Fixed`;
    - list of True and False: `Boolean`;
    - list of numbers of one type, or of strings: `Choice`;
    - any other list (None, tuples, functions, mixed types, equal values): `Choice` "position of ...";
    - list of spaces: `Choice` named "kerashp/space", and a conditional scope for each space.

    `one_minus_loguniform` is not keras-tuner's `sampling="reverse_log"`, which is max + min - x with x
    log-uniform on [min, max]. On [0.9, 0.999] the latter is nearly uniform, with a median of 0.951; the
    median of the former is 0.99.

    Parameters
    ----------
    space : dict, list of dict or keras_tuner.HyperParameters
        From the parameter's name to a list, tuple, range, one-dimensional array or distribution, as the
        searches take it. A `HyperParameters` object is copied.

    Returns
    -------
    keras_tuner.HyperParameters
        For any oracle or tuner. `params_from_hyperparameters` converts its values to an estimator's
        parameters.

    Raises
    ------
    TypeError
        If the space, a name or a distribution is not of a kind listed above.
    ValueError
        If a list is empty, a distribution is shifted or has no range, or a name is reserved.

    References
    ----------
    keras-tuner's documentation, "HyperParameters".

    Examples
    --------
    >>> from kerashp.spaces import from_hyperparameters, one_minus_loguniform, to_hyperparameters
    >>> space = {"momentum": one_minus_loguniform(0.9, 0.999), "n_neurons": [(30, 30), None]}
    >>> hp = to_hyperparameters(space)
    >>> [hyperparameter.name for hyperparameter in hp.space]
    ['1 - momentum', 'position of n_neurons']
    >>> from_hyperparameters(hp) == space
    True
    """
    from kerashp.spaces._keras_tuner import SpaceHyperParameters

    if is_hyperparameters(space):
        return SpaceHyperParameters.joined(space)
    hp = SpaceHyperParameters()
    if isinstance(space, Mapping):
        _add_parameters(space, hp)
        return hp
    spaces = _CONVERSION.spaces(space)
    hp.Choice(SELECTOR, list(range(len(spaces))), ordered=False)
    for index, subspace in enumerate(spaces):
        # The scopes also make the names differ: keras-tuner's grid cannot distinguish two equal names.
        with hp.conditional_scope(SELECTOR, [index]), hp.name_scope(f"kerashp/{index}"):
            _add_parameters(subspace, hp)
    return hp


def _add_parameters(space: Space, hp: Any) -> None:
    for name, values in space.items():
        _CONVERSION.check_name(name)
        _add(values, name, hp)


@singledispatch
def _add(dist: Any, name: str, hp: Any) -> None:
    """Add a parameter that has one of SciPy's frozen distributions; the other kinds are registered below."""
    support = _CONVERSION.range_of(dist, name)
    if support.scale == "integers":
        hp.Int(name, int(support.low), int(support.high))
    else:
        hp.Float(name, support.low, support.high, sampling=support.scale)


@_add.register
def _(dist: int_loguniform, name: str, hp: Any) -> None:
    hp.Int(name, dist.low, dist.high, sampling="log")


@_add.register
def _(dist: one_minus_loguniform, name: str, hp: Any) -> None:
    hp.Float(ONE_MINUS + name, 1 - dist.high, 1 - dist.low, sampling="log")


@_add.register
def _(values: list | tuple | range | np.ndarray, name: str, hp: Any) -> None:
    choices = _CONVERSION.choices(values, name)
    if not _fit_into_choice(choices):
        hp.Choice(POSITION + name, list(range(len(choices))), ordered=False)
        hp.choices[hp.space[-1].name] = choices
    elif len(choices) == 1:
        hp.Fixed(name, *choices)
    elif isinstance(choices[0], bool):
        hp.Boolean(name, default=choices[0])
    else:
        hp.Choice(name, choices)


def _fit_into_choice(choices: list[Any]) -> bool:
    """Whether a Choice of keras-tuner's can hold the values and distinguish them."""
    kinds = {type(choice) for choice in choices}
    if len(kinds) != 1 or not kinds <= set(_CHOICE_TYPES):
        return False
    finite = kinds != {float} or all(map(math.isfinite, choices))
    return finite and len(set(choices)) == len(choices)
