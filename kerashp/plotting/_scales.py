"""The scale of a parameter: the places of its values on an axis, and the labels of the axis."""

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
_LEAST_RATIO = 8.0  # of the greatest value to the lowest, for a log scale
_MOST_EXPONENT = 307  # of a power of ten that is a float, and whose inverse is one
_MOST_CATEGORIES = 14  # that are labelled at an axis


@dataclass(frozen=True)
class Scale:
    """The scale of a parameter.

    Attributes
    ----------
    kind : {"linear", "log", "one minus log", "categories"}
        "one minus log" is -log(1 - value), for numbers near 1 such as momentum.
    categories : tuple of str
        The label of each category.
    whole : bool
        Whether all values are integers.
    """

    kind: str
    categories: tuple[str, ...] = ()
    whole: bool = False

    def numbers(self, values: Sequence[Any]) -> np.ndarray:
        """The values as numbers, or the indices of categories; NaN for a missing value."""
        if self.kind == CATEGORIES:
            places = {name: place for place, name in enumerate(self.categories)}
            return np.array(
                [math.nan if value is MISSING else places[value_text(value)] for value in values], float
            )
        return np.array([math.nan if value is MISSING else float(value) for value in values])

    def forward(self, numbers: Any) -> np.ndarray:
        """The places of numbers on an axis with an even scale."""
        numbers = np.asarray(numbers, float)
        with np.errstate(divide="ignore", invalid="ignore"):  # matplotlib passes numbers out of range
            if self.kind == LOG:
                return np.log10(numbers)
            return -np.log10(1 - numbers) if self.kind == ONE_MINUS_LOG else numbers

    def backward(self, places: Any) -> np.ndarray:
        """The inverse of `forward`."""
        places = np.asarray(places, float)
        if self.kind in (LINEAR, CATEGORIES):
            return places
        exponents = np.clip(places, -_MOST_EXPONENT, _MOST_EXPONENT)  # matplotlib passes numbers out of range
        return 10.0**exponents if self.kind == LOG else 1 - 10.0**-exponents

    def ticks(self, low: float, high: float) -> tuple[list[float], list[str]]:
        """The ticks of an axis from `low` to `high`, and their labels."""
        if self.kind == CATEGORIES:
            step = -(-len(self.categories) // _MOST_CATEGORIES)
            places = range(0, len(self.categories), step)
            return [float(place) for place in places], [self.categories[place] for place in places]
        if self.kind == LOG:
            numbers = log_ticks(low, high)
        elif self.kind == ONE_MINUS_LOG:
            numbers = [1 - gap for gap in reversed(log_ticks(1 - high, 1 - low))]
        else:
            numbers = linear_ticks(low, high, self.whole)
        return numbers, [number_text(number) for number in numbers]


def scale_of(values: Sequence[Any], spaces: Sequence[Any] = ()) -> Scale:
    """The scale of a parameter: that of its distributions, or one that suits its values."""
    present = [value for value in values if value is not MISSING]
    if not present or not all(map(_is_axis_number, present)):
        return Scale(CATEGORIES, _categories(present, spaces))
    whole = all(isinstance(value, Integral) for value in present)
    kinds = {_kind_of_space(space) for space in spaces}
    kind = kinds.pop() if len(kinds) == 1 else None
    choices = _listed_values(spaces)
    numbers = choices if choices and all(map(_is_axis_number, choices)) else present
    kind = kind or _kind_of_numbers(np.array(numbers, float))
    return Scale(kind, _categories(present, spaces) if kind == CATEGORIES else (), whole)


def _kind_of_space(space: Any) -> str | None:
    if isinstance(space, one_minus_loguniform):
        return ONE_MINUS_LOG
    if isinstance(space, int_loguniform):
        return LOG
    if isinstance(log := getattr(space, "log", None), bool):  # one of Optuna's distributions
        return LOG if log else LINEAR
    return _BY_NAME.get(getattr(getattr(space, "dist", None), "name", ""))


def _kind_of_numbers(numbers: np.ndarray) -> str:
    """The scale on which the median is nearest to the middle; 0 is not possible on a log scale."""
    low, high = numbers.min(), numbers.max()
    if low > 0 and math.log(high) - math.log(low) >= math.log(_LEAST_RATIO) - 1e-9:
        if _median_offset(np.log(numbers)) <= _median_offset(numbers) + 1e-9:
            return LOG
    elif low >= 0.5 and high < 1 and (1 - low) / (1 - high) >= _LEAST_RATIO:
        if _median_offset(np.log1p(-numbers)) <= _median_offset(numbers) + 1e-9:
            return ONE_MINUS_LOG
    elif low == 0 and len(np.unique(numbers)) <= _MOST_CATEGORIES:
        positive = numbers[numbers > 0]
        if positive.size and _kind_of_numbers(positive) == LOG:
            return CATEGORIES
    return LINEAR


def _median_offset(numbers: np.ndarray) -> float:
    low, middle, high = np.quantile(numbers, [0, 0.5, 1])
    return float(abs((middle - low) / (high - low) - 0.5))


def _categories(present: Sequence[Any], spaces: Sequence[Any]) -> tuple[str, ...]:
    """The labels of categories: numbers in ascending order, others as in the lists, or as they appear."""
    names = {value_text(value) for value in present}
    values = [*_listed_values(spaces), *present]
    if all(map(_is_axis_number, values)):
        values = sorted(values)
    return tuple(name for name in dict.fromkeys(map(value_text, values)) if name in names)


def _listed_values(spaces: Sequence[Any]) -> list[Any]:
    """The values of the lists among the spaces, and of categorical distributions of Optuna."""
    spaces = [getattr(space, "choices", space) for space in spaces]
    lists = [space for space in spaces if isinstance(space, list | tuple | range | np.ndarray)]
    return [choice for choices in lists for choice in choices]


def _is_axis_number(value: Any) -> bool:
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond the range of floats
        return False


def value_text(value: Any) -> str:
    """The value of a parameter as text of one line.

    >>> value_text("relu"), value_text(0.1234567), value_text(None), value_text(np.tanh), value_text((8, 4))
    ('relu', '0.123457', 'None', 'tanh', '(8, 4)')
    """
    if isinstance(value, float | np.floating):
        return number_text(float(value))
    if isinstance(value, np.generic):
        return value_text(value.item())
    if callable(value) and hasattr(value, "__name__"):
        return str(value.__name__)
    return " ".join((value if isinstance(value, str) else repr(value)).split())


def number_text(value: float) -> str:
    """A number with at most six digits, without leading zeros in the exponent.

    >>> number_text(1e-05), number_text(0.001), number_text(2e6), number_text(0.9999)
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
    """Powers of ten in [low, high]; if there are few, also 2 and 5 times them.

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
