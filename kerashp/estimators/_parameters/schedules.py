"""The schedules that the parameters `schedule`, `dropout_schedule` and `weight_decay_schedule` name."""

from collections.abc import Callable
from typing import Any

from keras.optimizers.schedules import CosineDecay, CosineDecayRestarts, ExponentialDecay

from kerashp.schedules import CosLog, FlatCosine, LinearWarmup, StepDecay
from kerashp.training import LearningRateCallback
from kerashp.training._keras.regularization import RegularizationCallback

# Each makes a schedule, or a constant rate, from the peak and the number of steps.
SCHEDULES: dict[str, Callable[[float, float], Any]] = {
    "constant": lambda peak, _: peak,
    "cosine": CosineDecay,
    "cosine_restarts": lambda peak, n_steps: CosineDecayRestarts(
        peak, n_steps / 7
    ),  # three periods: 1/7, 2/7 and 4/7 of the steps
    "flat_cosine": FlatCosine,
    "coslog4": CosLog,
    "step": lambda peak, n_steps: StepDecay(peak, drop=0.1, every=n_steps / 3),
    "exponential": lambda peak, n_steps: ExponentialDecay(peak, n_steps / 2, decay_rate=0.1),
}


class NamedSchedule(LearningRateCallback):
    """A schedule of `SCHEDULES` over a number of epochs, after a warm-up.

    Raises
    ------
    ValueError
        If there is a warm-up before a schedule that begins at 0.
    """

    def __init__(self, name: str, warmup_epochs: float, epochs: int):
        super().__init__()
        if name == "coslog4" and warmup_epochs:
            raise ValueError(
                f"warmup_epochs={warmup_epochs} must be 0 with schedule='coslog4', which warms up by itself: "
                "its rate rises from 0 to the peak in each of its periods"
            )
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
    """A list with the callback that sets the rates; empty if the rate is constant.

    Raises
    ------
    ValueError
        If the warm-up is as long as the training, or comes before a schedule that begins at 0.
    """
    if name == "constant" and not warmup_epochs:
        return []
    if warmup_epochs >= epochs:
        raise ValueError(f"warmup_epochs={warmup_epochs} must be less than epochs={epochs}")
    return [NamedSchedule(name, float(warmup_epochs), epochs)]


class NamedRegularization(RegularizationCallback):
    """Dropout rates and weight decay that follow schedules of `SCHEDULES` over a number of epochs."""

    def __init__(self, dropout: str, weight_decay: str, epochs: int):
        super().__init__()
        self.names = dropout, weight_decay
        self.epochs = epochs

    def factors(self, steps_per_epoch: int) -> tuple[Any, Any]:
        n_steps = self.epochs * steps_per_epoch
        dropout, weight_decay = (LinearWarmup(SCHEDULES[name](1.0, n_steps), 0) for name in self.names)
        return dropout, weight_decay

    def described(self) -> str:
        return "dropout_schedule={!r}, weight_decay_schedule={!r}".format(*self.names)


def named_regularization(dropout: str, weight_decay: str, epochs: int) -> list[NamedRegularization]:
    """A list with the callback that sets dropout rates and weight decay; empty if both are constant."""
    is_constant = dropout == weight_decay == "constant"
    return [] if is_constant else [NamedRegularization(dropout, weight_decay, epochs)]
