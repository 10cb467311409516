"""Distributions of hyperparameters that SciPy lacks.

They have `rvs(size, random_state)` as SciPy's, so that scikit-learn's `ParameterSampler` and searches take
them.
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
        """The inverse of the cdf."""

    def rvs(self, size: Any = None, random_state: Any = None) -> Any:
        """One Python number (`size` None) or an array of shape `size`; `random_state` as in SciPy."""
        return self.ppf(uniform.rvs(size=size, random_state=random_state))

    def support(self) -> tuple[Any, Any]:
        """The least and the greatest value."""
        return self.low, self.high

    def _within(self, numbers: Any, dtype: type) -> Any:
        bounded = np.clip(numbers, self.low, self.high).astype(dtype)
        return bounded.item() if bounded.ndim == 0 else bounded  # Keras wants `int`, not `np.int64`


@dataclass(frozen=True)
class int_loguniform(_Bounded):
    """Integers from `low` to `high`, both included, log-uniform.

    The law is the floor of a log-uniform number on [low, high + 1):
    P(k) = log((k + 1) / k) / log((high + 1) / low).

    Args:
        low: least integer, 1 or more.
        high: greatest integer, above `low` and below 2**53 (from there on floats skip integers).

    Raises:
        TypeError: a bound is not an integer.
        ValueError: not 1 <= low < high < 2**53.

    >>> int_loguniform(10, 1000).ppf([0.0, 0.5, 1.0])
    array([  10,  100, 1000])
    >>> type(int_loguniform(10, 1000).rvs(random_state=0))
    <class 'int'>

    Source: Bergstra & Bengio, Random Search for Hyper-Parameter Optimization, JMLR 2012 ("drawn
    geometrically"; there rounded to the nearest integer, which halves the chance of both ends).
    """

    low: int
    high: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "low", integer("int_loguniform", "low", self.low))
        object.__setattr__(self, "high", integer("int_loguniform", "high", self.high))
        _check_order(self, 1 <= self.low < self.high < 2**53, "1 <= low < high < 2**53")

    def cdf(self, k: Any) -> Any:
        """P(X <= k); arrays element by element."""
        return self._real_law().cdf(np.floor(k) + 1)

    def ppf(self, q: Any) -> Any:
        """The least integer k with cdf(k) >= q, for q in [0, 1] (`low` at 0); ValueError elsewhere."""
        return self._within(np.ceil(self._real_law().ppf(_quantiles(self, q))) - 1, int)

    def _real_law(self) -> Any:
        return loguniform(float(self.low), float(self.high + 1))


@dataclass(frozen=True)
class one_minus_loguniform(_Bounded):
    """Numbers near 1, such as momentum: beta in [low, high] with 1 - beta log-uniform.

    Its density is 1 / ((1 - beta) log((1 - low) / (1 - high))); its median is
    1 - sqrt((1 - low) (1 - high)), which is 0.99 on [0.9, 0.999].

    Args:
        low: least beta, 0 or more.
        high: greatest beta, above `low` and below 1.

    Raises:
        TypeError: a bound is not a real number.
        ValueError: not 0 <= low < high < 1.

    >>> round(one_minus_loguniform(0.9, 0.999).ppf(0.5), 6)
    0.99
    >>> one_minus_loguniform(0.9, 0.999).support()
    (0.9, 0.999)

    Source: A. Ng, Improving Deep Neural Networks (deeplearning.ai), week 3, "Using an appropriate scale to
    pick hyperparameters".
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "low", number("one_minus_loguniform", "low", self.low))
        object.__setattr__(self, "high", number("one_minus_loguniform", "high", self.high))
        _check_order(self, 0 <= self.low < self.high < 1, "0 <= low < high < 1")

    def cdf(self, beta: Any) -> Any:
        """P(X <= beta); arrays element by element."""
        return self._gap_law().sf(1 - np.asarray(beta))

    def ppf(self, q: Any) -> Any:
        """The beta with cdf(beta) = q, for q in [0, 1]; ValueError elsewhere."""
        return self._within(1 - self._gap_law().isf(_quantiles(self, q)), float)

    def _gap_law(self) -> Any:
        return loguniform(1 - self.high, 1 - self.low)


def _quantiles(dist: Any, q: Any) -> np.ndarray:
    quantiles = np.asarray(q, dtype=float)
    if not np.all((quantiles >= 0) & (quantiles <= 1)):
        raise ValueError(f"{type(dist).__name__}: q must be in [0, 1], got {q!r}")
    return quantiles


def _check_order(dist: Any, in_order: bool, expected: str) -> None:
    if not in_order:
        mend = "; swap them" if dist.low > dist.high else ""
        raise ValueError(
            f"{type(dist).__name__}: expected {expected}, got low={dist.low!r}, high={dist.high!r}{mend}"
        )
