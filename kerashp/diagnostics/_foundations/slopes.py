"""The numerical gradient of a function: two-sided differences, in compiled calls."""

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from kerashp.training._runtime.backend import backend

_TOLERANCE = 1e-8  # of `scale`: slopes that differ by more are measured again
_SHORTER = 1e-2  # of the step, when measured again
_ROUNDING = 16 * np.finfo(np.float64).eps  # of a loss, as a share of it
_CALL_SIZE = 512  # values of the function that a compiled call computes


class Slopes:
    """Measures the partial derivatives of a function of a float64 vector by differences.

    Parameters
    ----------
    function : callable
        Takes a tensor of shape (n,) and returns a scalar.
    start : array of shape (n,)
        The point at which the slopes are measured.
    """

    def __init__(self, function: Callable[[Any], Any], start: np.ndarray):
        self._start = start
        arguments = (start, np.int32(0), np.zeros(_CALL_SIZE, np.int32), np.zeros(_CALL_SIZE))
        self._compiled = backend().for_any_rows(_values_function(function, len(start)), arguments, 0)
        self.value, second_value = self._values(np.zeros(2, np.int32), np.zeros(2))
        self.is_random = bool(self.value != second_value)

    def _values(self, places: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """The values of the function when one entry of `start` at a time is moved by its step."""
        parts = [np.zeros(0)]
        for first in range(0, len(places), _CALL_SIZE):
            part = slice(first, first + _CALL_SIZE)
            n_steps = len(places[part])
            padding = (0, _CALL_SIZE - n_steps)
            padded = np.pad(places[part], padding).astype(np.int32), np.pad(steps[part], padding)
            (values,) = self._compiled(self._start, np.int32(n_steps), *padded)
            parts.append(np.asarray(ops.convert_to_numpy(values))[:n_steps])
        return np.concatenate(parts)

    def measure(
        self, places: np.ndarray, epsilon: float, expected: np.ndarray, scale: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The slopes at the entries `places`, and the rounding error of each.

        `expected` are the slopes to compare with, and `scale` is the size of a slope at each place. A slope
        that is not close to the expected one is measured again with a step a hundredth as long; then the
        expected slope is accepted if it lies between the left and the right slope, as at a kink.
        """
        steps = epsilon * np.maximum(1, np.abs(self._start[places]))
        slopes = (self._values(places, steps) - self._values(places, -steps)) / (2 * steps)
        rounding = _ROUNDING * abs(self.value) / steps
        distant = np.flatnonzero(~(np.abs(slopes - expected) <= np.maximum(_TOLERANCE * scale, rounding)))
        steps, places = steps[distant] * _SHORTER, places[distant]
        sides = np.sort([
            (self._values(places, steps) - self.value) / steps,
            (self.value - self._values(places, -steps)) / steps,
        ], axis=0)  # fmt: skip
        slopes[distant] = np.clip(expected[distant], *sides)
        rounding[distant] /= _SHORTER
        return slopes, rounding


def _values_function(function: Callable[[Any], Any], size: int) -> Callable[..., list[Any]]:
    def values(start: Any, n_steps: Any, places: Any, steps: Any) -> list[Any]:
        def add_value(index: Any, results: Any) -> tuple[Any]:
            at = backend().at
            point = start + at(steps, index) * ops.one_hot(at(places, index), size, dtype="float64")
            is_index = ops.equal(ops.arange(_CALL_SIZE, dtype="int32"), ops.cast(index, "int32"))
            return (ops.where(is_index, ops.cast(function(point), "float64"), results),)

        return list(backend().repeat(n_steps, add_value, (ops.zeros(_CALL_SIZE, dtype="float64"),)))

    return values
