"""Learning-rate schedules that Keras lacks; they are used like Keras' own.

Further schedules are in `keras.optimizers.schedules`: `CosineDecay`, `CosineDecayRestarts`,
`ExponentialDecay` (also with `staircase=True`) and `PiecewiseConstantDecay`. All count in steps, one for each
batch; `in_epochs` makes a schedule that counts in epochs.
"""

import math
from numbers import Real
from typing import Any

from kerashp import _loading  # noqa: F401  # before Keras

# isort: split
import keras
from keras import ops
from keras.optimizers.schedules import (
    CosineDecay,
    CosineDecayRestarts,
    ExponentialDecay,
    LearningRateSchedule,
)

from kerashp._arguments import Arguments, short_repr

__all__ = [
    "CosLog",
    "FlatCosine",
    "InEpochs",
    "LinearWarmup",
    "StepDecay",
    "in_epochs",
    "takes_many_steps",
    "warmup_cosine_restarts",
]

_registered = keras.saving.register_keras_serializable("kerashp")


@_registered
class LinearWarmup(LearningRateSchedule):
    """A linear rise, followed by another schedule or a constant rate.

    With w = `warmup_steps` and f = `schedule`:

        rate(t) = start + (f(0) - start) * t / w    for t < w
        rate(t) = f(t - w)                          for t >= w

    Parameters
    ----------
    schedule : float or keras LearningRateSchedule
        The rate after the rise; step 0 of the schedule is the end of the rise.
    warmup_steps : int
        The number of steps of the rise; 0 for no rise.
    start : float, default=0.0
        The rate at step 0.

    Raises
    ------
    TypeError, ValueError
        If an argument has another type, or is negative.

    References
    ----------
    P. Goyal et al., Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour, 2017, section 2.2 (gradual
    warm-up, over 5 epochs, for batches of up to 8,192).

    Examples
    --------
    >>> warmup = LinearWarmup(0.1, warmup_steps=4)
    >>> [round(float(warmup(step)), 3) for step in range(6)]
    [0.0, 0.025, 0.05, 0.075, 0.1, 0.1]
    """

    def __init__(self, schedule: Any, warmup_steps: float, start: float = 0.0):
        check = Arguments("LinearWarmup")
        self.schedule = _checked_rate(check, "schedule", schedule)
        self.warmup_steps = check.not_negative("warmup_steps", warmup_steps)
        self.start = check.not_negative("start", start)

    def __call__(self, step: Any) -> Any:
        step = ops.cast(step, "float32")
        later_rate = _rate_at(self.schedule, ops.maximum(step - self.warmup_steps, 0.0))
        fraction = step / (self.warmup_steps or 1.0)
        return ops.where(
            step < self.warmup_steps, self.start + (later_rate - self.start) * fraction, later_rate
        )

    def get_config(self) -> dict[str, Any]:
        return {"schedule": self.schedule, "warmup_steps": self.warmup_steps, "start": self.start}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "LinearWarmup":
        return cls(**_deserialized(config))


@_registered
class StepDecay(LearningRateSchedule):
    """A rate that is multiplied by the same factor after every `every` steps.

        rate(t) = max(minimum, initial * drop ** floor(t / every))

    Parameters
    ----------
    initial : float
        The rate at step 0.
    drop : float in (0, 1)
        The factor by which the rate is multiplied.
    every : int
        The number of steps between two drops.
    minimum : float, default=0.0
        The lower limit of the rate.

    Raises
    ------
    TypeError, ValueError
        If an argument is not a number, or is out of range.

    References
    ----------
    A. Géron, Hands-On Machine Learning, ch. 11, "Learning Rate Scheduling". This is Keras' `ExponentialDecay`
    with `staircase=True` and a lower limit.

    Examples
    --------
    >>> decay = StepDecay(0.1, drop=0.5, every=10, minimum=0.02)
    >>> [round(float(decay(step)), 3) for step in (0, 9, 10, 20, 30)]
    [0.1, 0.1, 0.05, 0.025, 0.02]
    """

    def __init__(self, initial: float, drop: float, every: float, minimum: float = 0.0):
        check = Arguments("StepDecay")
        self.initial = check.positive("initial", initial)
        self.drop = check.number("drop", drop, "a number in (0, 1)", lambda drop: 0 < drop < 1)
        self.every = check.positive("every", every)
        expected = f"a number in [0, initial={self.initial}]"
        self.minimum = check.number("minimum", minimum, expected, lambda rate: 0 <= rate <= self.initial)
        self._decay = ExponentialDecay(self.initial, self.every, self.drop, staircase=True)

    def __call__(self, step: Any) -> Any:
        return ops.maximum(self._decay(step), self.minimum)

    def get_config(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("initial", "drop", "every", "minimum")}


@_registered
class FlatCosine(LearningRateSchedule):
    """A constant rate, followed by half a cosine down to 0.

    With the fraction t = step / `decay_steps` of the training and f = `flat`:

        rate(t) = initial                                            for t < f
        rate(t) = initial * (1 + cos(pi * (t - f) / (1 - f))) / 2    for f <= t <= 1

    After `decay_steps` it is 0.

    Parameters
    ----------
    initial : float
        The rate at step 0.
    decay_steps : int
        The number of steps until the rate is 0.
    flat : float in [0, 1), default=0.5
        The fraction of these steps in which the rate is constant.

    Raises
    ------
    TypeError, ValueError
        If an argument is not a number, or is out of range.

    References
    ----------
    D. Holzmüller, L. Grinsztajn and I. Steinwart, Better by Default: Strong Pre-Tuned MLPs and Boosted Trees
    on Tabular Data, NeurIPS 2024: "flat_cos", constant for the first half.

    Examples
    --------
    >>> decay = FlatCosine(0.1, decay_steps=8)
    >>> [round(float(decay(step)), 3) for step in (0, 3, 4, 6, 8, 9)]
    [0.1, 0.1, 0.1, 0.05, 0.0, 0.0]
    """

    def __init__(self, initial: float, decay_steps: float, flat: float = 0.5):
        check = Arguments("FlatCosine")
        self.initial = check.positive("initial", initial)
        self.decay_steps = check.positive("decay_steps", decay_steps)
        self.flat = check.fraction("flat", flat)

    def __call__(self, step: Any) -> Any:
        fraction = ops.cast(step, "float32") / self.decay_steps
        of_decay = ops.clip((fraction - self.flat) / (1 - self.flat), 0.0, 1.0)
        return self.initial * 0.5 * (1 + ops.cos(math.pi * of_decay))

    def get_config(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("initial", "decay_steps", "flat")}


@_registered
class CosLog(LearningRateSchedule):
    """Periods of a cosine, each twice as long as the previous one, that begin and end at 0.

    With the fraction t = step / `decay_steps` of the training and n = `cycles`:

        rate(t) = peak * (1 - cos(2 pi log2(1 + (2 ** n - 1) t))) / 2    for t <= 1

    Each period is a warm-up and a decay. After `decay_steps` the rate is 0.

    Parameters
    ----------
    peak : float
        The highest rate of each period.
    decay_steps : int
        The number of steps of all periods.
    cycles : int, default=4
        The number of periods.

    Raises
    ------
    TypeError, ValueError
        If an argument is not a number, or is out of range.

    References
    ----------
    D. Holzmüller, L. Grinsztajn and I. Steinwart, Better by Default: Strong Pre-Tuned MLPs and Boosted Trees
    on Tabular Data, NeurIPS 2024: "coslog4", with four periods.

    Examples
    --------
    >>> schedule = CosLog(0.1, decay_steps=30)
    >>> [round(float(schedule(step)), 3) for step in (0, 2, 6, 10, 14, 30)]
    [0.0, 0.0, 0.0, 0.093, 0.0, 0.0]
    """

    def __init__(self, peak: float, decay_steps: float, cycles: int = 4):
        check = Arguments("CosLog")
        self.peak = check.positive("peak", peak)
        self.decay_steps = check.positive("decay_steps", decay_steps)
        self.cycles = check.integer("cycles", cycles, at_least=1)

    def __call__(self, step: Any) -> Any:
        fraction = ops.clip(ops.cast(step, "float32") / self.decay_steps, 0.0, 1.0)
        periods = ops.log2(1 + (2**self.cycles - 1) * fraction)
        return self.peak * 0.5 * (1 - ops.cos(2 * math.pi * periods))

    def get_config(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("peak", "decay_steps", "cycles")}


@_registered
class InEpochs(LearningRateSchedule):
    """A schedule that counts in epochs, called with a step; `in_epochs` makes it.

    Parameters
    ----------
    schedule : keras LearningRateSchedule
        A schedule whose steps are epochs.
    steps_per_epoch : int
        The number of batches in an epoch.

    Examples
    --------
    >>> decay = InEpochs(StepDecay(0.1, drop=0.5, every=1), steps_per_epoch=10)
    >>> [round(float(decay(step)), 3) for step in (0, 9, 10)]
    [0.1, 0.1, 0.05]
    """

    def __init__(self, schedule: Any, steps_per_epoch: int):
        check = Arguments("in_epochs")
        if not isinstance(schedule, LearningRateSchedule):
            raise check.wrong_type("schedule", "a keras LearningRateSchedule", schedule)
        self.schedule = schedule
        self.steps_per_epoch = check.integer("steps_per_epoch", steps_per_epoch, at_least=1)

    def __call__(self, step: Any) -> Any:
        return self.schedule(ops.cast(step, "float32") / self.steps_per_epoch)

    def get_config(self) -> dict[str, Any]:
        return {"schedule": self.schedule, "steps_per_epoch": self.steps_per_epoch}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "InEpochs":
        return cls(**_deserialized(config))


def in_epochs(schedule: Any, steps_per_epoch: int) -> InEpochs:
    """Make a schedule whose steps are epochs: step t is epoch t / `steps_per_epoch`.

    The rate also changes within an epoch, if the schedule changes between two whole numbers.

    Parameters
    ----------
    schedule : keras LearningRateSchedule
        A schedule whose lengths (`decay_steps`, `every`, `warmup_steps`) are in epochs, also fractions.
    steps_per_epoch : int
        The number of batches in an epoch: the number of rows over the batch size, rounded up.

    Returns
    -------
    InEpochs
        A keras LearningRateSchedule.

    Raises
    ------
    TypeError, ValueError
        If `schedule` is not a schedule, or `steps_per_epoch` is not an integer of at least 1.

    Examples
    --------
    >>> decay = in_epochs(StepDecay(0.1, drop=0.5, every=2), steps_per_epoch=100)
    >>> [round(float(decay(step)), 3) for step in (0, 199, 200, 400)]
    [0.1, 0.1, 0.05, 0.025]
    """
    return InEpochs(schedule, steps_per_epoch)


def warmup_cosine_restarts(
    peak: float,
    warmup_steps: float,
    first_decay_steps: float,
    t_mul: float = 2.0,
    m_mul: float = 1.0,
    alpha: float = 0.0,
) -> LinearWarmup:
    """Make a linear warm-up to a peak, followed by periods of cosine decay with restarts.

    Period i has `first_decay_steps * t_mul ** i` steps. At the fraction s of the period, from 0 to 1:

        rate = peak * (alpha + (1 - alpha) * m_mul ** i * (1 + cos(pi * s)) / 2)

    Parameters
    ----------
    peak : float
        The rate at the end of the warm-up and the start of the first period.
    warmup_steps : int
        The number of steps from 0 to the peak.
    first_decay_steps : int
        The number of steps of the first period.
    t_mul : float, default=2.0
        The length of a period divided by that of the previous one.
    m_mul : float, default=1.0
        The factor from the height of a period to that of the next.
    alpha : float, default=0.0
        The rate at the end of each period divided by the peak.

    Returns
    -------
    LinearWarmup
        A warm-up followed by `keras.optimizers.schedules.CosineDecayRestarts`.

    Raises
    ------
    TypeError, ValueError
        If an argument is not a number, or is out of range.

    References
    ----------
    I. Loshchilov and F. Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts, ICLR 2017, eq. 5.

    Examples
    --------
    >>> schedule = warmup_cosine_restarts(0.1, warmup_steps=10, first_decay_steps=20)
    >>> [round(float(schedule(step)), 3) for step in (0, 5, 10, 20, 30, 50, 70)]
    [0.0, 0.05, 0.1, 0.05, 0.1, 0.05, 0.1]
    """
    check = Arguments("warmup_cosine_restarts")
    peak = check.positive("peak", peak)
    first_decay_steps = check.positive("first_decay_steps", first_decay_steps)
    t_mul = check.number("t_mul", t_mul, "a number >= 1", lambda factor: factor >= 1)
    m_mul = check.positive("m_mul", m_mul)
    alpha = check.number("alpha", alpha, "a number in [0, 1]", lambda fraction: 0 <= fraction <= 1)
    warmup_steps = check.not_negative("warmup_steps", warmup_steps)
    return LinearWarmup(CosineDecayRestarts(peak, first_decay_steps, t_mul, m_mul, alpha), warmup_steps)


_OF_MANY_STEPS = (StepDecay, FlatCosine, CosLog, CosineDecayRestarts, ExponentialDecay)


def takes_many_steps(schedule: Any) -> bool:
    """Whether a schedule, called with an array of steps, is known to return the rate of each.

    Parameters
    ----------
    schedule : float or keras LearningRateSchedule
        A learning rate or a schedule.

    Returns
    -------
    bool
        False for schedules with branches, which take a single step, and for custom schedules.

    Examples
    --------
    >>> takes_many_steps(LinearWarmup(0.1, 5))
    True
    >>> takes_many_steps(keras.optimizers.schedules.PiecewiseConstantDecay([5], [0.1, 0.01]))
    False
    """
    if isinstance(schedule, LinearWarmup | InEpochs):
        return takes_many_steps(schedule.schedule)
    if type(schedule) is CosineDecay:
        return schedule.warmup_target is None
    return isinstance(schedule, Real) or type(schedule) in _OF_MANY_STEPS


def _checked_rate(check: Arguments, name: str, value: Any) -> Any:
    if isinstance(value, LearningRateSchedule):
        return value
    expected = "a number >= 0 or a keras LearningRateSchedule"
    if not isinstance(value, Real):
        raise TypeError(f"{check.caller}: {name} must be {expected}; got {short_repr(value)}")
    return check.number(name, value, expected, lambda rate: rate >= 0)


def _rate_at(rate: Any, step: Any) -> Any:
    return rate(step) if isinstance(rate, LearningRateSchedule) else ops.cast(rate, "float32")


def _deserialized(config: dict[str, Any]) -> dict[str, Any]:
    """The config with the inner schedule as an object, which Keras passes in its serialized form."""
    schedule = config["schedule"]
    if isinstance(schedule, dict):
        schedule = keras.saving.deserialize_keras_object(schedule)
    return {**config, "schedule": schedule}
