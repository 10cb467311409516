"""The scale of a parameter: where its values lie on an axis, and what is written there."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np

from kerashp.spaces import int_loguniform, one_minus_loguniform

LINEAR, LOG, ONE_MINUS_LOG, CATEGORIES = "linear", "log", "one minus log", "categories"
MISSING = object()  # the value of a parameter that a candidate does not have

_BY_NAME = {"loguniform": LOG, "reciprocal": LOG, "uniform": LINEAR, "randint": LINEAR}
_LEAST_RATIO = 8.0  # of the greatest value to the least, on a log scale
_MOST_EXPONENT = 307  # of a power of ten, also of its inverse, that is a float
_MOST_CATEGORIES = 14  # that are written at an axis


@dataclass(frozen=True)
class Scale:
    """Of one parameter.

    Attributes
    ----------
    kind : {"linear", "log", "one minus log", "categories"}
        "one minus log" is for numbers near 1, such as momentum: log(1 - value), turned round.
    categories : tuple of str
        What is written for each.
    whole : bool
        Whether all values are integers.
    """

    kind: str
    categories: tuple[str, ...] = ()
    whole: bool = False

    def numbers(self, values: Sequence[Any]) -> np.ndarray:
        """The values as numbers, a category's place in their order; NaN where one is missing."""
        if self.kind == CATEGORIES:
            places = {name: place for place, name in enumerate(self.categories)}
            return np.array([math.nan if one is MISSING else places[written(one)] for one in values], float)
        return np.array([math.nan if one is MISSING else float(one) for one in values])

    def forward(self, numbers: Any) -> np.ndarray:
        """Places on an axis on which the scale is even."""
        numbers = np.asarray(numbers, float)
        with np.errstate(divide="ignore", invalid="ignore"):  # matplotlib asks for places outside
            if self.kind == LOG:
                return np.log10(numbers)
            return -np.log10(1 - numbers) if self.kind == ONE_MINUS_LOG else numbers

    def backward(self, places: Any) -> np.ndarray:
        """The inverse of `forward`."""
        places = np.asarray(places, float)
        if self.kind in (LINEAR, CATEGORIES):
            return places
        exponents = np.clip(places, -_MOST_EXPONENT, _MOST_EXPONENT)  # matplotlib asks for places outside
        return 10.0**exponents if self.kind == LOG else 1 - 10.0**-exponents

    def ticks(self, low: float, high: float) -> tuple[list[float], list[str]]:
        """Where an axis from `low` to `high` is marked, and what is written there."""
        if self.kind == CATEGORIES:
            step = -(-len(self.categories) // _MOST_CATEGORIES)
            places = range(0, len(self.categories), step)
            return [float(place) for place in places], [self.categories[place] for place in places]
        if self.kind == LOG:
            at = log_ticks(low, high)
        elif self.kind == ONE_MINUS_LOG:
            at = [1 - gap for gap in reversed(log_ticks(1 - high, 1 - low))]
        else:
            at = linear_ticks(low, high, self.whole)
        return at, [number_written(value) for value in at]


def scale_of(values: Sequence[Any], spaces: Sequence[Any] = ()) -> Scale:
    """The scale of what a parameter was drawn from, or, where that does not say, of its values."""
    present = [value for value in values if value is not MISSING]
    if not present or not all(map(_is_number, present)):
        return Scale(CATEGORIES, _categories(present, spaces))
    whole = all(isinstance(value, Integral) for value in present)
    kinds = {_kind_of(space) for space in spaces}
    kind = kinds.pop() if len(kinds) == 1 else None
    choices = _choices(spaces)
    listed = choices if choices and all(map(_is_number, choices)) else present
    kind = kind or _kind_of_numbers(np.array(listed, float))
    return Scale(kind, _categories(present, spaces) if kind == CATEGORIES else (), whole)


def _kind_of(space: Any) -> str | None:
    if isinstance(space, one_minus_loguniform):
        return ONE_MINUS_LOG
    if isinstance(space, int_loguniform):
        return LOG
    return _BY_NAME.get(getattr(getattr(space, "dist", None), "name", ""))


def _kind_of_numbers(numbers: np.ndarray) -> str:
    """On which scale the median is nearest to the middle; zero has no place on a log scale."""
    low, high = numbers.min(), numbers.max()
    if low > 0 and math.log(high) - math.log(low) >= math.log(_LEAST_RATIO) - 1e-9:
        if _off_centre(np.log(numbers)) <= _off_centre(numbers) + 1e-9:
            return LOG
    elif low >= 0.5 and high < 1 and (1 - low) / (1 - high) >= _LEAST_RATIO:
        if _off_centre(np.log1p(-numbers)) <= _off_centre(numbers) + 1e-9:
            return ONE_MINUS_LOG
    elif low == 0 and len(np.unique(numbers)) <= _MOST_CATEGORIES:
        positive = numbers[numbers > 0]
        if positive.size and _kind_of_numbers(positive) == LOG:
            return CATEGORIES
    return LINEAR


def _off_centre(numbers: np.ndarray) -> float:
    low, middle, high = np.quantile(numbers, [0, 0.5, 1])
    return float(abs((middle - low) / (high - low) - 0.5))


def _categories(present: Sequence[Any], spaces: Sequence[Any]) -> tuple[str, ...]:
    """In the order of the space's lists, or of their appearance; numbers in their own."""
    names = {written(value) for value in present}
    every = [*_choices(spaces), *present]
    if all(map(_is_number, every)):
        every = sorted(every)
    return tuple(name for name in dict.fromkeys(map(written, every)) if name in names)


def _choices(spaces: Sequence[Any]) -> list[Any]:
    """The values of the lists among the spaces."""
    lists = [space for space in spaces if isinstance(space, list | tuple | range | np.ndarray)]
    return [choice for choices in lists for choice in choices]


def _is_number(value: Any) -> bool:
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer that is no float
        return False


def written(value: Any) -> str:
    """A parameter's value as text of one line.

    >>> written("relu"), written(0.1234567), written(None), written(np.tanh), written((8, 4))
    ('relu', '0.123457', 'None', 'tanh', '(8, 4)')
    """
    if isinstance(value, float | np.floating):
        return number_written(float(value))
    if isinstance(value, np.generic):
        return written(value.item())
    if callable(value) and hasattr(value, "__name__"):
        return str(value.__name__)
    return " ".join((value if isinstance(value, str) else repr(value)).split())


def number_written(value: float) -> str:
    """A number in six digits at most, without the zeros of its exponent.

    >>> number_written(1e-05), number_written(0.001), number_written(2e6), number_written(0.9999)
    ('1e-5', '0.001', '2e6', '0.9999')
    """
    digits, _, exponent = f"{value:.6g}".partition("e")
    return f"{digits}e{int(exponent)}" if exponent else digits


def linear_ticks(low: float, high: float, whole: bool = False) -> list[float]:
    """Round numbers in [low, high], about five.

    >>> linear_ticks(0, 100), linear_ticks(1, 3, whole=True)
    ([0.0, 20.0, 40.0, 60.0, 80.0, 100.0], [1.0, 2.0, 3.0])
    """
    if not low < high:
        return [float(low)]
    size = 10.0 ** math.floor(math.log10((high - low) / 4))
    step = next(times * size for times in (1, 2, 5, 10) if (high - low) / (times * size) <= 5)
    step = max(1.0, step) if whole else step
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(place * step, 12) for place in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten in [low, high], or 1, 2 and 5 times them where there are few.

    >>> log_ticks(1e-5, 1e-1), log_ticks(0.003, 0.03)
    ([1e-05, 0.0001, 0.001, 0.01, 0.1], [0.005, 0.01, 0.02])
    """
    least, most = math.floor(math.log10(low)), math.ceil(math.log10(high))
    exponents = range(max(least, -_MOST_EXPONENT), min(most, _MOST_EXPONENT) + 1)
    powers = _within([10.0**exponent for exponent in exponents], low, high)
    if len(powers) >= 3:
        return powers[:: -(-len(powers) // 6)]
    finer = [times * 10.0**exponent for exponent in exponents for times in (1, 2, 5)]
    return _within(finer, low, high) or linear_ticks(low, high)


def _within(ticks: Sequence[float], low: float, high: float) -> list[float]:
    return [float(f"{tick:.6g}") for tick in ticks if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]
