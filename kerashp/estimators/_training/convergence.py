"""The automatic number of epochs of a perceptron, and the warning if training did not converge."""

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

import keras
import numpy as np
from sklearn.exceptions import ConvergenceWarning

from kerashp.estimators._training.arguments import FitArguments
from kerashp.training._members.convergence import Convergence

AUTO = "auto"
_MIN_EPOCHS, _MIN_UPDATES = 200, 2000

_MESSAGES: ContextVar[list[str] | None] = ContextVar("messages", default=None)


def resolved_epochs(arguments: Mapping[str, Any], n_samples: int) -> int:
    """The epochs of a fit's arguments; "auto" depends on the number of training rows."""
    if arguments["epochs"] != AUTO:
        return int(arguments["epochs"])
    n_steps = arguments.get("steps_per_epoch") or max(1, math.ceil(n_samples / arguments["batch_size"]))
    return max(_MIN_EPOCHS, math.ceil(_MIN_UPDATES / n_steps))


def epochs_of(estimator: Any, n_samples: int, call: Mapping[str, Any] = MappingProxyType({})) -> int:
    """The epochs of an estimator's fit on `n_samples` rows, with `call` the arguments of `fit`."""
    epochs = call.get("epochs", estimator.epochs)
    parameters = {} if epochs != AUTO else estimator._fit_arguments(n_samples)
    return resolved_epochs({**parameters, **call, "epochs": epochs}, n_samples)


def has_early_stopping(callbacks: Sequence[Any]) -> bool:
    """Whether one of the callbacks is an `EarlyStopping`."""
    return any(isinstance(callback, keras.callbacks.EarlyStopping) for callback in callbacks)


def convergence_message(losses: Sequence[float], arguments: FitArguments) -> str | None:
    """The warning for a training whose loss still fell after all its epochs; None for any other."""
    rule = next((c for c in arguments.callbacks if isinstance(c, Convergence)), None)
    if rule is None or len(losses) < arguments.n_epochs or _has_converged(losses, rule):
        return None
    n_last = min(rule.n_iter_no_change, len(losses) - 1)
    fall = min(losses[: len(losses) - n_last]) - min(losses[len(losses) - n_last :], default=np.inf)
    if not fall > 0:
        return None
    return (
        f"the loss still fell, by {fall:.2g} to {min(losses):.2g} in the last {n_last} epochs, when training "
        f"ended at epochs={arguments.n_epochs}. Pass more epochs or a higher learning_rate; or a tol above "
        f"{rule.tol:g}, with which training ends earlier, or tol=None to train all epochs without this "
        "warning"
    )


def _has_converged(losses: Sequence[float], rule: Convergence) -> bool:
    """Whether `tol` would also have ended training with its last epoch."""
    callback = Convergence(rule.tol, rule.n_iter_no_change)
    callback.set_model(_Stoppable())
    callback.on_train_begin()
    for epoch, loss in enumerate(losses):
        callback.on_epoch_end(epoch, {"loss": loss})
    return callback.wait >= callback.patience


class _Stoppable:
    stop_training = False


@contextmanager
def collecting(messages: list[str]) -> Iterator[None]:
    """Inside, `warn_of_convergence` adds to `messages` instead of warning."""
    token = _MESSAGES.set(messages)
    try:
        yield
    finally:
        _MESSAGES.reset(token)


def warn_of_convergence(owner: str, messages: Sequence[str], n_fits: int = 1) -> None:
    """Warn once of all fits that did not converge, or add to the list of `collecting`."""
    collection = _MESSAGES.get()
    if collection is not None:
        collection.extend(messages)
    elif messages:
        prefix = "" if n_fits == 1 else f"{len(messages)} of {n_fits} fits did not converge. The first: "
        warnings.warn(f"{owner}: {prefix}{messages[0]}.", ConvergenceWarning, stacklevel=2)
