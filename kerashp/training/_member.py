"""One member of a population: what of its training is its own, and how far it has come."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from keras.callbacks import EarlyStopping

from kerashp.training._rates import LearningRateCallback
from kerashp.training._stopping import Watch


@dataclass(frozen=True)
class Member:
    """A model of a population, and what of its training is its own.

    Parameters
    ----------
    model : keras.Model
        Compiled and built. Training begins with its weights, random seeds, learning rate and the optimizer's
        state; they stay as they are until `Population.write`.
    rows : int array of shape (n_train,), default=None
        The rows of the data that it trains on, such as those of a fold; all if None.
    validation_rows : int array of shape (n_validation,), default=None
        The rows that it validates on: of the validation data where the population has some (then None is
        all), otherwise of the data (None is none).
    random_state : int, numpy.random.RandomState or numpy.random.Generator, default=None
        Draws the order of its rows in every epoch; with an int, the same order each time.
    early_stopping : keras.callbacks.EarlyStopping, default=None
        When this member stops, and whether it gets its best weights. It is copied.
    epochs : int, default=None
        The epoch at which its training ends, where that is before the others'.
    schedule : kerashp.training.LearningRateCallback, default=None
        Sets the learning rate of each of its steps, from the rate that its model has.
    start : keras.Model, default=None
        A model that the same code made, say for another fold. Training begins with its weights, seeds,
        learning rate and optimizer's state instead of the model's: so models with code of your own in them,
        of which nobody can tell that they are alike, train together.

    Examples
    --------
    Two folds of one model, which stop by themselves:

    >>> import keras
    >>> import numpy as np
    >>> from kerashp import build_model
    >>> model, folds = build_model(1, 30), np.arange(100).reshape(2, 50)
    >>> stopping = keras.callbacks.EarlyStopping(patience=3, restore_best_weights=True)
    >>> members = [
    ...     Member(model, folds[1 - k], validation_rows=folds[k], random_state=k, early_stopping=stopping)
    ...     for k in range(2)
    ... ]
    """

    model: Any
    rows: Any = None
    validation_rows: Any = None
    random_state: Any = None
    early_stopping: EarlyStopping | None = None
    epochs: int | None = None
    start: Any = None
    schedule: LearningRateCallback | None = None


@dataclass(frozen=True)
class Trained:
    """How a member's training went.

    Attributes
    ----------
    history : dict from str to list of float
        Loss and metrics after every epoch that it trained, by Keras' names.
    n_epochs : int
        How many that are.
    best_epoch : int or None
        The epoch, from 0, of the best value that its early stopping saw; None without early stopping.
    stopped_by : {"epochs", "early stopping", "divergence"} or None
        Why it trains no more; None while it still may.

    Examples
    --------
    >>> trained = Trained({"loss": [0.9, 0.4]}, n_epochs=2, best_epoch=None, stopped_by=None)
    >>> trained.history["loss"]
    [0.9, 0.4]
    """

    history: dict[str, list[Any]]
    n_epochs: int
    best_epoch: int | None
    stopped_by: str | None


class Course:
    """One member on its way through training."""

    def __init__(self, member: Member, metrics: list[Any]):
        self.watch = None if member.early_stopping is None else Watch(member.early_stopping, metrics)
        self.history: dict[str, list[Any]] = {}
        self.n_epochs = 0
        self.stopped_by: str | None = None
        self._last = member.epochs

    def left(self, epochs: int) -> int:
        """How many epochs there are until it ends, or training does."""
        last = epochs if self._last is None else min(epochs, self._last)
        return 0 if self.stopped_by else max(0, last - self.n_epochs)

    def saw(self, logs: dict[str, Any]) -> bool:
        """Take the logs of one more epoch; whether the weights are the best so far, to be kept."""
        for name, log in logs.items():
            self.history.setdefault(name, []).append(log)
        self.n_epochs += 1
        best = self.watch is not None and self.watch.is_best(self.n_epochs - 1, logs)
        if not np.isfinite(logs["loss"]):
            self.stopped_by = "divergence"
        elif self.watch is not None and self.watch.stop_training:
            self.stopped_by = "early stopping"
        elif self.n_epochs == self._last:
            self.stopped_by = "epochs"
        return best

    def trained(self) -> Trained:
        best = None if self.watch is None else self.watch.best_epoch
        history = {name: list(logs) for name, logs in self.history.items()}
        return Trained(history, self.n_epochs, best, self.stopped_by)
