"""Learning rates step by step."""

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, Self

import numpy as np
from keras.optimizers.schedules import LearningRateSchedule

from kerashp._arguments import Arguments, spelled
from kerashp.estimators._parameters.schedules import SCHEDULES, NamedSchedule
from kerashp.plotting._matplotlib import COLOURS, axes_of, plain, require
from kerashp.schedules import LinearWarmup
from kerashp.training import LearningRateCallback
from kerashp.training._members.rates import ScheduledRates

_STYLES = ("-", "--", "-.", ":")
_LEAST_RATIO = 50.0  # of the greatest rate to those of the lowest tenth, on a log scale
_EXPECTED = (
    "a keras LearningRateSchedule, a callback of kerashp.callbacks that sets the rate, a number, or one of "
    f"{spelled(SCHEDULES)}"
)


class _Given(LearningRateCallback):
    """A schedule that is there already."""

    def __init__(self, given: Any):
        super().__init__()
        self._given = given

    def schedule(self, learning_rate: float, steps_per_epoch: int) -> Any:
        return self._given


class ScheduleDisplay:
    """The learning rate of every step, of several schedules side by side.

    Parameters
    ----------
    rates : dict from str to array of shape (n_steps,)
        The rates by the schedule's name.
    steps_per_epoch : int, default=1

    Attributes
    ----------
    rates, steps_per_epoch
        As given.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : list of matplotlib artists
    """

    def __init__(self, rates: Mapping[str, Any], steps_per_epoch: int = 1):
        self.rates = {name: np.asarray(own, float) for name, own in rates.items()}
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
            Each a keras `LearningRateSchedule`, a callback such as `kerashp.callbacks.StepDrop`, a constant
            rate, or a name that the estimators' `schedule` takes. A dict says what each is called.
        epochs : int
            For how long.
        steps_per_epoch : int, default=100
            Batches of an epoch: the number of rows over the batch size, rounded up.
        learning_rate : float, default=0.01
            From which callbacks and names start.
        warmup_epochs : float, default=0.0
            Of the names, as the estimators take it.
        ax, **options
            See `plot`.

        Returns
        -------
        ScheduleDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError, ValueError
            If one is no schedule, or a number is not in its range.

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
            "warmup_epochs", warmup_epochs, "in [0, epochs)", lambda own: 0 <= own < n_epochs
        )
        rates = {
            name: ScheduledRates(_callback(check, own, warmup, n_epochs), rate, n_steps).next(
                n_epochs * n_steps
            )
            for name, own in _named(schedules).items()
        }
        return cls(rates, n_steps).plot(ax, **options)

    def plot(self, ax: Any = None, *, log: bool | None = None, **options: Any) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Of a new figure if None.
        log : bool, default=None
            Whether rates are on a log scale; where they ask for it if None.
        **options
            For matplotlib's `plot`.

        Returns
        -------
        ScheduleDisplay
        """
        self.ax_ = axes_of("ScheduleDisplay.plot", ax)
        self.figure_ = self.ax_.figure
        self.lines_ = []
        for index, (name, own) in enumerate(self.rates.items()):
            style = {"color": COLOURS[index % len(COLOURS)], "ls": _STYLES[index // len(COLOURS) % 4]}
            x = np.arange(len(own)) / self.steps_per_epoch
            self.lines_ += self.ax_.plot(x, own, **({"label": plain(name)} | style | options))
        if _is_wide(self.rates) if log is None else log:
            self.ax_.set_yscale("log")
        else:
            self.ax_.set_ylim(bottom=0)
        self.ax_.set(xlabel="epoch" if self.steps_per_epoch > 1 else "step", ylabel="learning rate")
        if self.lines_:
            self.ax_.legend(fontsize="small", framealpha=0.8)
        return self


def _named(schedules: Any) -> dict[str, Any]:
    """The schedules by what they are called, each name once."""
    if isinstance(schedules, Mapping):
        return {str(name): own for name, own in schedules.items()}
    many = isinstance(schedules, Sequence) and not isinstance(schedules, str)
    found: dict[str, Any] = {}
    for own in schedules if many else [schedules]:
        name, number = _name(own), 1
        while name in found:
            number += 1
            name = f"{_name(own)} {number}"
        found[name] = own
    return found


def _name(schedule: Any) -> str:
    if isinstance(schedule, str):
        return schedule
    return f"constant {schedule:g}" if isinstance(schedule, Real) else type(schedule).__name__


def _callback(check: Arguments, schedule: Any, warmup_epochs: float, epochs: int) -> LearningRateCallback:
    if isinstance(schedule, LearningRateCallback):
        return schedule
    if isinstance(schedule, LearningRateSchedule):
        return _Given(schedule)
    if isinstance(schedule, str):
        return NamedSchedule(check.choice("schedules", schedule, SCHEDULES), warmup_epochs, epochs)
    if isinstance(schedule, Real) and not isinstance(schedule, bool):
        return _Given(LinearWarmup(check.not_negative("schedules", schedule), 0))
    raise check.wrong_type("schedules", _EXPECTED, schedule)


def _is_wide(rates: Mapping[str, np.ndarray]) -> bool:
    """Whether a tenth of all rates or more would lie flat on the axis; zero has no place on a log scale."""
    every = np.concatenate([*rates.values()] or [np.zeros(1)])
    return bool(every.min() > 0 and every.max() / np.quantile(every, 0.1) >= _LEAST_RATIO)
