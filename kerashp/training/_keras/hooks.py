"""Callbacks of a training whose batches are not seen one by one."""

from collections.abc import Iterable
from typing import Any

import keras
from keras import tree
from keras.src.utils.python_utils import is_default

from kerashp.training._keras.learning_rates import LearningRateCallback, is_only_a_schedule
from kerashp.training._members.convergence import is_patient

_OF_BATCHES = (
    "on_batch_begin",
    "on_batch_end",
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_test_batch_begin",
    "on_test_batch_end",
)


def flat(callbacks: Any) -> list[Any]:
    """The callbacks of a list, a nested one, a CallbackList or None."""
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return list(callbacks.callbacks)
    return tree.flatten(callbacks) if callbacks else []


def batch_hook(callbacks: Iterable[Any]) -> str | None:
    """A hook, by its name, that has to be called at every batch."""
    for callback in callbacks:
        for name in _OF_BATCHES:
            if not is_default(getattr(callback, name)) and not _idles(callback, name):
                return f"{type(callback).__name__}.{name}"
    return None


def _idles(callback: Any, name: str) -> bool:
    """Whether the hook is one of Keras' own that does nothing at most batches, or nothing but by epochs."""
    if name in vars(callback):
        return False
    owner = next(cls for cls in type(callback).__mro__ if name in vars(cls))
    if owner is LearningRateCallback:
        return True  # its rates are known beforehand
    if owner in (keras.callbacks.ModelCheckpoint, keras.callbacks.BackupAndRestore):
        return callback.save_freq == "epoch"
    if owner is keras.callbacks.TensorBoard:
        by_epochs = callback.update_freq == "epoch" and not callback.write_steps_per_second
        return by_epochs and not callback._should_trace
    return owner in (keras.callbacks.TerminateOnNaN, keras.callbacks.ProgbarLogger)


def end_batches(callbacks: Iterable[Any], last_step: int, logs: dict[str, float]) -> None:
    """What TerminateOnNaN looks for after every batch, after an epoch's last."""
    for callback in callbacks:
        if isinstance(callback, keras.callbacks.TerminateOnNaN):
            callback.on_batch_end(last_step, logs)


_BLIND = (keras.callbacks.History, keras.callbacks.CSVLogger)


def look_between(callbacks: Iterable[Any]) -> bool:
    """Whether something is to happen between two epochs."""
    return any(type(callback) not in _BLIND and not _idles_between(callback) for callback in callbacks)


def _idles_between(callback: Any) -> bool:
    return is_only_a_schedule(callback) or is_patient(callback)


def look_at_model(callbacks: Iterable[Any]) -> bool:
    """Whether a callback may look at the model between epochs, or change it."""
    blind = (*_BLIND, keras.callbacks.ProgbarLogger, keras.callbacks.TerminateOnNaN)
    return any(type(callback) not in blind and not _idles_between(callback) for callback in callbacks)


def look_at_tests(callbacks: Iterable[Any]) -> bool:
    """Whether a callback has something to do before or after validation."""
    return any(
        not is_default(getattr(callback, name))
        for callback in callbacks
        for name in ("on_test_begin", "on_test_end")
        if not isinstance(callback, keras.callbacks.ProgbarLogger)
    )
