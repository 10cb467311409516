"""Callbacks that set the learning rate of every step."""

from typing import Any

from keras.optimizers.schedules import CosineDecayRestarts

from kerashp._arguments import Arguments
from kerashp.schedules import LinearWarmup, StepDecay
from kerashp.training import LearningRateCallback


class LearningRateWarmup(LearningRateCallback):
    """Raises the learning rate linearly to the optimizer's rate, where it stays.

    Parameters
    ----------
    warmup_epochs : float, default=5
        Epochs of the rise, whole or not.
    start : float, default=0.0
        The rate of the first step.

    Raises
    ------
    TypeError, ValueError
        If an argument is not a number >= 0; when training begins, see `LearningRateCallback`.

    References
    ----------
    P. Goyal et al., Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour, 2017, section 2.2.

    Examples
    --------
    >>> callback = LearningRateWarmup(warmup_epochs=2)
    >>> schedule = callback.schedule(learning_rate=0.1, steps_per_epoch=10)
    >>> [round(float(schedule(step)), 3) for step in (0, 10, 20, 30)]
    [0.0, 0.05, 0.1, 0.1]
    """

    def __init__(self, warmup_epochs: float = 5, start: float = 0.0):
        super().__init__()
        check = Arguments("LearningRateWarmup")
        self.warmup_epochs = check.not_negative("warmup_epochs", warmup_epochs)
        self.start = check.not_negative("start", start)

    def schedule(self, learning_rate: float, steps_per_epoch: int) -> Any:
        return LinearWarmup(learning_rate, self.warmup_epochs * steps_per_epoch, self.start)


class CosineRestarts(LearningRateCallback):
    """Lowers the learning rate by half a cosine, in periods that each begin at the optimizer's rate again.

    See `kerashp.schedules.warmup_cosine_restarts`.

    Parameters
    ----------
    first_decay_epochs : float
        Epochs of the first period.
    t_mul : float, default=2.0
        Each period is this many times as long as the one before it.
    m_mul : float, default=1.0
        Each period begins this many times as high as the one before it.
    alpha : float, default=0.0
        The rate at the end of a period, as a share of the optimizer's rate.
    warmup_epochs : float, default=0
        Epochs of a rise from 0 before the first period.

    Raises
    ------
    TypeError, ValueError
        If an argument is not a number, or not in its range; when training begins, see `LearningRateCallback`.

    References
    ----------
    I. Loshchilov and F. Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts, ICLR 2017.

    Examples
    --------
    >>> callback = CosineRestarts(first_decay_epochs=1, warmup_epochs=1)
    >>> schedule = callback.schedule(learning_rate=0.1, steps_per_epoch=10)
    >>> [round(float(schedule(step)), 3) for step in (0, 5, 10, 15, 20, 30)]
    [0.0, 0.05, 0.1, 0.05, 0.1, 0.05]
    """

    def __init__(
        self,
        first_decay_epochs: float,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        warmup_epochs: float = 0.0,
    ):
        super().__init__()
        check = Arguments("CosineRestarts")
        self.first_decay_epochs = check.positive("first_decay_epochs", first_decay_epochs)
        self.t_mul = check.number("t_mul", t_mul, "a number >= 1", lambda times: times >= 1)
        self.m_mul = check.positive("m_mul", m_mul)
        self.alpha = check.number("alpha", alpha, "a number in [0, 1]", lambda share: 0 <= share <= 1)
        self.warmup_epochs = check.not_negative("warmup_epochs", warmup_epochs)

    def schedule(self, learning_rate: float, steps_per_epoch: int) -> Any:
        first = self.first_decay_epochs * steps_per_epoch
        decay = CosineDecayRestarts(learning_rate, first, self.t_mul, self.m_mul, self.alpha)
        return LinearWarmup(decay, self.warmup_epochs * steps_per_epoch)


class StepDrop(LearningRateCallback):
    """Multiplies the learning rate by a factor at regular intervals.

    Parameters
    ----------
    drop : float in (0, 1), default=0.5
        The factor, each time.
    every_epochs : float, default=10
        Epochs between two drops.
    minimum : float, default=0.0
        The least rate, unless the optimizer's rate is lower.
    warmup_epochs : float, default=0
        Epochs of a rise from 0 before these.

    Raises
    ------
    TypeError, ValueError
        If an argument is not a number, or not in its range; when training begins, see `LearningRateCallback`.

    References
    ----------
    A. Géron, Hands-On Machine Learning, ch. 11, "Learning Rate Scheduling".

    Examples
    --------
    >>> schedule = StepDrop(0.5, every_epochs=2).schedule(learning_rate=0.1, steps_per_epoch=10)
    >>> [round(float(schedule(step)), 3) for step in (0, 19, 20, 40)]
    [0.1, 0.1, 0.05, 0.025]
    """

    def __init__(
        self, drop: float = 0.5, every_epochs: float = 10, minimum: float = 0.0, warmup_epochs: float = 0.0
    ):
        super().__init__()
        check = Arguments("StepDrop")
        self.drop = check.number("drop", drop, "a number in (0, 1)", lambda drop: 0 < drop < 1)
        self.every_epochs = check.positive("every_epochs", every_epochs)
        self.minimum = check.not_negative("minimum", minimum)
        self.warmup_epochs = check.not_negative("warmup_epochs", warmup_epochs)

    def schedule(self, learning_rate: float, steps_per_epoch: int) -> Any:
        minimum = min(self.minimum, learning_rate)
        decay = StepDecay(learning_rate, self.drop, self.every_epochs * steps_per_epoch, minimum)
        return LinearWarmup(decay, self.warmup_epochs * steps_per_epoch)
