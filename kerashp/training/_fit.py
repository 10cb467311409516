"""`kerashp.fit`: `Model.fit`, an epoch or more in one compiled call."""

import warnings
from collections.abc import Iterator
from typing import Any

import keras

from kerashp._arguments import known_arguments
from kerashp._compat.keras import assert_compiled, build_for, first_epoch, validates_after
from kerashp.training._engine.assembly import single
from kerashp.training._keras import data, hooks
from kerashp.training._keras.learning_rates import initial_rate, schedule_among
from kerashp.training._keras.logs import native, validation_logs
from kerashp.training._keras.obstacles import obstacle, of_error, too_large
from kerashp.training._keras.regularization import regularization_among
from kerashp.training._members.convergence import is_patient, least_epochs
from kerashp.training._members.rates import Rates, ScheduledFactors, ScheduledRates
from kerashp.training._runtime.fallbacks import is_new, without_counters
from kerashp.training._runtime.forks import check_fork


class FallbackWarning(UserWarning):
    """`Model.fit` trains a model, since its training cannot be compiled with these arguments.

    Examples
    --------
    >>> import warnings
    >>> from kerashp.training import FallbackWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", FallbackWarning)  # no training by `Model.fit` goes unnoticed
    """


@known_arguments
def fit(
    model: Any,
    x: Any = None,
    y: Any = None,
    batch_size: int | None = None,
    epochs: int = 1,
    verbose: Any = "auto",
    callbacks: Any = None,
    validation_split: float = 0.0,
    validation_data: Any = None,
    shuffle: bool = True,
    class_weight: dict[int, float] | None = None,
    sample_weight: Any = None,
    initial_epoch: int = 0,
    steps_per_epoch: int | None = None,
    validation_steps: int | None = None,
    validation_batch_size: int | None = None,
    validation_freq: Any = 1,
    *,
    fallback: str = "warn",
) -> Any:
    """Train a Keras model as `model.fit(x, y, ...)` does, by whole epochs compiled.

    The arguments are those of `keras.Model.fit`, in its order and meaning. Weights, the optimizer's state and
    count of steps, metrics and random seeds are left in the model as by `Model.fit`, so that `predict`,
    `evaluate`, `save` and further training go on from there.

    Where neither the order of the rows nor a layer is random (`shuffle=False`; no Dropout, GaussianNoise,
    augmentation, sampling layer or the like), all numbers are those of `Model.fit`, to rounding. Random
    numbers are drawn in another way: with `shuffle=True`, Keras' default, the rows come in another order, and
    random layers draw other numbers, so that weights and losses differ from those of `Model.fit` as they do
    between two seeds. Orders and draws have the same distributions, and are repeated for the same seed. (Only
    where a seed was set, `Model.fit` on TensorFlow takes one random order in all its epochs; here each epoch
    has another.)

    Parameters
    ----------
    model : keras.Model
        Compiled; built or not. Any architecture, loss, metric and optimizer, your own among them.
    x, y : arrays of shape (n_samples, ...), data frames, or lists or dicts of them
        They are placed on the device once. Anything else (a `tf.data.Dataset`, a generator, sparse or ragged
        data) is trained on by `Model.fit`.
    batch_size : int, default=None
        Rows a step; 32 if None. A last batch may have fewer.
    epochs : int, default=1
        The epoch at which training ends, counted from 0.
    verbose : {"auto", 0, 1, 2}, default="auto"
        Keras' own progress, after every epoch.
    callbacks : list of keras.callbacks.Callback, default=None
        Their hooks of training, epochs and validation are called, with the logs that Keras gives and the
        model's variables up to date. One with a hook of batches makes `Model.fit` train, but for those that
        do nothing there: Keras' ModelCheckpoint and BackupAndRestore with `save_freq="epoch"` and TensorBoard
        with `update_freq="epoch"`; MLflow's MlflowCallback and W&B's WandbMetricsLogger and
        WandbModelCheckpoint, unless they log or save by batches; and those of keras-tuner's tuners, unless
        the tuner overrides `on_batch_begin` or `on_batch_end`. TerminateOnNaN looks at the end of each epoch.
    validation_split : float, default=0.0
        The share of the rows, the last ones, to validate on.
    validation_data : (x, y) or (x, y, sample_weight), default=None
        Rows to validate on.
    shuffle : bool, default=True
        Whether each epoch takes the rows in a new order, drawn by `numpy.random`, so that
        `keras.utils.set_random_seed` decides it; it need not be the one that `Model.fit` draws.
    class_weight : dict from class to weight, default=None
        Multiplies the loss of the rows of a class.
    sample_weight : array of shape (n_samples,), or a list or dict of them, default=None
        Multiplies the loss of each row.
    initial_epoch : int, default=0
        The epoch to count from.
    steps_per_epoch, validation_steps : int, default=None
        Any value but None makes `Model.fit` train.
    validation_batch_size : int, default=None
        Rows a step of validation; `batch_size` if None.
    validation_freq : int or list of int, default=1
        Epochs between validations, or the epochs (from 1) that end with one.
    fallback : {"warn", "error"}, default="warn"
        What to do where training cannot be compiled: train by `Model.fit` with the same arguments and warn,
        or raise an error. This is decided before any training.

    Returns
    -------
    keras.callbacks.History
        Its `history` holds, by name, the loss and metrics of every epoch.

    Raises
    ------
    RuntimeError
        If training cannot be compiled and `fallback="error"`; or in a process that was forked after its
        parent had used Keras.
    ValueError, TypeError
        As by `Model.fit`, for data that do not fit the model.

    Warns
    -----
    FallbackWarning
        It says why `Model.fit` trains: a hook of batches; data that are not dense arrays, or that fill more
        than half of the device's memory; an overridden `train_step` and the like; `run_eagerly`; an optimizer
        that scales the loss by itself; a distribution strategy; on an accelerator and with JAX, a layer that
        XLA does not compile; the torch backend.

    Notes
    -----
    A compiled function serves every model of the same graph shape (architecture, optimizer class, loss,
    metrics, batch size, float type), whatever its weights, learning rate, other rates and penalties, and
    whatever the number of rows, and is kept on disk for other processes; see `kerashp.training.clear_cache`.
    Models with code of your own are compiled one by one, and not kept.

    A loss that is not finite does not end training by itself.

    A process that is forked after the first use of Keras has none of the threads of TensorFlow or JAX:
    training in it raises an error instead of hanging. Start processes by `multiprocessing`'s "spawn" or by
    joblib's "loky" backend, or fork first.

    Examples
    --------
    >>> import numpy as np
    >>> from kerashp import build_model, fit
    >>> X = np.random.default_rng(0).normal(size=(200, 8))
    >>> model = build_model(1, 30, 0.05)
    >>> history = fit(model, X, X[:, 0], epochs=20, validation_split=0.2, verbose=0)
    >>> len(history.history["val_loss"])
    20
    >>> history.history["val_loss"][-1] < history.history["val_loss"][0]
    True
    """
    if fallback not in ("warn", "error"):
        raise ValueError(f"kerashp.fit: fallback must be 'warn' or 'error'; got {fallback!r}")
    call = {name: value for name, value in locals().items() if name not in ("model", "fallback")}
    check_fork()
    assert_compiled(model, "fit")
    if epochs <= initial_epoch:
        return model.fit(**call)
    try:
        training = _FitCall(model, call)
    except _Fallback as reason:
        if fallback == "error":
            raise RuntimeError(
                f"kerashp.fit cannot compile this training: {reason}. "
                "Pass fallback='warn' to train by Model.fit"
            ) from reason
        cause = without_counters(str(reason), model)
        if is_new(cause):
            warnings.warn(f"Model.fit trains this model: {cause}", FallbackWarning, stacklevel=3)
        return model.fit(**call)
    return training.run()


class _Fallback(Exception):
    """Why only `Model.fit` can train; raised before any training."""


class _FitCall:
    """One call of `fit`, which trains a population of one."""

    def __init__(self, model: Any, call: dict[str, Any]):
        self._model = model
        self._call = call
        self._is_ahead = False  # whether the engine's state is newer than the model's variables
        callbacks = hooks.flat_callbacks(call["callbacks"])
        self._schedule, self._regularization = schedule_among(callbacks), regularization_among(callbacks)
        reason = obstacle(model, call)
        if reason:
            raise _Fallback(reason)
        train, validation = self._standardized()
        reason = too_large(data.n_bytes(train) + data.n_bytes(validation))
        if reason:
            raise _Fallback(reason)
        batch_size = int(call["batch_size"] or 32)
        build_for(model, data.symbolic(train, batch_size))
        if not model.trainable_variables:
            raise _Fallback("the model has no trainable weights")
        self._n_steps = -(-data.n_rows(train) // batch_size)
        rates = None
        if self._schedule is not None:
            first = initial_rate(model, self._schedule)
            rates = Rates([ScheduledRates(self._schedule, first, self._n_steps)])
        try:
            self._engine = single(
                model,
                data.on_device(train),
                None if validation is None else data.on_device(validation),
                (batch_size, int(call["validation_batch_size"] or batch_size)),
                shuffle=call["shuffle"],
                rates=rates,
                factors=self._factors(call["initial_epoch"]),
                epochs=call["epochs"],  # so that a training that is resumed is compiled as a whole one is
            )
            self._engine.prepare()
        except Exception as error:  # then Model.fit trains, or raises an error of its own
            raise _Fallback(of_error(error)) from error

    def _factors(self, epoch: int) -> Rates | None:
        """The factors of dropout rates and weight decay from an epoch on."""
        callback = self._regularization
        return None if callback is None else Rates([ScheduledFactors(callback, self._n_steps, epoch)])

    def _standardized(self) -> tuple[Any, Any]:
        call = self._call
        rows, validation = (call["x"], call["y"], call["sample_weight"]), call["validation_data"]
        if call["validation_split"] and validation is None:
            rows, validation = data.split(*rows, call["validation_split"])
        train = data.standardized(*rows, class_weight=call["class_weight"])
        if validation is None:
            return train, None
        return train, data.standardized(*keras.utils.unpack_x_y_sample_weight(validation))

    def run(self) -> Any:
        """Train, and return the model's `History`."""
        model, call = self._model, self._call
        callbacks = self._callbacks()
        model.stop_training = False
        logs = None
        callbacks.on_train_begin()
        epoch = first_epoch(model) or call["initial_epoch"]
        if self._schedule is not None:  # callbacks may have restored an earlier training
            rates = ScheduledRates(self._schedule, self._schedule.begin(), self._n_steps, epoch)
            self._engine.rates = Rates([rates])
        self._engine.factors = self._factors(epoch)
        try:
            while epoch < call["epochs"] and not model.stop_training:
                n_epochs = self._n_epochs_together(callbacks.callbacks, call["epochs"] - epoch)
                logs = self._epochs(callbacks, epoch, n_epochs)
                epoch += n_epochs
        finally:
            self._write()
        model.optimizer.finalize_variable_values(model.trainable_weights)
        callbacks.on_train_end(logs=logs)
        return model.history

    def _callbacks(self) -> Any:
        call = self._call
        if isinstance(call["callbacks"], keras.callbacks.CallbackList):
            return call["callbacks"]
        return keras.callbacks.CallbackList(
            call["callbacks"],
            add_history=True,
            add_progbar=call["verbose"] != 0,
            verbose=call["verbose"],
            epochs=call["epochs"],
            steps=self._n_steps,
            model=self._model,
        )

    def _n_epochs_together(self, callbacks: list[Any], n_left: int) -> int:
        """How many epochs can be trained before a callback has to be called."""
        is_regular = not self._engine.validates or self._call["validation_freq"] == 1
        if hooks.act_between_epochs(callbacks) or not is_regular:
            return 1
        return min([n_left, *map(least_epochs, filter(is_patient, callbacks))])

    def _epochs(self, callbacks: Any, first: int, n_epochs: int) -> dict[str, Any]:
        """Train `n_epochs` epochs and call the callbacks for each; the last epoch's logs."""
        logs: dict[str, Any] = {}
        if n_epochs > 1:
            for epoch, logs in enumerate(self._train(n_epochs, validate=self._engine.validates), first):
                callbacks.on_epoch_begin(epoch)
                callbacks.on_epoch_end(epoch, logs)
            return logs
        callbacks.on_epoch_begin(first)
        if hooks.use_model(callbacks.callbacks):
            self._engine.read(self._model)
        logs = self._epoch(callbacks, first)
        hooks.end_batches(callbacks.callbacks, self._n_steps - 1, logs)
        callbacks.on_epoch_end(first, logs)
        return logs

    def _epoch(self, callbacks: Any, epoch: int) -> dict[str, Any]:
        validate = self._engine.validates and validates_after(
            self._model, epoch, self._call["validation_freq"]
        )
        if not hooks.use_model(callbacks.callbacks):
            (logs,) = self._train(1, validate=validate)
            return logs
        calls_test_hooks = validate and hooks.use_validation(callbacks.callbacks)
        (logs,) = self._train(1, validate=validate and not calls_test_hooks)
        self._write()
        if calls_test_hooks:
            callbacks.on_test_begin()
            self._engine.read(self._model)
            test_logs = {name: native(log[0, 0]) for name, log in self._engine.validation().items()}
            self._is_ahead = True
            self._write()
            callbacks.on_test_end(test_logs)
            logs |= validation_logs(test_logs)
        return logs

    def _train(self, n_epochs: int, *, validate: bool) -> Iterator[dict[str, Any]]:
        """Train `n_epochs` epochs; the logs of each."""
        self._is_ahead = True
        for epoch_logs, test_logs in self._engine.epochs(n_epochs, validate=validate):
            logs = epoch_logs | validation_logs(test_logs)
            for epoch in range(len(next(iter(logs.values())))):
                yield {name: native(log[epoch, 0]) for name, log in logs.items()}

    def _write(self) -> None:
        if self._is_ahead:
            self._engine.write(self._model)
            self._is_ahead = False
