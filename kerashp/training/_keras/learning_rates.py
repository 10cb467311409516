"""Callbacks that set the learning rate of every step."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from kerashp._compat.keras_optimizers import rate_of
from kerashp.training._keras.optimizers import (
    inner_optimizer,
    learning_rate_of,
    step_count,
)
from kerashp.training._members.rates import ScheduledRates, Scheduler

_OF_EPOCHS = (keras.callbacks.LearningRateScheduler, keras.callbacks.ReduceLROnPlateau)


class LearningRateCallback(keras.callbacks.Callback):
    """Base of callbacks that set the learning rate of every step from a schedule.

    A subclass only has to write `schedule`: `Model.fit` calls the hooks at every batch, and `kerashp.fit` and
    the searches, which train an epoch or more in one compiled call, call `schedule` instead. At the end of
    training the optimizer has the rate that it began with.

    Attributes
    ----------
    initial_learning_rate : float
        The optimizer's rate at the beginning of training; where a callback such as
        `keras.callbacks.BackupAndRestore` restored an earlier training then, the rate before that.

    Raises
    ------
    ValueError
        When training begins: if the optimizer's rate is a schedule, if another callback sets the rate, or if
        the number of steps of an epoch is not known.

    Examples
    --------
    >>> import keras
    >>> import numpy as np
    >>> from kerashp import build_model, fit
    >>> from kerashp.training import LearningRateCallback
    >>> class HalfAfterOneEpoch(LearningRateCallback):
    ...     def schedule(self, learning_rate, steps_per_epoch):
    ...         rates = [learning_rate, learning_rate / 2]
    ...         return keras.optimizers.schedules.PiecewiseConstantDecay([steps_per_epoch - 1], rates)
    >>> X = np.random.default_rng(0).normal(size=(64, 8))
    >>> model = build_model(1, 30, 0.01)
    >>> _ = fit(model, X, X[:, 0], epochs=2, verbose=0, callbacks=[HalfAfterOneEpoch()])
    >>> round(float(model.optimizer.learning_rate), 3)
    0.01
    """

    def schedule(self, learning_rate: float, steps_per_epoch: int) -> Any:
        """The schedule of a training.

        Parameters
        ----------
        learning_rate : float
            The optimizer's rate at the beginning of training.
        steps_per_epoch : int
            The number of batches of an epoch.

        Returns
        -------
        keras LearningRateSchedule
            Of steps, counted from the first of epoch 0, whatever `initial_epoch`.
        """
        raise NotImplementedError(f"{type(self).__name__} must have a method schedule")

    def described(self) -> str:
        """Its name in errors.

        Returns
        -------
        str
            The name of its class.
        """
        return type(self).__name__

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        if getattr(model, "optimizer", None) is not None:  # without one, it predicts
            self._steps_before, self._rate_before = step_count(model), learning_rate_of(model.optimizer)

    def on_train_begin(self, logs: Any = None) -> None:
        self.initial_learning_rate = initial_rate(self.model, self)
        self._begins = True
        self._step_rates: ScheduledRates | None = None

    def begin(self) -> float:
        """The rate from which the schedule starts, once all callbacks have begun.

        Where one of them has restored an optimizer, with its count of steps, the optimizer has the rate of
        that step, and the schedule starts from the rate before that.

        Returns
        -------
        float
            That rate, which is also `initial_learning_rate`.
        """
        restored = step_count(self.model) != self._steps_before
        self.initial_learning_rate = self._rate_before if restored else initial_rate(self.model, self)
        self._last_step_rate = learning_rate_of(self.model.optimizer)
        self._begins = False
        return self.initial_learning_rate

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch
        if self._begins:
            self.begin()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if self._step_rates is None:
            n_steps = steps_of_epoch(self.model, self.params, self.described())
            self._step_rates = ScheduledRates(self, self.initial_learning_rate, n_steps, self._epoch)
        optimizer = self.model.optimizer
        if learning_rate_of(optimizer) != self._last_step_rate:
            raise ValueError(
                f"{self.described()} sets the learning rate of every step, but other code changed it from "
                f"{self._last_step_rate} to {learning_rate_of(optimizer)}; let one callback set the "
                "learning rate"
            )
        optimizer.learning_rate = self._step_rates.next(1)[0]
        self._last_step_rate = learning_rate_of(optimizer)

    def on_train_end(self, logs: Any = None) -> None:
        if self._begins:
            self.begin()
        self.model.optimizer.learning_rate = self.initial_learning_rate
        self._steps_before = step_count(self.model)


def steps_of_epoch(model: Any, params: Mapping[str, Any], name: str) -> int:
    """The number of steps of an epoch of `Model.fit`, for a callback of that name which acts at every step.

    Raises
    ------
    ValueError
        If the number is not known, or callbacks are called at some steps only.
    """
    steps = params.get("steps")
    if steps is None:
        raise ValueError(f"{name} needs the number of steps of an epoch; pass steps_per_epoch to fit")
    if model.steps_per_execution != 1:
        raise ValueError(
            f"{name} acts at every step, but steps_per_execution={model.steps_per_execution} calls it at "
            "only some of them; compile with steps_per_execution=1, or train by kerashp.fit"
        )
    return int(steps)


def has_hooks_of(callback: Any, base: type) -> bool:
    """Whether a callback is of this class, and has no hooks of its own."""
    hooks = [name for name in dir(keras.callbacks.Callback) if name.startswith(("on_", "set_"))]
    return isinstance(callback, base) and all(
        getattr(type(callback), name) is getattr(base, name) and name not in vars(callback) for name in hooks
    )


def is_only_a_schedule(callback: Any) -> bool:
    """Whether a callback does nothing but set the learning rate of every step."""
    return has_hooks_of(callback, LearningRateCallback)


def schedule_among(callbacks: Sequence[Any]) -> LearningRateCallback | None:
    """The callback that sets the learning rate of every step, if there is one.

    Raises
    ------
    ValueError
        If another callback sets the rate, too.
    """
    setters = [c for c in callbacks if isinstance(c, (LearningRateCallback, *_OF_EPOCHS))]
    of_steps = [callback for callback in setters if isinstance(callback, LearningRateCallback)]
    if of_steps and len(setters) > 1:
        names = " and ".join(getattr(c, "described", lambda c=c: type(c).__name__)() for c in setters)
        raise ValueError(
            f"{names} all set the learning rate; pass one of them (those of kerashp can warm up)"
        )
    return of_steps[0] if of_steps else None


def initial_rate(model: Any, callback: Scheduler) -> float:
    """The rate from which the callback's schedule starts.

    Raises
    ------
    ValueError
        If the optimizer's rate is a schedule.
    """
    rate = rate_of(inner_optimizer(model))
    if not isinstance(rate, keras.Variable):
        raise ValueError(
            f"{callback.described()} sets the learning rate, but the optimizer's rate is a "
            f"{type(rate).__name__}; compile the model with a number"
        )
    return learning_rate_of(inner_optimizer(model))
