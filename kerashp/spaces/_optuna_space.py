"""A search space in terms of Optuna: distributions, and the values of trials. Optuna is imported at use."""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import singledispatch
from typing import Any

import numpy as np

from kerashp.spaces._conversion import Conversion
from kerashp.spaces._distributions import int_loguniform, one_minus_loguniform
from kerashp.spaces._hyperparameter_names import ONE_MINUS, POSITION, SELECTOR

_CONVERSION = Conversion("OptunaSearchCV", also=", and Optuna's distributions")
_CATEGORIES = (bool, int, float, str, type(None))  # a CategoricalDistribution holds values of these


@dataclass(frozen=True)
class OptunaParameter:
    """A parameter of an estimator, as a study knows it.

    Attributes
    ----------
    parameter : str
        Its name in the estimator.
    name : str
        Its name in the study.
    distribution : optuna.distributions.BaseDistribution
    choices : tuple or None, default=None
        The values whose positions the distribution holds.
    support : tuple of float or None, default=None
        The range of a value near 1, of which the distribution holds the difference from 1.
    """

    parameter: str
    name: str
    distribution: Any
    choices: tuple[Any, ...] | None = None
    support: tuple[float, float] | None = None

    def value(self, held: Any) -> Any:
        """The estimator's value for a value that the study holds."""
        if self.choices is not None:
            return self.choices[held]
        return held if self.support is None else float(np.clip(1 - held, *self.support))

    def held(self, value: Any) -> Any:
        """The value that the study holds for a value of the estimator.

        Raises
        ------
        ValueError
            If the distribution does not contain it.
        """
        value = value.item() if isinstance(value, np.generic) else value
        if hasattr(self.distribution, "choices"):
            position = _position(self.distribution.choices if self.choices is None else self.choices, value)
            return self.distribution.choices[position]
        low, high = self.distribution.low, self.distribution.high
        exact = value if self.support is None else 1 - value
        number = type(low)(min(max(exact, low), high))
        steps = (number - low) / self.distribution.step if self.distribution.step else 0.0
        if not math.isclose(number, exact, rel_tol=1e-9) or abs(steps - round(steps)) > 1e-8:
            raise ValueError(f"{value!r} of {self.parameter!r} is not in {self.distribution}")
        return number

    def contains(self, value: Any) -> bool:
        """Whether the distribution contains a value of the estimator."""
        try:
            self.held(value)
        except (TypeError, ValueError):
            return False
        return True

    def is_same(self, other: "OptunaParameter") -> bool:
        """Whether both have one distribution, and hold the values themselves."""
        return (
            self.choices is other.choices is None
            and self.support == other.support
            and self.distribution == other.distribution
        )


class OptunaSpace:
    """A space whose candidates a study proposes.

    Parameters
    ----------
    space : dict or list of dict
        From a parameter's name to a list, a distribution of SciPy's or kerashp's, or one of Optuna's. Of
        several spaces, the parameter "kerashp/space" chooses one. A parameter that has other values in
        another space has a name with a prefix.

    Raises
    ------
    TypeError, ValueError
        If a parameter cannot be translated.
    ImportError
        If Optuna is not installed.
    """

    def __init__(self, space: Any):
        spaces = [space] if isinstance(space, Mapping) else _CONVERSION.spaces(space)
        self._selector = None if isinstance(space, Mapping) else _categorical(SELECTOR, range(len(spaces)))
        self._spaces = _with_distinct_names([_parameters(subspace) for subspace in spaces])

    def distributions(self) -> dict[str, Any]:
        """The distribution of each parameter, by its name in a study."""
        selector = [] if self._selector is None else [self._selector]
        return {each.name: each.distribution for each in itertools.chain(selector, *self._spaces)}

    def suggested(self, trial: Any) -> dict[str, Any]:
        """The estimator's parameters that a running trial proposes."""
        index = 0 if self._selector is None else _suggested(trial, self._selector)
        return {
            parameter.parameter: parameter.value(_suggested(trial, parameter))
            for parameter in self._spaces[index]
        }

    def params(self, held: Mapping[str, Any]) -> dict[str, Any] | None:
        """The estimator's parameters of a trial that has ended; None if it is one of another space."""
        held = dict(held)
        index: Any = 0 if self._selector is None else held.pop(self._selector.name, None)
        if index not in range(len(self._spaces)):
            return None
        parameters = self._spaces[index]
        if held.keys() != {parameter.name for parameter in parameters}:
            return None
        return {parameter.parameter: parameter.value(held[parameter.name]) for parameter in parameters}


def optuna_parameter(name: str, values: Any) -> OptunaParameter:
    """A parameter with a list or a distribution, as Optuna knows it.

    Raises
    ------
    TypeError, ValueError
        If it cannot be translated.
    """
    _CONVERSION.check_name(name)
    return _parameter(values, name)


def parameters_of_candidates(space: Any, candidates: Sequence[Mapping[str, Any]]) -> list[OptunaParameter]:
    """The parameters of candidates that have been tried, with distributions that contain their values.

    These are the distributions of the space. A parameter without one that Optuna has, or with different ones
    in several spaces, is a range from the least to the greatest number that was tried, or a choice among the
    values that were tried.
    """
    found = []
    for name in dict.fromkeys(name for params in candidates for name in params):
        values = [params[name] for params in candidates if name in params]
        alternatives = _alternatives(name, space)
        is_one = bool(alternatives) and all(each.is_same(alternatives[0]) for each in alternatives[1:])
        if is_one and all(alternatives[0].contains(value) for value in values):
            found.append(alternatives[0])
        else:
            log = bool(alternatives) and all(
                getattr(each.distribution, "log", False) for each in alternatives
            )
            found.append(_of_values(name, values, log))
    return found


def _alternatives(name: str, space: Any) -> list[OptunaParameter]:
    """What Optuna has for a parameter in each of the spaces."""
    found = []
    for subspace in [space] if isinstance(space, Mapping) else space or []:
        with suppress(TypeError, ValueError):
            found += [optuna_parameter(name, subspace[name])] if name in subspace else []
    return found


def _of_values(name: str, values: Sequence[Any], log: bool) -> OptunaParameter:
    """A parameter of which only values are known."""
    plain = [value.item() if isinstance(value, np.generic) else value for value in values]
    if not all(type(value) in (int, float) and math.isfinite(value) for value in plain):
        distinct: list[Any] = []
        for value in plain:
            distinct += [] if any(_are_equal(other, value) for other in distinct) else [value]
        return _of_choices(distinct, name)
    low, high = min(plain), max(plain)
    if all(type(value) is int for value in plain):
        return _integers(name, low, high, log=log and low > 0)
    return _floats(name, float(low), float(high), log=log and low > 0)


def _parameters(space: Mapping[str, Any]) -> list[OptunaParameter]:
    return [optuna_parameter(name, values) for name, values in space.items()]


@singledispatch
def _parameter(dist: Any, name: str) -> OptunaParameter:
    """A parameter that has a distribution of Optuna's or SciPy's; the other kinds are registered below."""
    from kerashp._compat.tuners.optuna import optuna

    if isinstance(dist, optuna.distributions.CategoricalDistribution):
        return _of_choices(list(dist.choices), name)
    if isinstance(dist, optuna.distributions.BaseDistribution):
        return OptunaParameter(name, name, dist)
    support = _CONVERSION.range_of(dist, name)
    if support.scale == "integers":
        return _integers(name, support.low, support.high)
    return _floats(name, support.low, support.high, log=support.scale == "log")


@_parameter.register
def _(dist: int_loguniform, name: str) -> OptunaParameter:
    return _integers(name, dist.low, dist.high, log=True)


@_parameter.register
def _(dist: one_minus_loguniform, name: str) -> OptunaParameter:
    low, high = dist.support()
    return OptunaParameter(
        name, ONE_MINUS + name, _floats(name, 1 - high, 1 - low, log=True).distribution, support=(low, high)
    )


@_parameter.register
def _(values: range, name: str) -> OptunaParameter:
    numbers = sorted(_CONVERSION.choices(values, name))
    return _integers(name, numbers[0], numbers[-1], step=abs(values.step))


@_parameter.register
def _(values: list | tuple | np.ndarray, name: str) -> OptunaParameter:
    return _of_choices(_CONVERSION.choices(values, name), name)


def _of_choices(choices: list[Any], name: str) -> OptunaParameter:
    if _are_categories(choices):
        return _categorical(name, choices)
    positions = _categorical(POSITION + name, range(len(choices)))
    return OptunaParameter(name, positions.name, positions.distribution, tuple(choices))


def _are_categories(choices: Sequence[Any]) -> bool:
    """Whether a CategoricalDistribution can hold the values and distinguish them."""
    if not all(type(choice) in _CATEGORIES for choice in choices):
        return False
    finite = all(math.isfinite(choice) for choice in choices if isinstance(choice, float))
    return finite and len(set(choices)) == len(choices)


def _categorical(name: str, choices: Iterable[Any]) -> OptunaParameter:
    from kerashp._compat.tuners.optuna import optuna

    return OptunaParameter(name, name, optuna.distributions.CategoricalDistribution(tuple(choices)))


def _integers(name: str, low: Any, high: Any, **options: Any) -> OptunaParameter:
    from kerashp._compat.tuners.optuna import optuna

    return OptunaParameter(name, name, optuna.distributions.IntDistribution(low, high, **options))


def _floats(name: str, low: float, high: float, log: bool) -> OptunaParameter:
    from kerashp._compat.tuners.optuna import optuna

    return OptunaParameter(name, name, optuna.distributions.FloatDistribution(low, high, log=log))


def _suggested(trial: Any, parameter: OptunaParameter) -> Any:
    """The value of a parameter that a running trial proposes."""
    name, dist = parameter.name, parameter.distribution
    if hasattr(dist, "choices"):
        return trial.suggest_categorical(name, dist.choices)
    suggest = trial.suggest_int if isinstance(dist.low, int) else trial.suggest_float
    return suggest(name, dist.low, dist.high, step=dist.step, log=dist.log)


def _with_distinct_names(spaces: list[list[OptunaParameter]]) -> list[list[OptunaParameter]]:
    """The parameters, with a prefix where one has another distribution in another space."""
    by_name: dict[str, list[OptunaParameter]] = {}
    for parameter in (parameter for space in spaces for parameter in space):
        by_name.setdefault(parameter.name, []).append(parameter)
    differing = {
        name
        for name, parameters in by_name.items()
        if len(parameters) > 1 and not all(parameters[0].is_same(parameter) for parameter in parameters)
    }
    return [
        [
            replace(parameter, name=f"kerashp/{index}/{parameter.name}")
            if parameter.name in differing
            else parameter
            for parameter in space
        ]
        for index, space in enumerate(spaces)
    ]


def _position(choices: Sequence[Any], value: Any) -> int:
    for position, choice in enumerate(choices):
        if _are_equal(choice, value):
            return position
    raise ValueError(f"{value!r} is not among {choices!r}")


def _are_equal(choice: Any, value: Any) -> bool:
    """Whether two values are equal and of one type: 1, 1.0 and True are different."""
    if choice is value or type(choice) is not type(value):
        return choice is value
    return np.array_equal(choice, value) if isinstance(choice, np.ndarray) else bool(choice == value)
