"""A space as keras-tuner's hyperparameters, and back. keras-tuner is imported at use."""

import itertools
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import singledispatch
from typing import Any

import numpy as np
from scipy.stats import loguniform, randint, uniform

from kerashp.spaces._checks import is_hyperparameters
from kerashp.spaces._distributions import int_loguniform, one_minus_loguniform

_SELECTOR = "kerashp/space"  # which of several spaces
_SCOPE = re.compile(r"kerashp/\d+/")
_ONE_MINUS = "1 - "
_POSITION = "position of "
_RESERVED = (_ONE_MINUS, _POSITION, "kerashp/", "tuner/")
_HELD = (bool, int, float, str)  # by a Choice, one type at a time

Space = Mapping[str, Any]


def to_hyperparameters(space: Space | Iterable[Space]) -> Any:
    """A space as keras-tuner's `HyperParameters`, of the same law.

    | in the space | in keras-tuner |
    |---|---|
    | `loguniform`, `uniform` | `Float`, sampled "log" or "linear" |
    | `int_loguniform`, `randint` | `Int`, sampled "log" or "linear" |
    | `one_minus_loguniform` of beta | `Float` "1 - beta", sampled "log" |
    | list of one value | `Fixed` |
    | list of True and False | `Boolean` |
    | list of numbers of one type, or of strings | `Choice` |
    | any other list (None, tuples, functions, mixed types, equal values) | `Choice` "position of ..." |
    | list of spaces | `Choice` "kerashp/space", and a conditional scope for each |

    keras-tuner's own `sampling="reverse_log"` is max + min - x with x log-uniform on [min, max]. On
    [0.9, 0.999] that is nearly uniform, with a median of 0.951; 1 - beta log-uniform has its median at 0.99.

    Parameters
    ----------
    space : dict, list of dict or keras_tuner.HyperParameters
        Parameter name -> list, tuple, range, one-dimensional array or distribution, as the searches take it.
        Hyperparameters are copied.

    Returns
    -------
    keras_tuner.HyperParameters
        For any oracle or tuner. `params_from_hyperparameters` turns its values into an estimator's.

    Raises
    ------
    TypeError
        If the space, a name or a distribution is of no kind above.
    ValueError
        If a list is empty, a distribution is shifted or has no range, or a name is taken by keras-tuner.

    References
    ----------
    keras-tuner's documentation, "HyperParameters".

    Examples
    --------
    >>> from kerashp.spaces import from_hyperparameters, one_minus_loguniform, to_hyperparameters
    >>> space = {"momentum": one_minus_loguniform(0.9, 0.999), "n_neurons": [(30, 30), None]}
    >>> hp = to_hyperparameters(space)
    >>> [one.name for one in hp.space]
    ['1 - momentum', 'position of n_neurons']
    >>> from_hyperparameters(hp) == space
    True
    """
    from kerashp.spaces._keras_tuner import SpaceHyperParameters

    if is_hyperparameters(space):
        return SpaceHyperParameters.joined(space)
    hp = SpaceHyperParameters()
    if isinstance(space, Mapping):
        _add_all(space, hp)
        return hp
    spaces = _spaces(space)
    hp.Choice(_SELECTOR, list(range(len(spaces))), ordered=False)
    for index, one in enumerate(spaces):
        # The names differ too: keras-tuner's grid cannot tell apart two of one name.
        with hp.conditional_scope(_SELECTOR, [index]), hp.name_scope(f"kerashp/{index}"):
            _add_all(one, hp)
    return hp


def _spaces(space: Any) -> list[Space]:
    spaces = list(space) if isinstance(space, list | tuple) else []
    if not spaces or not all(isinstance(one, Mapping) for one in spaces):
        raise TypeError(
            "to_hyperparameters: space must be a dict of name -> distribution or list, or a list of such"
            f" dicts; got {space!r}"
        )
    return spaces


def _add_all(space: Space, hp: Any) -> None:
    for name, values in space.items():
        if not isinstance(name, str):
            raise TypeError(f"to_hyperparameters: a parameter's name must be a str, got {name!r}")
        if name.startswith(_RESERVED):
            raise ValueError(f"to_hyperparameters: rename parameter {name!r}: {_RESERVED} begin other names")
        _add(values, name, hp)


@singledispatch
def _add(dist: Any, name: str, hp: Any) -> None:
    """Add a parameter: SciPy's frozen distributions here, the other kinds registered below."""
    kind = getattr(getattr(dist, "dist", None), "name", None)
    if kind not in _OF_SCIPY:
        raise _cannot_translate(name, repr(dist) if kind is None else f"SciPy's {kind}")
    low, high = dist.support()
    if np.ndim(low) or np.ndim(high) or not low <= high or (kind != "randint" and low == high):
        raise ValueError(
            f"to_hyperparameters: parameter {name!r} must have numbers low < high for its range, got"
            f" {kind} on [{low}, {high}]; a list of one value is a constant"
        )
    _OF_SCIPY[kind](dist, name, hp)


def _add_loguniform(dist: Any, name: str, hp: Any) -> None:
    low, high = map(float, dist.support())
    if not math.isclose(dist.median(), math.sqrt(low) * math.sqrt(high), rel_tol=1e-6):
        raise ValueError(
            f"to_hyperparameters: parameter {name!r} is a loguniform shifted by loc; keras-tuner has none"
        )
    hp.Float(name, low, high, sampling="log")


def _add_uniform(dist: Any, name: str, hp: Any) -> None:
    hp.Float(name, *map(float, dist.support()))


def _add_randint(dist: Any, name: str, hp: Any) -> None:
    hp.Int(name, *map(int, dist.support()))


_OF_SCIPY: dict[str, Callable[[Any, str, Any], None]] = {
    "loguniform": _add_loguniform,
    "reciprocal": _add_loguniform,
    "uniform": _add_uniform,
    "randint": _add_randint,
}


@_add.register
def _(dist: int_loguniform, name: str, hp: Any) -> None:
    hp.Int(name, dist.low, dist.high, sampling="log")


@_add.register
def _(dist: one_minus_loguniform, name: str, hp: Any) -> None:
    hp.Float(_ONE_MINUS + name, 1 - dist.high, 1 - dist.low, sampling="log")


@_add.register
def _(values: list | tuple | range | np.ndarray, name: str, hp: Any) -> None:
    if isinstance(values, np.ndarray) and values.ndim != 1:
        raise _cannot_translate(name, f"an array of shape {values.shape}")
    choices = [value.item() if isinstance(value, np.generic) else value for value in values]
    if not choices:
        raise ValueError(f"to_hyperparameters: the list of parameter {name!r} is empty; give it a value")
    if not _held(choices):
        hp.Choice(_POSITION + name, list(range(len(choices))), ordered=False)
        hp.choices[hp.space[-1].name] = choices
    elif len(choices) == 1:
        hp.Fixed(name, *choices)
    elif isinstance(choices[0], bool):
        hp.Boolean(name, default=choices[0])
    else:
        hp.Choice(name, choices)


def _held(choices: list[Any]) -> bool:
    """Whether keras-tuner can hold the values themselves, and tell them apart."""
    kinds = {type(choice) for choice in choices}
    if len(kinds) != 1 or not kinds <= set(_HELD):
        return False
    finite = kinds != {float} or all(map(math.isfinite, choices))
    return finite and len(set(choices)) == len(choices)


def _cannot_translate(name: str, received: str) -> TypeError:
    return TypeError(
        f"to_hyperparameters: cannot translate parameter {name!r}, got {received}; supported are SciPy's"
        " loguniform, uniform and randint, int_loguniform, one_minus_loguniform and one-dimensional lists"
    )


def from_hyperparameters(hp: Any) -> dict[str, Any] | list[dict[str, Any]]:
    """keras-tuner's `HyperParameters` as a space for scikit-learn's searches and kerashp's.

    The inverse of `to_hyperparameters`: lists come back as lists, whatever they were. Of hyperparameters that
    keras-tuner made, `Int` and `Float` with a `step` become lists. What has conditions becomes a list of
    spaces, one for each value of each hyperparameter that others depend on; scikit-learn draws from all with
    equal chances.

    Parameters
    ----------
    hp : keras_tuner.HyperParameters

    Returns
    -------
    dict, or list of dict
        Parameter name -> list or distribution.

    Raises
    ------
    TypeError
        If `hp` is no `HyperParameters`.
    ValueError
        If a hyperparameter has no counterpart: sampled "reverse_log" without a step; a condition on one that
        has no equally likely values; two of one name at the same time; or positions whose values were left
        behind in another process.

    Examples
    --------
    >>> import keras_tuner
    >>> from kerashp.spaces import from_hyperparameters
    >>> hp = keras_tuner.HyperParameters()
    >>> kind = hp.Choice("optimizer", ["sgd", "adam"])
    >>> with hp.conditional_scope("optimizer", ["sgd"]):
    ...     rate = hp.Float("momentum", 0.1, 0.9, step=0.4)
    >>> from_hyperparameters(hp)
    [{'optimizer': ['sgd'], 'momentum': [0.1, 0.5, 0.9]}, {'optimizer': ['adam']}]
    """
    choices = _choices("from_hyperparameters", hp, None)
    parents = {condition.name for one in hp.space for condition in one.conditions}
    branches = [_Branch({}, {})]
    for one in hp.space:
        splits = one.name in parents or one.name == _SELECTOR
        extend = _Branch.split if splits else _Branch.extended
        branches = list(
            itertools.chain.from_iterable(
                extend(branch, one, choices) if branch.activates(one) else [branch] for branch in branches
            )
        )
    spaces = [branch.space for branch in branches]
    several = len(spaces) > 1 or any(one.name == _SELECTOR for one in hp.space)
    return spaces if several else spaces[0]


@dataclass(frozen=True)
class _Branch:
    """The part of a space in which those that others depend on have these values."""

    values: dict[str, Any]
    space: dict[str, Any]

    def activates(self, one: Any) -> bool:
        return all(condition.is_active(self.values) for condition in one.conditions)

    def extended(self, one: Any, choices: dict[str, Any]) -> "list[_Branch]":
        return [_Branch(self.values, self._with(one.name, _distribution(one, choices)))]

    def split(self, one: Any, choices: dict[str, Any]) -> "list[_Branch]":
        return [
            _Branch(
                {**self.values, one.name: value},
                self.space
                if one.name == _SELECTOR
                else self._with(one.name, [_value(one.name, value, choices)]),
            )
            for value in _equally_likely(one)
        ]

    def _with(self, name: str, values: Any) -> dict[str, Any]:
        parameter = _parameter(name)
        if parameter in self.space:
            raise ValueError(
                f"from_hyperparameters: {parameter!r} has two ranges that can be active at the same time; "
                "name them apart, or set conditions that exclude each other"
            )
        return {**self.space, parameter: values}


def _equally_likely(one: Any) -> list[Any]:
    kind = type(one).__name__
    if kind in ("Float", "Int") and one.step is None:
        raise ValueError(
            f"from_hyperparameters: other hyperparameters depend on {one.name!r}, a {kind} of no listed"
            " values; make it a Choice, or give it a step"
        )
    return _listed(one)


def _listed(one: Any) -> list[Any]:
    """The values of what has a list of them."""
    kind = type(one).__name__
    if kind == "Boolean":
        return [one.default, not one.default]
    return [int(value) if kind == "Int" else value for value in one.values]


def _distribution(one: Any, choices: dict[str, Any]) -> Any:
    """A hyperparameter as a distribution or a list."""
    kind = type(one).__name__
    if kind == "Int" and one.sampling == "linear" and one.step == 1:
        return randint(one.min_value, one.max_value + 1)
    if kind not in ("Float", "Int") or one.step is not None:
        return [_value(one.name, value, choices) for value in _listed(one)]
    if one.min_value == one.max_value:
        return [_value(one.name, one.min_value, choices)]
    return _range(one, kind)


def _range(one: Any, kind: str) -> Any:
    low, high = one.min_value, one.max_value
    if one.sampling == "log" and _bare(one.name).startswith(_ONE_MINUS):
        return one_minus_loguniform(_complement(high), _complement(low))
    if one.sampling == "log":
        return int_loguniform(low, high) if kind == "Int" else loguniform(low, high)
    if one.sampling == "linear":
        return uniform(low, high - low)
    raise ValueError(
        f"from_hyperparameters: {one.name!r} is sampled reverse_log: max + min - x with x log-uniform on"
        f" [{low}, {high}], for which there is no distribution. Near 1, one_minus_loguniform is what is meant"
        " as a rule; with a step it would be a list"
    )


def params_from_hyperparameters(hp: Any, space: Space | Iterable[Space] | None = None) -> dict[str, Any]:
    """The values that `hp` has at the moment, as an estimator's parameters.

    1 - beta becomes beta, a position the value that is there; Hyperband's own entries ("tuner/epochs" and so
    on) are left out. A number above its range becomes the end of it: keras-tuner's Bayesian optimization may
    propose an integer's `max_value + 1`.

    Parameters
    ----------
    hp : keras_tuner.HyperParameters
        Of a trial, say.
    space : dict or list of dict, default=None
        The space that it was made of; needed only where `hp` went through a file and has positions.

    Returns
    -------
    dict
        For `estimator.set_params(**...)`.

    Raises
    ------
    TypeError
        If `hp` is no `HyperParameters`.
    ValueError
        If it has positions, and neither it nor `space` says of what.

    Examples
    --------
    >>> from kerashp.spaces import one_minus_loguniform, params_from_hyperparameters, to_hyperparameters
    >>> hp = to_hyperparameters({"momentum": one_minus_loguniform(0.9, 0.999), "n_neurons": [(30, 30), None]})
    >>> hp.values = {"1 - momentum": 0.0625, "position of n_neurons": 0}
    >>> params_from_hyperparameters(hp)
    {'momentum': 0.9375, 'n_neurons': (30, 30)}
    """
    choices = _choices("params_from_hyperparameters", hp, space)
    return {
        _parameter(name): _value(name, value, choices)
        for name, value in within_ranges(hp).items()
        if name != _SELECTOR and not name.startswith("tuner/")
    }


def parameter_names(hp: Any) -> set[str]:
    """The names of the parameters that `hp` has values for, or would have under some condition."""
    return {_parameter(one.name) for one in hp.space if one.name != _SELECTOR}


def within_ranges(hp: Any) -> dict[str, Any]:
    """The values of `hp`, none of those that may be any number above its range."""
    ends = {
        one.name: one.max_value
        for one in hp.space
        if hasattr(one, "max_value") and one.step is None and hp.is_active(one)
    }
    return {name: min(value, ends[name]) if name in ends else value for name, value in hp.values.items()}


def _choices(caller: str, hp: Any, space: Any) -> dict[str, list[Any]]:
    """The values behind positions, all of them."""
    from kerashp._compat.keras_tuner import keras_tuner

    if not isinstance(hp, keras_tuner.HyperParameters):
        raise TypeError(f"{caller}: hp must be a keras_tuner.HyperParameters, got {hp!r}")
    choices = getattr(hp if space is None else to_hyperparameters(space), "choices", {})
    names = {one.name for one in hp.space} | set(hp.values)
    lost = sorted(name for name in names if _bare(name).startswith(_POSITION) and name not in choices)
    if lost:
        raise ValueError(
            f"{caller}: the values behind {', '.join(map(repr, lost))} are not in hp, which has been in a"
            " file; use what to_hyperparameters(space) returned, or the space itself"
        )
    return choices


def _bare(name: str) -> str:
    """A hyperparameter's name without what tells several spaces apart."""
    return _SCOPE.sub("", name, count=1) if _SCOPE.match(name) else name


def _parameter(name: str) -> str:
    return _bare(name).removeprefix(_ONE_MINUS).removeprefix(_POSITION)


def _value(name: str, value: Any, choices: dict[str, list[Any]]) -> Any:
    """A parameter's value from a hyperparameter's."""
    if _bare(name).startswith(_POSITION):
        return choices[name][value]
    return _complement(value) if _bare(name).startswith(_ONE_MINUS) else value


def _complement(gap: float) -> float:
    """beta of 1 - beta; of all that round to it, one that reads well."""
    short = float(f"{1 - gap:.15g}")
    return short if 1 - short == gap else 1 - gap
