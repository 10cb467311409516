"""Fits that train together: from fits that stopped before their training to fits that continue after it."""

import time
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np

from kerashp.estimators._data.models import outputs
from kerashp.estimators._training.handover import ResumedFit
from kerashp.estimators._training.pending import PendingNetwork, model_of
from kerashp.model_selection._fits.deadline import Stopped
from kerashp.model_selection._fits.result import FitId
from kerashp.model_selection._planning.data_pool import DataPool
from kerashp.model_selection._planning.prepare import PreparedFit
from kerashp.training import Member, Paused, Population, Room, Trained
from kerashp.training._stacking.columns import rows_with_columns

States = dict[FitId, Paused]


class StackedTraining:
    """Fits of one group as a population.

    Parameters
    ----------
    fits : list of PreparedFit
    pool : DataPool
    room : Room

    Attributes
    ----------
    compile_seconds, train_seconds : float
    """

    def __init__(self, fits: Sequence[PreparedFit], pool: DataPool, room: Room):
        began = time.perf_counter()
        self._fits = fits
        self._columns = room.columns
        blocks = {subset.block for fit in fits for subset in fit.row_subsets}
        data = pool.joined(blocks, room.columns)
        members = [
            Member(
                fits[0].model if fit.has_own_code else fit.model,
                start=None if fit.variant is not None else fit.model,
                rows=data.rows(fit.train),
                validation_rows=data.rows(fit.validation),
                random_state=fit.seed,
                early_stopping=fit.stopping,
                epochs=fit.arguments.epochs,
                schedule=fit.schedule,
                regularization=fit.regularization,
                paused=fit.task.paused,
                statistics=fit.statistics,
                variant=fit.variant,
            )
            for fit in fits
        ]
        first = fits[0].arguments
        self._n_epochs = max(fit.arguments.epochs for fit in fits)
        self._population = Population(
            members,
            data.X,
            data.y,
            _weights(fits, members, data.n_rows),
            batch_size=max(fit.batch_size for fit in fits),
            validation_batch_size=first.validation_batch_size,
            shuffle=first.shuffle,
            epochs=self._n_epochs,
            room=room,
        )
        self._trained: list[Trained] = []
        self._outputs: dict[Any, np.ndarray] = {}
        self._folds: dict[int, dict[int, int]] = {}  # by training rows: the place of each of their fits
        for position, fit in enumerate(fits):
            fold = self._folds.setdefault(fit.train.block, {})
            fold[position] = len(fold)
        self.compile_seconds = time.perf_counter() - began
        self.train_seconds = 0.0

    def train(
        self, report: Callable[[int], None], keep: Callable[[States], None] | None, every: float
    ) -> "StackedTraining":
        """Train all fits.

        Parameters
        ----------
        report : callable
            Takes the number of epochs that members have passed since the last call; may raise `Stopped`.
        keep : callable or None
            Takes the states of all fits, at the end and when training is stopped.
        every : float
            Seconds after which `keep` takes them during the training, too.
        """
        began = last_kept = time.perf_counter()

        def keep_all() -> None:
            nonlocal last_kept
            if keep is not None:
                states = enumerate(self._fits)
                keep({fit.task.fit_id: self._population.paused(index) for index, fit in states})
            last_kept = time.perf_counter()

        def after_epochs(epochs: int) -> None:
            report(epochs)
            if time.perf_counter() - last_kept >= every:
                keep_all()

        try:
            self._trained = self._population.train(self._n_epochs, after_epochs)
        except Stopped:
            keep_all()
            raise
        keep_all()
        self.train_seconds = time.perf_counter() - began
        return self

    def fit_seconds(self, position: int) -> float:
        """The seconds of a fit: an equal share of compiling, a share of training by steps, preparation."""
        return self._fits[position].seconds + self._shares[position]

    @cached_property
    def _shares(self) -> list[float]:
        """Each fit's share of the seconds of compiling and training; the latter is over."""
        steps = [
            (trained.n_epochs - (fit.task.paused.n_epochs if fit.task.paused else 0)) * fit.n_steps
            for trained, fit in zip(self._trained, self._fits, strict=True)
        ]
        compiling, all_steps = self.compile_seconds / len(steps), max(1, sum(steps))
        return [compiling + self.train_seconds * n_steps / all_steps for n_steps in steps]

    def resumed(self, position: int) -> ResumedFit:
        """What a fit continues from; its model gets the weights of its member when it is asked for."""
        fit, trained = self._fits[position], self._trained[position]
        network = PendingNetwork(
            fit.model,
            partial(self._model, position, fit.network),
            fit.variant,
            partial(self._population.values, position),
            fit.network,
        )
        if fit.stopping is not None:
            fit.stopping.best_epoch = trained.best_epoch
        outputs = partial(self._outputs_for, position)
        return ResumedFit(fit.state.with_network(network), fit.arguments, trained.history, outputs)

    def _model(self, position: int, network: Any) -> Any:
        """The model of a fit's network, with the weights of its member."""
        return self._population.write(position, model_of(network))

    def _outputs_for(self, position: int, X: Any) -> Any:
        """The outputs of a member for rows X, which are predicted for all fits of the same training rows.

        A model of several inputs or outputs predicts by itself.
        """
        fit = self._fits[position]
        if not isinstance(X, np.ndarray) or len(getattr(fit.model, "outputs", None) or [fit.model]) > 1:
            return outputs(self._model(position, fit.network), X)
        key = fit.train.block, X.shape, X.dtype, hash(X.tobytes())
        fold = self._folds[fit.train.block]
        if key not in self._outputs:
            rows = rows_with_columns(X, fit.columns, self._columns)
            self._outputs[key] = self._population.predict(rows, list(fold))
        return self._outputs[key][fold[position]]


def _weights(fits: Sequence[PreparedFit], members: Sequence[Member], n_rows: int) -> np.ndarray | None:
    """The sample weights of all rows, `(n_members, n_rows)`, 1 by default; None if no fit has any."""
    weighted = [
        (index, subset, rows)
        for index, (fit, member) in enumerate(zip(fits, members, strict=True))
        for subset, rows in ((fit.train, member.rows), (fit.validation, member.validation_rows))
        if subset is not None and subset.weight is not None
    ]
    if not weighted:
        return None
    weights = np.ones((len(fits), n_rows))
    for index, subset, rows in weighted:
        weights[index, rows] = subset.weight
    return weights
