"""One member of a population: its arguments, its progress and its result."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras.callbacks import EarlyStopping

from kerashp._statistics import InputStatistics
from kerashp.training._members.rates import FactorScheduler, Scheduler
from kerashp.training._members.room import Units, units_of
from kerashp.training._members.stopping import Watch
from kerashp.training._members.variant import Variant


@dataclass(frozen=True)
class Member:
    """A model of a population, and the arguments of its training that other members need not share.

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
        Decides when this member stops, and whether it gets its best weights. It is copied.
    epochs : int, default=None
        The epoch at which its training ends, if that is earlier than in the call of `train`.
    start : keras.Model, default=None
        A model that the same code made, say for another fold. Training begins with its weights, seeds,
        learning rate and optimizer's state instead of the model's: so models with code of your own, which
        cannot be compared, train together.
    schedule : kerashp.training.LearningRateCallback, default=None
        Sets the learning rate of each of its steps, from the rate that its model has.
    regularization : object with a method `factors`, default=None
        Multiplies the dropout rates and the weight decay of each of its steps.
    paused : Paused, default=None
        Where an earlier training of this member ended (`Population.paused`), to go on from there: its model
        is made as it was then, and its weights, epochs and order of the rows replace the model's.
    statistics : Statistics, RobustStatistics or QuantileBins, default=None
        Statistics of the inputs, in place of those of the model's first layer: each fold of one
        model may have different ones.
    variant : Variant, default=None
        Widths, numbers and initial values of a network that is not built, in place of those of `model`.

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
    schedule: Scheduler | None = None
    regularization: FactorScheduler | None = None
    paused: "Paused | None" = None
    statistics: InputStatistics | None = None
    variant: Variant | None = None

    @property
    def units(self) -> Units:
        """The units of the Dense layers of its network."""
        return units_of(self.model) if self.variant is None else self.variant.units


def starting_model(member: Member) -> Any:
    """The model whose weights a member's training begins with."""
    return member.model if member.start is None else member.start


@dataclass(frozen=True)
class Paused:
    """The state of a member's training at a pause, from which it goes on as if there had been none.

    Attributes
    ----------
    history : dict from str to list of float
        Loss and metrics after every epoch so far.
    values : list of list of ndarray
        Values of the model's trainable variables, its other variables and its optimizer's, in Keras' order.
    best : list of list of ndarray or None
        The first two of these at the epoch with the best value, if early stopping keeps them.
    order : dict or None
        The state of the generator that draws the order of the rows.

    Examples
    --------
    >>> import numpy as np
    >>> from kerashp import build_model
    >>> from kerashp.training import Member, Population
    >>> X, model = np.ones((64, 2)), build_model(1, 4, input_shape=2)
    >>> first = Population([Member(model, random_state=0)], X, X[:, 0])
    >>> _ = first.train(epochs=2)
    >>> later = Population([Member(model, random_state=0, paused=first.paused(0))], X, X[:, 0])
    >>> later.train(epochs=3)[0].n_epochs
    3
    """

    history: dict[str, list[Any]]
    values: list[list[np.ndarray]]
    best: list[list[np.ndarray]] | None
    order: dict[str, Any] | None

    @property
    def n_epochs(self) -> int:
        """How many epochs it has trained."""
        return len(next(iter(self.history.values()), []))

    def epochs(self) -> Iterator[dict[str, Any]]:
        """The logs of each epoch.

        Yields
        ------
        dict from str to float
            Loss and metrics by name.
        """
        for epoch in range(self.n_epochs):
            yield {name: logs[epoch] for name, logs in self.history.items()}


@dataclass(frozen=True)
class Trained:
    """How a member's training went.

    Attributes
    ----------
    history : dict from str to list of float
        Loss and metrics after every epoch that it trained, by Keras' names.
    n_epochs : int
        Their number.
    best_epoch : int or None
        The epoch, from 0, of the best value of what early stopping monitors; None without early stopping.
    stopped_by : {"epochs", "early stopping", "divergence"} or None
        Why training has ended; None where it may go on.

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


class Progress:
    """The epochs that one member has trained, and whether it has stopped."""

    def __init__(self, member: Member, metrics: list[Any]):
        self.watch = None if member.early_stopping is None else Watch(member.early_stopping, metrics)
        self.history: dict[str, list[Any]] = {}
        self.n_epochs = 0
        self.stopped_by: str | None = None
        self._last_epoch = member.epochs
        if member.paused is not None:
            for logs in member.paused.epochs():
                self.add_epoch(logs)

    def n_epochs_left(self, epochs: int) -> int:
        """How many epochs the member still trains until the epoch at which training ends."""
        last_epoch = epochs if self._last_epoch is None else min(epochs, self._last_epoch)
        return 0 if self.stopped_by else max(0, last_epoch - self.n_epochs)

    def add_epoch(self, logs: dict[str, Any]) -> bool:
        """Record the logs of one more epoch; whether its weights are to be kept as the best so far."""
        for name, log in logs.items():
            self.history.setdefault(name, []).append(log)
        self.n_epochs += 1
        best = self.watch is not None and self.watch.is_best(self.n_epochs - 1, logs)
        if not np.isfinite(logs["loss"]):
            self.stopped_by = "divergence"
        elif self.watch is not None and self.watch.stop_training:
            self.stopped_by = "early stopping"
        elif self.n_epochs == self._last_epoch:
            self.stopped_by = "epochs"
        return best

    def result(self) -> Trained:
        """How the training went so far."""
        best = None if self.watch is None else self.watch.best_epoch
        history = {name: list(logs) for name, logs in self.history.items()}
        return Trained(history, self.n_epochs, best, self.stopped_by)
