"""The gradient of a function by its own values: two-sided differences, compiled."""

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from kerashp.training._runtime.backend import backend

_CLOSE = 1e-8  # of a group's largest slope: nobody looks twice
_SHORTER = 1e-2
_ROUNDING = 16 * np.finfo(np.float64).eps  # of a loss, as a share of it
_AT_ONCE = 512


class Slopes:
    """Measures the slopes of a function of one float64 vector, by its entries.

    Parameters
    ----------
    function : from a tensor of shape (n,) to a scalar
    start : array of shape (n,)
        Where the slopes are measured.
    """

    def __init__(self, function: Callable[[Any], Any], start: np.ndarray):
        self._start = start
        arguments = (start, np.int32(0), np.zeros(_AT_ONCE, np.int32), np.zeros(_AT_ONCE))
        self._moved = backend().for_any_rows(_along(function, len(start)), arguments, 0)
        self.value, again = self._values(np.zeros(2, np.int32), np.zeros(2))
        self.is_random = bool(self.value != again)

    def _values(self, places: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """The function where the entry at each place is moved by a step, one after another."""
        parts = [np.zeros(0)]
        for first in range(0, len(places), _AT_ONCE):
            part = slice(first, first + _AT_ONCE)
            n_steps = len(places[part])
            room = (0, _AT_ONCE - n_steps)
            padded = np.pad(places[part], room).astype(np.int32), np.pad(steps[part], room)
            (values,) = self._moved(self._start, np.int32(n_steps), *padded)
            parts.append(np.asarray(ops.convert_to_numpy(values))[:n_steps])
        return np.concatenate(parts)

    def measured(
        self, places: np.ndarray, epsilon: float, supposed: np.ndarray, scale: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The slopes at these places, and what rounding leaves open of each.

        `supposed` are slopes to compare with, and `scale` the size of a slope at each place. Where the two
        are not close, the measure is taken again with a step a hundredth as long; then any slope between that
        to the left and that to the right is one, as at a kink.
        """
        steps = epsilon * np.maximum(1, np.abs(self._start[places]))
        slopes = (self._values(places, steps) - self._values(places, -steps)) / (2 * steps)
        rounding = _ROUNDING * abs(self.value) / steps
        again = np.flatnonzero(~(np.abs(slopes - supposed) <= np.maximum(_CLOSE * scale, rounding)))
        steps, places = steps[again] * _SHORTER, places[again]
        sides = np.sort([
            (self._values(places, steps) - self.value) / steps,
            (self.value - self._values(places, -steps)) / steps,
        ], axis=0)  # fmt: skip
        slopes[again] = np.clip(supposed[again], *sides)
        rounding[again] /= _SHORTER
        return slopes, rounding


def _along(function: Callable[[Any], Any], size: int) -> Callable[..., list[Any]]:
    def values(start: Any, n_steps: Any, places: Any, steps: Any) -> list[Any]:
        def one(index: Any, found: Any) -> tuple[Any]:
            at = backend().at
            moved = start + at(steps, index) * ops.one_hot(at(places, index), size, dtype="float64")
            here = ops.equal(ops.arange(_AT_ONCE, dtype="int32"), ops.cast(index, "int32"))
            return (ops.where(here, ops.cast(function(moved), "float64"), found),)

        return list(backend().repeat(n_steps, one, (ops.zeros(_AT_ONCE, dtype="float64"),)))

    return values
