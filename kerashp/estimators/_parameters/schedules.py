"""The learning-rate schedules that a parameter asks for by name."""

from collections.abc import Callable
from typing import Any

from keras.optimizers.schedules import CosineDecay, CosineDecayRestarts, ExponentialDecay

from kerashp.schedules import LinearWarmup, StepDecay
from kerashp.training import LearningRateCallback

# From the peak and the number of steps to the schedule.
SCHEDULES: dict[str, Callable[[float, float], Any]] = {
    "constant": lambda peak, _: peak,
    "cosine": CosineDecay,
    "cosine_restarts": lambda peak, n_steps: CosineDecayRestarts(peak, n_steps / 7),  # three: 1, 2 and 4 of 7
    "step": lambda peak, n_steps: StepDecay(peak, drop=0.1, every=n_steps / 3),
    "exponential": lambda peak, n_steps: ExponentialDecay(peak, n_steps / 2, decay_rate=0.1),
}


class NamedSchedule(LearningRateCallback):
    """One of the schedules, over so many epochs, after a warm-up."""

    def __init__(self, name: str, warmup_epochs: float, epochs: int):
        super().__init__()
        self.name = name
        self.warmup_epochs = warmup_epochs
        self.epochs = epochs

    def schedule(self, learning_rate: float, steps_per_epoch: int) -> Any:
        n_steps = (self.epochs - self.warmup_epochs) * steps_per_epoch
        decay = SCHEDULES[self.name](learning_rate, n_steps)
        return LinearWarmup(decay, self.warmup_epochs * steps_per_epoch)

    def described(self) -> str:
        return f"schedule={self.name!r}, warmup_epochs={self.warmup_epochs}"


def named_schedule(name: str, warmup_epochs: float, epochs: int) -> list[NamedSchedule]:
    """The callback that sets the rates, or none where the rate stays as it is.

    Raises
    ------
    ValueError
        If the warm-up takes all epochs.
    """
    if name == "constant" and not warmup_epochs:
        return []
    if warmup_epochs >= epochs:
        raise ValueError(f"warmup_epochs={warmup_epochs} must be less than epochs={epochs}")
    return [NamedSchedule(name, float(warmup_epochs), epochs)]
