"""The valid values of training parameters and of the arguments of `fit`, as scikit-learn's constraints."""

from collections.abc import Iterable
from numbers import Integral, Real
from os import PathLike
from typing import Any

from kerashp._compat.sklearn import HasMethods, Interval, StrOptions
from kerashp.estimators._parameters.schedules import SCHEDULES

_COUNT = Interval(Integral, 1, None, closed="left")
_COUNT_FROM_0 = Interval(Integral, 0, None, closed="left")

# The training parameters of all estimators.
TRAINING_CONSTRAINTS: dict[str, Any] = {
    "epochs": [_COUNT],
    "schedule": [StrOptions(set(SCHEDULES))],
    "warmup_epochs": [Interval(Real, 0, None, closed="left")],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "patience": [_COUNT_FROM_0, None],
    "min_delta": [Interval(Real, 0, None, closed="left")],
    "restore_best_weights": ["boolean"],
    "callbacks": [list, tuple, dict, HasMethods("on_epoch_end"), None],
    "shuffle": ["boolean"],
    "warm_start": ["boolean"],
    "warm_start_from": [HasMethods("predict"), str, PathLike, None],
    "random_state": ["random_state"],
    "verbose": ["verbose", StrOptions({"auto"})],
}

# The arguments of `fit` with the meaning of keras.Model.fit.
CALL_CONSTRAINTS: dict[str, Any] = {
    "callbacks": TRAINING_CONSTRAINTS["callbacks"],
    "epochs": [_COUNT],
    "batch_size": [_COUNT],
    "verbose": TRAINING_CONSTRAINTS["verbose"],
    "validation_split": [Interval(Real, 0, 1, closed="left")],
    "shuffle": ["boolean"],
    "class_weight": [dict, list, StrOptions({"balanced"})],
    "initial_epoch": [_COUNT_FROM_0],
    "steps_per_epoch": [_COUNT],
    "validation_steps": [_COUNT],
    "validation_batch_size": [_COUNT],
    "validation_freq": [_COUNT, list, tuple],
}

_NOT_FOR_PARTIAL_FIT = ("epochs", "initial_epoch", "validation_split", "validation_freq")


def check_epoch_arguments(owner: str, arguments: Iterable[str]) -> None:
    """Refuse arguments that `partial_fit` does not take.

    Raises
    ------
    TypeError
        If there is one.
    """
    valid_names = [name for name in CALL_CONSTRAINTS if name not in _NOT_FOR_PARTIAL_FIT]
    for name in arguments:
        if name not in valid_names:
            raise TypeError(
                f"Invalid argument `{name}` to {owner}.partial_fit, which trains one more epoch; "
                f"of the arguments of fit it takes {', '.join(valid_names)}"
            )
