"""A member's learning rates, and factors of other numbers, known before its steps are trained.

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
        """Its name in errors."""


class FactorScheduler(Protocol):
    """What gives a member the factors of its dropout rates and its weight decay."""

    def factors(self, steps_per_epoch: int) -> tuple[Any, Any]:
        """The schedules of both, functions of steps."""


class _Values:
    """The values of a schedule at one step after the other."""

    def __init__(self, schedule: Any, first_step: int):
        self._schedule = schedule
        self._position = first_step
        self._computed = np.zeros(0, np.float32)  # the rates from the position on

    def next(self, n_steps: int) -> np.ndarray:
        """The values at the next `n_steps` steps."""
        missing = n_steps - len(self._computed)
        if missing > 0:
            first = self._position + len(self._computed)
            more = _rates_of(self._schedule, np.arange(first, first + max(missing, _AHEAD)))
            self._computed = np.concatenate([self._computed, more])
        rates, self._computed = np.split(self._computed, [n_steps])
        self._position += n_steps
        return rates


class ScheduledRates:
    """The rates of one training's steps, by a schedule."""

    def __init__(self, callback: Scheduler, initial: float, n_steps: int, first_epoch: int = 0):
        self.initial = initial
        schedule = callback.schedule(initial, n_steps)
        if not isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
            raise TypeError(
                f"{type(callback).__name__}.schedule must return a keras LearningRateSchedule; got "
                f"{schedule!r}"
            )
        self._values = _Values(schedule, first_epoch * n_steps)

    def next(self, n_steps: int) -> np.ndarray:
        """The rates of the next `n_steps` steps."""
        return self._values.next(n_steps)


class ConstantRates:
    """The rates of a member without a schedule: always the same."""

    def __init__(self, initial: float):
        self.initial = initial

    def next(self, n_steps: int) -> np.ndarray:
        """The rates of the next `n_steps` steps."""
        return np.full(n_steps, self.initial, np.float32)


class ScheduledFactors:
    """The factors of dropout rates and of weight decay at one training's steps, by schedules."""

    def __init__(self, callback: FactorScheduler, n_steps: int, first_epoch: int = 0):
        self._values = [_Values(schedule, first_epoch * n_steps) for schedule in callback.factors(n_steps)]

    def next(self, n_steps: int) -> np.ndarray:
        """Both factors at the next `n_steps` steps, of shape `(n_steps, 2)`."""
        return np.stack([values.next(n_steps) for values in self._values], axis=-1)


class ConstantFactors:
    """The factors of a member without schedules of dropout rates and weight decay: always 1."""

    def next(self, n_steps: int) -> np.ndarray:
        """Both factors at the next `n_steps` steps, of shape `(n_steps, 2)`."""
        return np.ones((n_steps, 2), np.float32)


class _MemberValues(Protocol):
    def next(self, n_steps: int) -> np.ndarray:
        """The values at the next `n_steps` steps, by step."""


class Rates:
    """The learning rates or factors of all members of a population, which the steps take from outside.

    Parameters
    ----------
    members : list of ScheduledRates or ConstantRates, or of ScheduledFactors or ConstantFactors
    """

    def __init__(self, members: Sequence[_MemberValues]):
        self._members = members

    def next(self, steps: np.ndarray) -> np.ndarray:
        """The members' next values, of shape `(n_steps, n_members, ...)`, at the steps each takes part in.

        `steps` are bools of shape `(n_steps, n_members)`.
        """
        rates = np.zeros((*steps.shape, *self._members[0].next(0).shape[1:]), np.float32)
        for member, member_rates in enumerate(self._members):
            rows = np.flatnonzero(steps[:, member])
            rates[rows, member] = member_rates.next(len(rows))
        return rates


def _rates_of(schedule: Any, steps: np.ndarray) -> np.ndarray:
    """The rates of these steps, an array of shape `(n_steps,)`."""
    steps = ops.convert_to_tensor(steps, "int32")
    rates = schedule(steps) if takes_many_steps(schedule) else ops.vectorized_map(schedule, steps)
    return ops.convert_to_numpy(rates).astype(np.float32)
