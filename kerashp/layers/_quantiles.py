"""Weighted quantiles of columns."""

from typing import Any

import numpy as np

_ROUNDING = 8  # equal values may differ by this multiple of the float type's precision


def quantiles(values: np.ndarray, n_parts: int, sample_weight: np.ndarray | None = None) -> np.ndarray:
    """The quantiles 0, 1 / n_parts, ..., 1 of each column, of shape `(n_parts + 1, n_columns)`.

    They are those of Hyndman and Fan's definition 2, the mean of both values where the distribution function
    jumps: an integer weight equals repeated rows, and equal weights change nothing.

    >>> quantiles(np.array([[1.0], [2.0], [3.0], [4.0]]), 2).tolist()
    [[1.0], [2.5], [4.0]]
    """
    if sample_weight is None:
        places = _places(np.arange(1, len(values) + 1), n_parts)
        return _mean(np.sort(values, axis=0), places)
    values, weight = values[sample_weight > 0], sample_weight[sample_weight > 0]
    weight = weight / weight.min()  # so that equal weights are exactly 1
    return np.stack([_of_column(column, weight, n_parts) for column in values.T], axis=1)


def _of_column(values: np.ndarray, weight: np.ndarray, n_parts: int) -> np.ndarray:
    order = np.argsort(values)
    return _mean(values[order], _places(np.cumsum(weight[order]), n_parts))


def _places(cumulated: np.ndarray, n_parts: int) -> list[np.ndarray]:
    """Where the quantiles are in sorted values of these cumulated weights, from below and from above."""
    targets = np.arange(n_parts + 1) * cumulated[-1] / n_parts
    places = [np.searchsorted(cumulated, targets, side) for side in ("left", "right")]
    return [np.minimum(place, len(cumulated) - 1) for place in places]


def _mean(values: np.ndarray, places: list[np.ndarray]) -> np.ndarray:
    lower, upper = (values[place] for place in places)
    return lower / 2 + upper / 2  # the sum might overflow


def medians_and_factors(
    rows: np.ndarray, floatx: Any, sample_weight: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The median of each column, and 1 / (third quartile - first quartile).

    Where the quartiles are equal, the factor is 2 / (maximum - minimum); of a constant column it is 0. A
    range counts as at least a multiple of the precision of `floatx`, so that rounding differences stay small.
    """
    least, first, median, third, most = quantiles(rows.astype(float), 4, sample_weight)
    half = most / 2 - least / 2
    sizes = np.maximum(np.abs(least), np.abs(most))
    widths = np.where(third > first, third - first, half)
    widths = np.maximum(widths, _ROUNDING * np.finfo(floatx).eps * sizes)
    with np.errstate(divide="ignore", over="ignore"):
        factors = np.where(half > 0, np.minimum(1 / widths, np.finfo(floatx).max), 0.0)
    return median.astype(floatx), factors.astype(floatx)
