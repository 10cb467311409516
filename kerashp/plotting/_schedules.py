"""The display of learning-rate schedules."""

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, Self

import numpy as np
from keras.optimizers.schedules import LearningRateSchedule

from kerashp._arguments import Arguments, quoted
from kerashp.estimators._parameters.schedules import SCHEDULES, NamedSchedule
from kerashp.plotting._matplotlib import COLOURS, axes_of, label_text, require
from kerashp.schedules import LinearWarmup
from kerashp.training import LearningRateCallback
from kerashp.training._members.rates import ScheduledRates

_STYLES = ("-", "--", "-.", ":")
_LEAST_RATIO = 50.0  # of the greatest rate to the lowest decile, for a log scale
_EXPECTED = (
    "a keras LearningRateSchedule, a callback of kerashp.callbacks that sets the rate, a number, or one of "
    f"{quoted(SCHEDULES)}"
)


class _FixedSchedule(LearningRateCallback):
    """A callback with a schedule that does not depend on the learning rate."""

    def __init__(self, schedule: Any):
        super().__init__()
        self._schedule = schedule

    def schedule(self, learning_rate: float, steps_per_epoch: int) -> Any:
        return self._schedule


class ScheduleDisplay:
    """The learning rate of each step for one or several schedules.

    Parameters
    ----------
    rates : dict of str to array of shape (n_steps,)
        The rates by the names of the schedules.
    steps_per_epoch : int, default=1
        The number of steps of an epoch.

    Attributes
    ----------
    rates, steps_per_epoch
        The parameters.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : list of matplotlib artists
        The line of each schedule.

    Examples
    --------
    >>> from kerashp.plotting import ScheduleDisplay
    >>> display = ScheduleDisplay.from_schedules(["constant", "cosine"], epochs=2, steps_per_epoch=2)
    >>> {name: rates.round(4).tolist() for name, rates in display.rates.items()}
    {'constant': [0.01, 0.01, 0.01, 0.01], 'cosine': [0.01, 0.0085, 0.005, 0.0015]}
    """

    def __init__(self, rates: Mapping[str, Any], steps_per_epoch: int = 1):
        self.rates = {name: np.asarray(values, float) for name, values in rates.items()}
        self.steps_per_epoch = steps_per_epoch

    @classmethod
    def from_schedules(
        cls,
        schedules: Any,
        *,
        epochs: int,
        steps_per_epoch: int = 100,
        learning_rate: float = 0.01,
        warmup_epochs: float = 0.0,
        ax: Any = None,
        **options: Any,
    ) -> Self:
        """Draw schedules.

        Parameters
        ----------
        schedules : schedule, or list or dict of them
            A schedule is a keras `LearningRateSchedule`, a callback such as `kerashp.callbacks.StepDrop`, a
            constant rate, or a name for the parameter `schedule` of the estimators. A dict contains the
            schedules by name.
        epochs : int
            The number of epochs.
        steps_per_epoch : int, default=100
            The number of batches of an epoch: rows divided by the batch size, rounded up.
        learning_rate : float, default=0.01
            The initial learning rate of callbacks, and of schedules of the estimators.
        warmup_epochs : float, default=0.0
            The epochs of warm-up before schedules of the estimators.
        ax : matplotlib Axes, default=None
            If None, the axes of a new figure.
        **options
            Options of `plot`.

        Returns
        -------
        ScheduleDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError, ValueError
            If an item is not a schedule, or a number is out of range.

        Examples
        --------
        >>> from kerashp.callbacks import StepDrop
        >>> from kerashp.plotting import ScheduleDisplay
        >>> both = {"drop": StepDrop(0.5, every_epochs=1), "cosine": "cosine"}
        >>> display = ScheduleDisplay.from_schedules(both, epochs=2, steps_per_epoch=2, learning_rate=0.1)
        >>> {name: rates.round(3).tolist() for name, rates in display.rates.items()}
        {'drop': [0.1, 0.1, 0.05, 0.05], 'cosine': [0.1, 0.085, 0.05, 0.015]}
        """
        caller = "ScheduleDisplay.from_schedules"
        require(caller)
        check = Arguments(caller)
        n_epochs = check.integer("epochs", epochs, at_least=1)
        n_steps = check.integer("steps_per_epoch", steps_per_epoch, at_least=1)
        rate = check.positive("learning_rate", learning_rate)
        warmup = check.number(
            "warmup_epochs", warmup_epochs, "in [0, epochs)", lambda number: 0 <= number < n_epochs
        )
        rates = {
            name: ScheduledRates(_callback(check, schedule, warmup, n_epochs), rate, n_steps).next(
                n_epochs * n_steps
            )
            for name, schedule in _schedules_by_name(schedules).items()
        }
        return cls(rates, n_steps).plot(ax, **options)

    def plot(self, ax: Any = None, *, log: bool | None = None, **options: Any) -> Self:
        """Draw the learning rates.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            If None, the axes of a new figure.
        log : bool, default=None
            Whether the scale is logarithmic; if None, it is for a wide range of rates.
        **options
            Options of matplotlib's `plot`.

        Returns
        -------
        ScheduleDisplay
        """
        self.ax_ = axes_of("ScheduleDisplay.plot", ax)
        self.figure_ = self.ax_.figure
        self.lines_ = []
        for index, (name, rates) in enumerate(self.rates.items()):
            style = {"color": COLOURS[index % len(COLOURS)], "ls": _STYLES[index // len(COLOURS) % 4]}
            x = np.arange(len(rates)) / self.steps_per_epoch
            self.lines_ += self.ax_.plot(x, rates, **({"label": label_text(name)} | style | options))
        if _is_wide(self.rates) if log is None else log:
            self.ax_.set_yscale("log")
        else:
            self.ax_.set_ylim(bottom=0)
        self.ax_.set(xlabel="epoch" if self.steps_per_epoch > 1 else "step", ylabel="learning rate")
        if self.lines_:
            self.ax_.legend(fontsize="small", framealpha=0.8)
        return self


def _schedules_by_name(schedules: Any) -> dict[str, Any]:
    """The schedules by unique names."""
    if isinstance(schedules, Mapping):
        return {str(name): schedule for name, schedule in schedules.items()}
    is_list = isinstance(schedules, Sequence) and not isinstance(schedules, str)
    by_name: dict[str, Any] = {}
    for schedule in schedules if is_list else [schedules]:
        name, number = _schedule_name(schedule), 1
        while name in by_name:
            number += 1
            name = f"{_schedule_name(schedule)} {number}"
        by_name[name] = schedule
    return by_name


def _schedule_name(schedule: Any) -> str:
    if isinstance(schedule, str):
        return schedule
    return f"constant {schedule:g}" if isinstance(schedule, Real) else type(schedule).__name__


def _callback(check: Arguments, schedule: Any, warmup_epochs: float, epochs: int) -> LearningRateCallback:
    if isinstance(schedule, LearningRateCallback):
        return schedule
    if isinstance(schedule, LearningRateSchedule):
        return _FixedSchedule(schedule)
    if isinstance(schedule, str):
        return NamedSchedule(check.choice("schedules", schedule, SCHEDULES), warmup_epochs, epochs)
    if isinstance(schedule, Real) and not isinstance(schedule, bool):
        return _FixedSchedule(LinearWarmup(check.not_negative("schedules", schedule), 0))
    raise check.wrong_type("schedules", _EXPECTED, schedule)


def _is_wide(rates: Mapping[str, np.ndarray]) -> bool:
    """Whether at least a tenth of the rates would be near 0 on a linear scale; a log scale excludes 0."""
    values = np.concatenate([*rates.values()] or [np.zeros(1)])
    return bool(values.min() > 0 and values.max() / np.quantile(values, 0.1) >= _LEAST_RATIO)
