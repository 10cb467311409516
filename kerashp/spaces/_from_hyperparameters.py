"""Converts keras-tuner's hyperparameters to a search space, and their values to parameters.

keras-tuner is imported on first use.
"""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from scipy.stats import loguniform, randint, uniform

from kerashp.spaces._distributions import int_loguniform, one_minus_loguniform
from kerashp.spaces._hyperparameter_names import ONE_MINUS, POSITION, SELECTOR, bare_name, parameter_name
from kerashp.spaces._to_hyperparameters import Space, to_hyperparameters


def from_hyperparameters(hp: Any) -> dict[str, Any] | list[dict[str, Any]]:
    """Convert keras-tuner's `HyperParameters` to a space for the searches of scikit-learn and kerashp.

    This is the inverse of `to_hyperparameters`, except that tuples, ranges and arrays become lists. `Int` and
    `Float` with a `step` become lists, too. Conditional hyperparameters give a list of spaces, one for each
    value of each hyperparameter on which others depend; scikit-learn draws from them with equal probability.

    Parameters
    ----------
    hp : keras_tuner.HyperParameters
        The hyperparameters.

    Returns
    -------
    dict, or list of dict
        From the parameter's name to a list or distribution.

    Raises
    ------
    TypeError
        If `hp` is not a `HyperParameters`.
    ValueError
        If a hyperparameter has no counterpart: it is sampled "reverse_log" without a step; a condition
        depends on one that has no list of values; two hyperparameters of the same name can be active at the
        same time; or the values that belong to positions were lost because `hp` was written to a file.

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
    choices = _position_values("from_hyperparameters", hp, None)
    parents = {condition.name for parameter in hp.space for condition in parameter.conditions}
    branches = [_Branch({}, {})]
    for parameter in hp.space:
        splits = parameter.name in parents or parameter.name == SELECTOR
        extend = _Branch.split if splits else _Branch.extended
        branches = list(
            itertools.chain.from_iterable(
                extend(branch, parameter, choices) if branch.activates(parameter) else [branch]
                for branch in branches
            )
        )
    spaces = [branch.space for branch in branches]
    is_list = len(spaces) > 1 or any(parameter.name == SELECTOR for parameter in hp.space)
    return spaces if is_list else spaces[0]


@dataclass(frozen=True)
class _Branch:
    """The part of a space in which the parents of conditional hyperparameters have these values."""

    values: dict[str, Any]
    space: dict[str, Any]

    def activates(self, parameter: Any) -> bool:
        """Whether a hyperparameter is active here."""
        return all(condition.is_active(self.values) for condition in parameter.conditions)

    def extended(self, parameter: Any, choices: dict[str, Any]) -> "list[_Branch]":
        """This branch with the distribution of a hyperparameter."""
        return [_Branch(self.values, self._with(parameter.name, _distribution(parameter, choices)))]

    def split(self, parameter: Any, choices: dict[str, Any]) -> "list[_Branch]":
        """One branch for each value of a hyperparameter."""
        return [
            _Branch(
                {**self.values, parameter.name: value},
                self.space
                if parameter.name == SELECTOR
                else self._with(parameter.name, [_parameter_value(parameter.name, value, choices)]),
            )
            for value in _values_of_parent(parameter)
        ]

    def _with(self, name: str, values: Any) -> dict[str, Any]:
        name = parameter_name(name)
        if name in self.space:
            raise ValueError(
                f"from_hyperparameters: {name!r} has two ranges that can be active at the same time; "
                "give them different names, or set conditions that exclude each other"
            )
        return {**self.space, name: values}


def _values_of_parent(parameter: Any) -> list[Any]:
    kind = type(parameter).__name__
    if kind in ("Float", "Int") and parameter.step is None:
        raise ValueError(
            f"from_hyperparameters: other hyperparameters depend on {parameter.name!r}, a {kind} without a"
            " list of values; make it a Choice, or give it a step"
        )
    return _enumerated(parameter)


def _enumerated(parameter: Any) -> list[Any]:
    """The values of a hyperparameter that has finitely many."""
    kind = type(parameter).__name__
    if kind == "Boolean":
        return [parameter.default, not parameter.default]
    return [int(value) if kind == "Int" else value for value in parameter.values]


def _distribution(parameter: Any, choices: dict[str, Any]) -> Any:
    """The distribution, or the list, that corresponds to a hyperparameter."""
    kind = type(parameter).__name__
    if kind == "Int" and parameter.sampling == "linear" and parameter.step == 1:
        return randint(parameter.min_value, parameter.max_value + 1)
    if kind not in ("Float", "Int") or parameter.step is not None:
        return [_parameter_value(parameter.name, value, choices) for value in _enumerated(parameter)]
    if parameter.min_value == parameter.max_value:
        return [_parameter_value(parameter.name, parameter.min_value, choices)]
    return _continuous_distribution(parameter, kind)


def _continuous_distribution(parameter: Any, kind: str) -> Any:
    low, high = parameter.min_value, parameter.max_value
    if parameter.sampling == "log" and bare_name(parameter.name).startswith(ONE_MINUS):
        return one_minus_loguniform(_complement(high), _complement(low))
    if parameter.sampling == "log":
        return int_loguniform(low, high) if kind == "Int" else loguniform(low, high)
    if parameter.sampling == "linear":
        return uniform(low, high - low)
    raise ValueError(
        f"from_hyperparameters: {parameter.name!r} is sampled reverse_log: max + min - x with x log-uniform"
        f" on [{low}, {high}]. SciPy has no such distribution. For values near 1 use one_minus_loguniform;"
        " or give the hyperparameter a step, which makes it a list"
    )


def params_from_hyperparameters(hp: Any, space: Space | Iterable[Space] | None = None) -> dict[str, Any]:
    """Convert the current values of `hp` to an estimator's parameters.

    The value of 1 - beta becomes beta, and a position becomes the value at that position. Hyperband's own
    entries ("tuner/epochs" and so on) are left out. A number above its range is replaced by the end of the
    range, since keras-tuner's Bayesian optimization may propose `max_value + 1` for an integer.

    Parameters
    ----------
    hp : keras_tuner.HyperParameters
        The hyperparameters, for example those of a trial.
    space : dict or list of dict, default=None
        The space from which `hp` was made; needed only if `hp` was read from a file and has positions.

    Returns
    -------
    dict
        Arguments of `estimator.set_params`.

    Raises
    ------
    TypeError
        If `hp` is not a `HyperParameters`.
    ValueError
        If `hp` has positions whose values are neither in `hp` nor in `space`.

    Examples
    --------
    >>> from kerashp.spaces import one_minus_loguniform, params_from_hyperparameters, to_hyperparameters
    >>> hp = to_hyperparameters({"momentum": one_minus_loguniform(0.9, 0.999), "n_neurons": [(30, 30), None]})
    >>> hp.values = {"1 - momentum": 0.0625, "position of n_neurons": 0}
    >>> params_from_hyperparameters(hp)
    {'momentum': 0.9375, 'n_neurons': (30, 30)}
    """
    choices = _position_values("params_from_hyperparameters", hp, space)
    return {
        parameter_name(name): _parameter_value(name, value, choices)
        for name, value in within_ranges(hp).items()
        if name != SELECTOR and not name.startswith("tuner/")
    }


def parameter_names(hp: Any) -> set[str]:
    """The names of all parameters in `hp`, active or not."""
    return {parameter_name(parameter.name) for parameter in hp.space if parameter.name != SELECTOR}


def within_ranges(hp: Any) -> dict[str, Any]:
    """The values of `hp`; a number above its range is replaced by the end of the range."""
    ends = {
        parameter.name: parameter.max_value
        for parameter in hp.space
        if hasattr(parameter, "max_value") and parameter.step is None and hp.is_active(parameter)
    }
    return {name: min(value, ends[name]) if name in ends else value for name, value in hp.values.items()}


def _position_values(caller: str, hp: Any, space: Any) -> dict[str, list[Any]]:
    """The list of values for each hyperparameter whose own values are positions."""
    from kerashp._compat.tuners.keras_tuner import keras_tuner

    if not isinstance(hp, keras_tuner.HyperParameters):
        raise TypeError(f"{caller}: hp must be a keras_tuner.HyperParameters, got {hp!r}")
    choices = getattr(hp if space is None else to_hyperparameters(space), "choices", {})
    names = {parameter.name for parameter in hp.space} | set(hp.values)
    missing = sorted(name for name in names if bare_name(name).startswith(POSITION) and name not in choices)
    if missing:
        raise ValueError(
            f"{caller}: hp was read from a file and lacks the values of {', '.join(map(repr, missing))}; pass"
            " the result of to_hyperparameters(space), or the space itself"
        )
    return choices


def _parameter_value(name: str, value: Any, choices: dict[str, list[Any]]) -> Any:
    """The value of a parameter that corresponds to the value of a hyperparameter."""
    if bare_name(name).startswith(POSITION):
        return choices[name][value]
    return _complement(value) if bare_name(name).startswith(ONE_MINUS) else value


def _complement(gap: float) -> float:
    """beta from 1 - beta: the shortest number of those that round to it."""
    short = float(f"{1 - gap:.15g}")
    return short if 1 - short == gap else 1 - gap
