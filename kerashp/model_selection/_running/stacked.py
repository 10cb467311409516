"""Fits that train together: from what stopped where training begins to what goes on after it."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from kerashp.estimators._data.models import outputs
from kerashp.estimators._training.handover import Resumed
from kerashp.model_selection._fits.deadline import Stopped
from kerashp.model_selection._planning.data_pool import DataPool
from kerashp.model_selection._planning.prepare import PreparedFit
from kerashp.training import Member, Paused, Population, Room, Trained

States = dict[tuple[int, int], Paused]  # by candidate and split


class StackedTraining:
    """Fits of one key as a population.

    Parameters
    ----------
    fits : list of PreparedFit
    blocks : DataPool
    room : Room

    Attributes
    ----------
    compile_seconds, train_seconds : float
    """

    def __init__(self, fits: Sequence[PreparedFit], blocks: DataPool, room: Room):
        began = time.perf_counter()
        self._fits = fits
        joined = blocks.joined(portion.block for ready in fits for portion in ready.portions)
        members = [
            Member(
                fits[0].model if ready.own_code else ready.model,
                start=ready.model,
                rows=joined.rows(ready.train),
                validation_rows=joined.rows(ready.validation),
                random_state=ready.seed,
                early_stopping=ready.stopping,
                epochs=ready.arguments.epochs,
                schedule=ready.schedule,
                paused=ready.task.paused,
                statistics=ready.statistics,
            )
            for ready in fits
        ]
        first = fits[0].arguments
        self._n_epochs = max(ready.arguments.epochs for ready in fits)
        self._population = Population(
            members,
            joined.X,
            joined.y,
            _weights(fits, members, joined.n_rows),
            batch_size=max(ready.batch_size for ready in fits),
            validation_batch_size=first.validation_batch_size,
            shuffle=first.shuffle,
            epochs=self._n_epochs,
            room=room,
        )
        self._trained: list[Trained] = []
        self._outputs: dict[Any, np.ndarray] = {}
        self.compile_seconds = time.perf_counter() - began
        self.train_seconds = 0.0

    def train(
        self, report: Callable[[int], None], keep: Callable[[States], None] | None, every: float
    ) -> "StackedTraining":
        """Train all.

        Parameters
        ----------
        report : callable
            Takes the number of epochs of single members that have passed since last; may raise `Stopped`.
        keep : callable or None
            Takes how far all have come, at the end, and when training is stopped.
        every : float
            Seconds after which it takes them meanwhile, too.
        """
        began = kept = time.perf_counter()

        def keep_all() -> None:
            nonlocal kept
            if keep is not None:
                states = enumerate(self._fits)
                keep({ready.task.place: self._population.paused(index) for index, ready in states})
            kept = time.perf_counter()

        def between(epochs: int) -> None:
            report(epochs)
            if time.perf_counter() - kept >= every:
                keep_all()

        try:
            self._trained = self._population.train(self._n_epochs, between)
        except Stopped:
            keep_all()
            raise
        keep_all()
        self.train_seconds = time.perf_counter() - began
        return self

    def fit_seconds(self, position: int) -> float:
        """A fit's share of the time: of compiling an equal one, of training by its steps; and its own."""
        steps = [
            (trained.n_epochs - (ready.task.paused.n_epochs if ready.task.paused else 0)) * ready.n_steps
            for trained, ready in zip(self._trained, self._fits, strict=True)
        ]
        share = self.compile_seconds / len(steps) + self.train_seconds * steps[position] / max(1, sum(steps))
        return self._fits[position].seconds + share

    def resumed(self, position: int) -> Resumed:
        """What a fit goes on from; its model gets the member's weights."""
        ready, trained = self._fits[position], self._trained[position]
        self._population.write(position)
        if ready.stopping is not None:
            ready.stopping.best_epoch = trained.best_epoch
        return Resumed(ready.state, ready.arguments, trained.history, partial(self._predicted, position))

    def _predicted(self, position: int, X: Any) -> Any:
        """A member's outputs for rows X; the first to ask has all of its training rows' predicted.

        A model of several inputs or outputs, which has been written, gives them by itself.
        """
        model = self._fits[position].model
        if not isinstance(X, np.ndarray) or len(getattr(model, "outputs", None) or [model]) > 1:
            return outputs(model, X)
        block = self._fits[position].train.block
        key = block, X.shape, X.dtype, hash(X.tobytes())
        fold = [index for index, ready in enumerate(self._fits) if ready.train.block == block]
        if key not in self._outputs:
            self._outputs[key] = self._population.predict(X, fold)
        return self._outputs[key][fold.index(position)]


def _weights(fits: Sequence[PreparedFit], members: Sequence[Member], n_rows: int) -> np.ndarray | None:
    """The weights of all rows, `(n_members, n_rows)`, 1 where nobody says so; None where nobody says any."""
    portions = [
        (index, portion, rows)
        for index, (ready, member) in enumerate(zip(fits, members, strict=True))
        for portion, rows in ((ready.train, member.rows), (ready.validation, member.validation_rows))
        if portion is not None and portion.weight is not None
    ]
    if not portions:
        return None
    weights = np.ones((len(fits), n_rows))
    for index, portion, rows in portions:
        weights[index, rows] = portion.weight
    return weights
