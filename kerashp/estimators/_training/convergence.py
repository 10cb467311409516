"""How long a perceptron trains by itself, and what is said where that was too short."""

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
_FEWEST_EPOCHS, _FEWEST_UPDATES = 200, 2000

_COLLECTED: ContextVar[list[str] | None] = ContextVar("collected", default=None)


def resolved_epochs(arguments: Mapping[str, Any], n_samples: int) -> int:
    """The epochs of a fit's arguments; where they are "auto", as many as so many rows to train on need."""
    if arguments["epochs"] != AUTO:
        return int(arguments["epochs"])
    n_steps = arguments.get("steps_per_epoch") or max(1, math.ceil(n_samples / arguments["batch_size"]))
    return max(_FEWEST_EPOCHS, math.ceil(_FEWEST_UPDATES / n_steps))


def epochs_of(estimator: Any, n_samples: int, call: Mapping[str, Any] = MappingProxyType({})) -> int:
    """The epochs that a fit of an estimator on so many rows asks for, with these arguments of the call."""
    epochs = call.get("epochs", estimator.epochs)
    own = {} if epochs != AUTO else estimator._fit_arguments(n_samples)
    return resolved_epochs({**own, **call, "epochs": epochs}, n_samples)


def is_governed(callbacks: Sequence[Any]) -> bool:
    """Whether an early stopping among the callbacks says when training ends."""
    return any(isinstance(callback, keras.callbacks.EarlyStopping) for callback in callbacks)


def unconverged(losses: Sequence[float], arguments: FitArguments) -> str | None:
    """What to say of a training that went through all its epochs while its loss still fell; None: nothing."""
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
        f"{rule.tol:g}, with which training ends earlier, or tol=None for training that is not to converge"
    )


def _has_converged(losses: Sequence[float], rule: Convergence) -> bool:
    """Whether training would have ended with its last epoch, too."""
    watched = Convergence(rule.tol, rule.n_iter_no_change)
    watched.set_model(_Stoppable())
    watched.on_train_begin()
    for epoch, loss in enumerate(losses):
        watched.on_epoch_end(epoch, {"loss": loss})
    return watched.wait >= watched.patience


class _Stoppable:
    stop_training = False


@contextmanager
def collecting(texts: list[str]) -> Iterator[None]:
    """Inside, `warn_of_convergence` adds to the texts, and warns of nothing."""
    token = _COLLECTED.set(texts)
    try:
        yield
    finally:
        _COLLECTED.reset(token)


def warn_of_convergence(owner: str, texts: Sequence[str], n_fits: int = 1) -> None:
    """One warning of all fits that ended while their loss fell, or none where somebody collects them."""
    collected = _COLLECTED.get()
    if collected is not None:
        collected.extend(texts)
    elif texts:
        which = "" if n_fits == 1 else f"{len(texts)} of {n_fits} fits did not converge. The first: "
        warnings.warn(f"{owner}: {which}{texts[0]}.", ConvergenceWarning, stacklevel=2)
