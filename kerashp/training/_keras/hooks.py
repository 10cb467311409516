"""Which hooks of callbacks have to be called, where an epoch or more is one compiled call."""

from collections.abc import Callable, Iterable
from typing import Any

import keras
from keras import tree

from kerashp._compat.keras import is_default, traces_batches
from kerashp._compat.tuners.keras_tuner_oracles import TUNER_CALLBACK, tuner_ignores_batches
from kerashp.training._keras.learning_rates import LearningRateCallback, is_only_a_schedule
from kerashp.training._keras.regularization import RegularizationCallback, is_only_a_regularization
from kerashp.training._members.convergence import is_patient

_OF_BATCHES = (
    "on_batch_begin",
    "on_batch_end",
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_test_batch_begin",
    "on_test_batch_end",
)


def flat_callbacks(callbacks: Any) -> list[Any]:
    """The callbacks of a list, a nested one, a CallbackList or None."""
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return list(callbacks.callbacks)
    return tree.flatten(callbacks) if callbacks else []


def batch_hook(callbacks: Iterable[Any]) -> str | None:
    """The name of a hook that has to be called at every batch; None where there is none."""
    for callback in callbacks:
        for name in _OF_BATCHES:
            if not is_default(getattr(callback, name)) and not _is_idle_at_batches(callback, name):
                return f"{type(callback).__name__}.{name}"
    return None


def _is_idle_at_batches(callback: Any, name: str) -> bool:
    """Whether the hook does nothing at batches that would not be done once an epoch as well."""
    if name in vars(callback):
        return False
    owner = next(cls for cls in type(callback).__mro__ if name in vars(cls))
    if owner in _IDLE_AT_ALL_BATCHES:
        return True
    name_of_owner = f"{owner.__module__}.{owner.__qualname__}"
    is_idle = _IDLE_AT_BATCHES.get(owner) or _IDLE_AT_BATCHES_BY_NAME.get(name_of_owner)
    return is_idle is not None and is_idle(callback)


def _saves_by_epochs(callback: Any) -> bool:
    return bool(callback.save_freq == "epoch")


def _writes_by_epochs(callback: keras.callbacks.TensorBoard) -> bool:
    by_epochs = callback.update_freq == "epoch" and not callback.write_steps_per_second
    return by_epochs and not traces_batches(callback)


# By the class that defines the hook. The compiled steps take the rates of LearningRateCallback and the
# factors of RegularizationCallback, and `end_batches` calls TerminateOnNaN.
_IDLE_AT_ALL_BATCHES = (
    LearningRateCallback,
    RegularizationCallback,
    keras.callbacks.TerminateOnNaN,
    keras.callbacks.ProgbarLogger,
)
_IDLE_AT_BATCHES: dict[type, Callable[[Any], bool]] = {
    keras.callbacks.ModelCheckpoint: _saves_by_epochs,
    keras.callbacks.BackupAndRestore: _saves_by_epochs,
    keras.callbacks.TensorBoard: _writes_by_epochs,
}
# Likewise, of libraries that need not be installed.
_IDLE_AT_BATCHES_BY_NAME: dict[str, Callable[[Any], bool]] = {
    TUNER_CALLBACK: tuner_ignores_batches,
    "mlflow.keras.callback.MlflowCallback": lambda callback: callback.log_every_n_steps is None,
    "wandb.integration.keras.callbacks.metrics_logger.WandbMetricsLogger": (
        lambda callback: not callback.logging_batch_wise
    ),
    "wandb.integration.keras.callbacks.model_checkpoint.WandbModelCheckpoint": _saves_by_epochs,
}


def end_batches(callbacks: Iterable[Any], last_step: int, logs: dict[str, float]) -> None:
    """Let TerminateOnNaN look at an epoch's last batch in place of every batch."""
    for callback in callbacks:
        if isinstance(callback, keras.callbacks.TerminateOnNaN):
            callback.on_batch_end(last_step, logs)


_READ_LOGS_ONLY = (keras.callbacks.History, keras.callbacks.CSVLogger)


def act_between_epochs(callbacks: Iterable[Any]) -> bool:
    """Whether a callback has to be called between two epochs, not only after several."""
    return any(
        type(callback) not in _READ_LOGS_ONLY and not _is_idle_between_epochs(callback)
        for callback in callbacks
    )


def _is_idle_between_epochs(callback: Any) -> bool:
    return is_only_a_schedule(callback) or is_only_a_regularization(callback) or is_patient(callback)


def use_model(callbacks: Iterable[Any]) -> bool:
    """Whether a callback may read or change the model between epochs."""
    idle = (*_READ_LOGS_ONLY, keras.callbacks.ProgbarLogger, keras.callbacks.TerminateOnNaN)
    return any(type(callback) not in idle and not _is_idle_between_epochs(callback) for callback in callbacks)


def use_validation(callbacks: Iterable[Any]) -> bool:
    """Whether a callback has something to do before or after validation."""
    return any(
        not is_default(getattr(callback, name))
        for callback in callbacks
        for name in ("on_test_begin", "on_test_end")
        if not isinstance(callback, keras.callbacks.ProgbarLogger)
    )
