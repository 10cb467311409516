"""A member's learning rates, known before its steps are trained.

The compiled step takes its rate as it takes its rows: the schedule itself is no part of what is compiled, and
members with different schedules train together.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import keras
import numpy as np
from keras import ops

from kerashp.schedules import takes_many_steps

_AHEAD = 4096  # steps whose rates are computed at a time


class Scheduler(Protocol):
    """What gives a member its schedule; see `kerashp.training.LearningRateCallback`."""

    def schedule(self, learning_rate: float, steps_per_epoch: int) -> Any:
        """The schedule of a training, a function of steps."""

    def described(self) -> str:
        """What it is called in errors."""


class ScheduledRates:
    """The rates of one training, step by step."""

    def __init__(self, callback: Scheduler, initial: float, n_steps: int, first_epoch: int = 0):
        self.initial = initial
        self._schedule = callback.schedule(initial, n_steps)
        if not isinstance(self._schedule, keras.optimizers.schedules.LearningRateSchedule):
            raise TypeError(
                f"{type(callback).__name__}.schedule must return a keras LearningRateSchedule; got "
                f"{self._schedule!r}"
            )
        self._position = first_epoch * n_steps
        self._known = np.zeros(0, np.float32)  # from the position on

    def next(self, n_steps: int) -> np.ndarray:
        """The rates of the next so many steps."""
        missing = n_steps - len(self._known)
        if missing > 0:
            first = self._position + len(self._known)
            more = _rates(self._schedule, np.arange(first, first + max(missing, _AHEAD)))
            self._known = np.concatenate([self._known, more])
        rates, self._known = np.split(self._known, [n_steps])
        self._position += n_steps
        return rates


class ConstantRates:
    """The rate of a member that has no such callback."""

    def __init__(self, initial: float):
        self.initial = initial

    def next(self, n_steps: int) -> np.ndarray:
        """The rates of the next so many steps."""
        return np.full(n_steps, self.initial, np.float32)


class Rates:
    """The learning rates of a population's steps, where they are told them.

    Parameters
    ----------
    members : list of ScheduledRates or ConstantRates
    """

    def __init__(self, members: Sequence[ScheduledRates | ConstantRates]):
        self._members = members

    def of(self, steps: np.ndarray) -> np.ndarray:
        """Of shape `(n_steps, n_members)`: each member's next rates at the steps that it takes part in."""
        rates = np.zeros(steps.shape, np.float32)
        for member, own in enumerate(self._members):
            at = np.flatnonzero(steps[:, member])
            rates[at, member] = own.next(len(at))
        return rates


def _rates(schedule: Any, steps: np.ndarray) -> np.ndarray:
    """The rates of steps, an array of shape `(n_steps,)`."""
    steps = ops.convert_to_tensor(steps, "int32")
    rates = schedule(steps) if takes_many_steps(schedule) else ops.vectorized_map(schedule, steps)
    return ops.convert_to_numpy(rates).astype(np.float32)
