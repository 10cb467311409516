"""The callbacks of one fit: copied, completed, and asked for the best epoch."""

import copy
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from kerashp.callbacks import ModelCheckpoint
from kerashp.training._members.convergence import Convergence
from kerashp.training._runtime.fallbacks import is_new


def copied(callbacks: Any) -> list[keras.callbacks.Callback]:
    """A fresh copy of each callback, so that two fits share no state.

    Raises
    ------
    TypeError
        If something is no Keras callback, or cannot be copied.
    """
    return [_copy(callback) for callback in _flat(callbacks)]


def _flat(callbacks: Any) -> Iterable[Any]:
    if callbacks is None:
        return
    if isinstance(callbacks, Mapping):
        callbacks = list(callbacks.values())
    if isinstance(callbacks, list | tuple):
        for callback in callbacks:
            yield from _flat(callback)
    else:
        yield callbacks


def _copy(callback: Any) -> keras.callbacks.Callback:
    if not isinstance(callback, keras.callbacks.Callback):
        raise TypeError(f"callbacks must hold keras.callbacks.Callback objects; got {callback!r}")
    if isinstance(callback, keras.callbacks.CallbackList):
        raise TypeError("callbacks must be a list of callbacks; got a keras.callbacks.CallbackList")
    try:
        return copy.deepcopy(callback)
    except Exception as error:
        raise TypeError(
            f"callbacks are copied for each fit, but {callback!r} cannot be copied: {error}. Open files, "
            "locks and the like in its on_train_begin, not in its __init__"
        ) from error


def check_monitors(callbacks: Sequence[keras.callbacks.Callback], *, validated: bool) -> None:
    """Refuse callbacks that watch validation data where there are none: Keras would never call on them.

    A log such as "val_f1" may be that of a callback before, which computes it on rows of its own.
    """
    derived = False
    for callback in callbacks:
        derived = derived or _may_add_logs(callback)
        monitor = getattr(callback, "monitor", None)
        if isinstance(callback, keras.callbacks.ModelCheckpoint) and not callback.save_best_only:
            continue  # it saves every epoch and never looks
        if isinstance(monitor, str) and monitor.startswith("val_") and not (validated or derived):
            raise ValueError(
                f"{type(callback).__name__} monitors {monitor!r}, but this fit has no validation data, and "
                "no callback before it that could add such a log; pass validation_data=(X, y) or "
                "validation_split to fit, or set early_stopping=True"
            )


def checkpoints_of(callbacks: Sequence[Any]) -> list[keras.callbacks.ModelCheckpoint]:
    """The callbacks that save models."""
    return [callback for callback in callbacks if isinstance(callback, keras.callbacks.ModelCheckpoint)]


def save_whole(checkpoint: keras.callbacks.ModelCheckpoint, network: keras.Model, model: keras.Model) -> None:
    """Let a checkpoint of the training of a part of a model be of the model; or say that it is not."""
    if network is model:
        return
    if isinstance(checkpoint, ModelCheckpoint):
        checkpoint.save_whole(model)
    elif is_new("checkpoints of standardised targets"):
        warnings.warn(
            "keras.callbacks.ModelCheckpoint saves the network that trains, whose outputs are "
            "standardised targets (normalize_target=True), not those of predict. Use "
            "kerashp.callbacks.ModelCheckpoint, which saves model_, save model_ after the fit, or set "
            "normalize_target=False",
            stacklevel=1,  # of one place: Python's filters then know it again
        )


def _may_add_logs(callback: keras.callbacks.Callback) -> bool:
    """Whether a callback ends epochs by code of the user's own, which may add to their logs."""
    module = getattr(callback.on_epoch_end, "__module__", None) or ""
    return module.partition(".")[0] not in ("keras", "kerashp")


def best_epoch(
    callbacks: Sequence[keras.callbacks.Callback], history: Mapping[str, Sequence[float]], shift: int
) -> int:
    """The position in `history` of the best epoch, counted from 0; a run's epoch e stands at e + `shift`.

    It is the epoch that the first `EarlyStopping` holds for the best (and restores); without one, and where
    `tol` ends training, the epoch with the least `val_loss` of all, or `loss` where there was no validation.
    Losses that are not finite are never the best while one is.
    """
    for callback in callbacks:
        stops = isinstance(callback, keras.callbacks.EarlyStopping) and not isinstance(callback, Convergence)
        if stops and callback.monitor in history:
            return callback.best_epoch + shift
    losses = np.asarray(history.get("val_loss", history["loss"]), dtype=float)
    return int(np.argmin(np.where(np.isfinite(losses), losses, np.inf)))
