"""What the parameters of training and the arguments of `fit` may be, as scikit-learn validates them."""

from numbers import Integral, Real
from os import PathLike
from typing import Any

from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from kerashp.estimators._schedules import SCHEDULES

_COUNT = Interval(Integral, 1, None, closed="left")
_COUNT_FROM_0 = Interval(Integral, 0, None, closed="left")

# The parameters of training that all estimators have.
TRAINING_CONSTRAINTS: dict[str, Any] = {
    "epochs": [_COUNT],
    "schedule": [StrOptions(set(SCHEDULES))],
    "warmup_epochs": [Interval(Real, 0, None, closed="left")],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "patience": [_COUNT_FROM_0],
    "min_delta": [Interval(Real, 0, None, closed="left")],
    "restore_best_weights": ["boolean"],
    "callbacks": [list, tuple, dict, HasMethods("on_epoch_end"), None],
    "shuffle": ["boolean"],
    "warm_start": ["boolean"],
    "warm_start_from": [HasMethods("predict"), str, PathLike, None],
    "random_state": ["random_state"],
    "verbose": ["verbose", StrOptions({"auto"})],
}

# The arguments of one call of `fit`, as keras.Model.fit takes them.
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
