"""The callbacks of a fit: copies, checks, and the best epoch."""

import copy
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from kerashp.callbacks import ModelCheckpoint
from kerashp.training._members.convergence import Convergence
from kerashp.training._runtime.fallbacks import is_new


def copy_callbacks(callbacks: Any) -> list[keras.callbacks.Callback]:
    """Copy each callback, so that two fits share no state.

    Raises
    ------
    TypeError
        If an item is not a Keras callback, or cannot be copied.
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
    """Refuse callbacks that monitor validation logs if there are no validation data: they would never act.

    A log such as "val_f1" may come from an earlier callback, which computes it on other rows.
    """
    has_custom_logs = False
    for callback in callbacks:
        has_custom_logs = has_custom_logs or _may_add_logs(callback)
        monitor = getattr(callback, "monitor", None)
        if isinstance(callback, keras.callbacks.ModelCheckpoint) and not callback.save_best_only:
            continue  # it saves every epoch without its monitor
        if isinstance(monitor, str) and monitor.startswith("val_") and not (validated or has_custom_logs):
            raise ValueError(
                f"{type(callback).__name__} monitors {monitor!r}, but this fit has no validation data, and "
                "no earlier callback that could add such a log; pass validation_data=(X, y) or "
                "validation_split to fit, or set early_stopping=True"
            )


def checkpoints_of(callbacks: Sequence[Any]) -> list[keras.callbacks.ModelCheckpoint]:
    """The callbacks that save models."""
    return [callback for callback in callbacks if isinstance(callback, keras.callbacks.ModelCheckpoint)]


def save_whole(checkpoint: keras.callbacks.ModelCheckpoint, network: keras.Model, model: keras.Model) -> None:
    """Make a checkpoint save `model` instead of `network`, the part of it that trains; or warn."""
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
            stacklevel=1,  # a fixed place, so that Python's filters recognise repetitions
        )


def _may_add_logs(callback: keras.callbacks.Callback) -> bool:
    """Whether a callback has a custom `on_epoch_end`, which may add logs."""
    module = getattr(callback.on_epoch_end, "__module__", None) or ""
    return module.partition(".")[0] not in ("keras", "kerashp")


def best_epoch(
    callbacks: Sequence[keras.callbacks.Callback], history: Mapping[str, Sequence[float]], shift: int
) -> int:
    """The index in `history` of the best epoch; epoch e of this fit has the index e + `shift`.

    This is the best epoch of the first `EarlyStopping` (which restores it). Without one, and with `tol`, it
    is the epoch with the least `val_loss`, or the least `loss` without validation. Losses that are not finite
    only count if all are.
    """
    for callback in callbacks:
        stops = isinstance(callback, keras.callbacks.EarlyStopping) and not isinstance(callback, Convergence)
        if stops and callback.monitor in history:
            return callback.best_epoch + shift
    losses = np.asarray(history.get("val_loss", history["loss"]), dtype=float)
    return int(np.argmin(np.where(np.isfinite(losses), losses, np.inf)))
