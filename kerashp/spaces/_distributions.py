"""Distributions of hyperparameters that SciPy lacks.

They have SciPy's method `rvs(size, random_state)`, so scikit-learn's `ParameterSampler` and the searches
accept them.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import loguniform, uniform

from kerashp.spaces._checks import integer, number


class _Bounded(ABC):
    low: Any
    high: Any

    @abstractmethod
    def ppf(self, q: Any) -> Any:
        """The inverse of the cumulative distribution function."""

    def rvs(self, size: Any = None, random_state: Any = None) -> Any:
        """Draw random values.

        Parameters
        ----------
        size : int or tuple of int, default=None
            The shape of the result.
        random_state : int, RandomState, Generator or None, default=None
            As in `scipy.stats`; None draws from `numpy.random`.

        Returns
        -------
        int, float or ndarray
            One Python number if `size` is None, otherwise an array.
        """
        return self.ppf(uniform.rvs(size=size, random_state=random_state))

    def support(self) -> tuple[Any, Any]:
        """The smallest and the largest value.

        Returns
        -------
        tuple
            `(low, high)`.
        """
        return self.low, self.high

    def _clipped(self, numbers: Any, dtype: type) -> Any:
        bounded = np.clip(numbers, self.low, self.high).astype(dtype)
        return bounded.item() if bounded.ndim == 0 else bounded  # Keras wants `int`, not `np.int64`


@dataclass(frozen=True)
class int_loguniform(_Bounded):
    """Log-uniform integers from `low` to `high`, both included.

    A value is the floor of a log-uniform number on [low, high + 1):
    P(k) = log((k + 1) / k) / log((high + 1) / low).

    Parameters
    ----------
    low : int
        The smallest value, at least 1.
    high : int
        The largest value, above `low` and below 2**53, from where floats cannot represent every integer.

    Raises
    ------
    TypeError
        If a bound is not an integer.
    ValueError
        Unless 1 <= low < high < 2**53.

    References
    ----------
    J. Bergstra and Y. Bengio, Random Search for Hyper-Parameter Optimization, JMLR 2012: integers "drawn
    geometrically". They round to the nearest integer, which halves the probability of both ends.

    Examples
    --------
    >>> int_loguniform(10, 1000).ppf([0.0, 0.5, 1.0])
    array([  10,  100, 1000])
    >>> type(int_loguniform(10, 1000).rvs(random_state=0))
    <class 'int'>
    """

    low: int
    high: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "low", integer("int_loguniform", "low", self.low))
        object.__setattr__(self, "high", integer("int_loguniform", "high", self.high))
        _check_order(self, 1 <= self.low < self.high < 2**53, "1 <= low < high < 2**53")

    def cdf(self, k: Any) -> Any:
        """The cumulative distribution function, P(X <= k).

        Parameters
        ----------
        k : array-like of int
            Where to evaluate it.

        Returns
        -------
        float or ndarray
            A probability for each element.
        """
        return self._continuous().cdf(np.floor(k) + 1)

    def ppf(self, q: Any) -> Any:
        """The inverse of `cdf`, the smallest integer k with cdf(k) >= q; `low` for q = 0.

        Parameters
        ----------
        q : array-like of float
            Probabilities.

        Returns
        -------
        int or ndarray
            A value for each probability.

        Raises
        ------
        ValueError
            If a probability is outside [0, 1].
        """
        return self._clipped(np.ceil(self._continuous().ppf(_quantiles(self, q))) - 1, int)

    def _continuous(self) -> Any:
        return loguniform(float(self.low), float(self.high + 1))


@dataclass(frozen=True)
class one_minus_loguniform(_Bounded):
    """Numbers near 1, such as a momentum: beta in [low, high], with 1 - beta log-uniform.

    The density is 1 / ((1 - beta) log((1 - low) / (1 - high))). The median is
    1 - sqrt((1 - low) (1 - high)), which is 0.99 on [0.9, 0.999].

    Parameters
    ----------
    low : float
        The smallest value, at least 0.
    high : float
        The largest value, above `low` and below 1.

    Raises
    ------
    TypeError
        If a bound is not a real number.
    ValueError
        Unless 0 <= low < high < 1.

    References
    ----------
    A. Ng, Improving Deep Neural Networks (deeplearning.ai), week 3, "Using an appropriate scale to pick
    hyperparameters".

    Examples
    --------
    >>> round(one_minus_loguniform(0.9, 0.999).ppf(0.5), 6)
    0.99
    >>> one_minus_loguniform(0.9, 0.999).support()
    (0.9, 0.999)
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "low", number("one_minus_loguniform", "low", self.low))
        object.__setattr__(self, "high", number("one_minus_loguniform", "high", self.high))
        _check_order(self, 0 <= self.low < self.high < 1, "0 <= low < high < 1")

    def cdf(self, beta: Any) -> Any:
        """The cumulative distribution function, P(X <= beta).

        Parameters
        ----------
        beta : array-like of float
            Where to evaluate it.

        Returns
        -------
        float or ndarray
            A probability for each element.
        """
        return self._gap().sf(1 - np.asarray(beta))

    def ppf(self, q: Any) -> Any:
        """The inverse of `cdf`.

        Parameters
        ----------
        q : array-like of float
            Probabilities.

        Returns
        -------
        float or ndarray
            A value for each probability.

        Raises
        ------
        ValueError
            If a probability is outside [0, 1].
        """
        return self._clipped(1 - self._gap().isf(_quantiles(self, q)), float)

    def _gap(self) -> Any:
        return loguniform(1 - self.high, 1 - self.low)


def _quantiles(dist: Any, q: Any) -> np.ndarray:
    quantiles = np.asarray(q, dtype=float)
    if not np.all((quantiles >= 0) & (quantiles <= 1)):
        raise ValueError(f"{type(dist).__name__}: q must be in [0, 1], got {q!r}")
    return quantiles


def _check_order(dist: Any, in_order: bool, expected: str) -> None:
    if not in_order:
        remedy = "; swap them" if dist.low > dist.high else ""
        raise ValueError(
            f"{type(dist).__name__}: expected {expected}, got low={dist.low!r}, high={dist.high!r}{remedy}"
        )
