"""The base class of all estimators: `fit`, training, the learned attributes, and predictions."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import keras
import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from kerashp._arguments import known_arguments
from kerashp._compat.sklearn import copy_metadata_request, validating_parameters
from kerashp.estimators._data.losses import trivial_loss
from kerashp.estimators._data.models import are_finite, check_compiled, outputs, rows_of
from kerashp.estimators._data.rows import (
    checked_features,
    checked_rows,
    drop_zero_weights,
)
from kerashp.estimators._data.validation_rows import validation_tuple, warn_of_unlike_rows
from kerashp.estimators._parameters.constraints import check_epoch_arguments
from kerashp.estimators._persistence import Persistent
from kerashp.estimators._preparation import FitPreparation
from kerashp.estimators._training.arguments import FitArguments
from kerashp.estimators._training.callbacks import (
    best_epoch,
    checkpoints_of,
    save_whole,
)
from kerashp.estimators._training.convergence import (
    convergence_message,
    warn_of_convergence,
)
from kerashp.estimators._training.handover import (
    EstimatorState,
    Fitting,
    has_horizon,
    substituted_outputs,
    suspend_if_requested,
    take_resumed_fit,
    trained_by_trainer,
)
from kerashp.estimators._training.pending import weights_of
from kerashp.training import (
    fit,
    isolated,
    set_statistics,
    without_retracing_warnings,
)
from kerashp.training._keras.rowwise import predicts_by_row

_MIN_ROWS = 8  # of a prediction from a table


@contextmanager
def restored_on_error(estimator: BaseEstimator) -> Iterator[None]:
    """Restore the attributes of an estimator if its fit raises an error."""
    attributes = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(attributes)
        raise


class BaseKerasEstimator(Persistent, FitPreparation):
    """A Keras model that is trained and predicts by scikit-learn's rules."""

    history_: dict[str, list[float]]
    callbacks_: list[keras.callbacks.Callback]
    baseline_loss_: float | None = None

    def __sklearn_clone__(self) -> Self:
        # A clone of `warm_start_from` would not be fitted. It is only read, so it can be shared.
        if self.warm_start_from is None:
            return super().__sklearn_clone__()
        new = type(self)(**{**self.get_params(deep=False), "warm_start_from": None})
        copy_metadata_request(self, new)
        return clone(new).set_params(warm_start_from=self.warm_start_from)

    # Training.

    @known_arguments
    @validating_parameters
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        validation_data: Any = None,
        callbacks: Any = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        verbose: Any = None,
        validation_split: float | None = None,
        shuffle: bool | None = None,
        class_weight: Any = None,
        initial_epoch: int | None = None,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Build a model and train it on (X, y).

        Arguments that are not None override the estimator's parameters for this call. They have the same
        meaning as in `keras.Model.fit`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Training rows: a NumPy array, a pandas or polars data frame, lists, or a sparse matrix, which is
            converted to a dense array.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Labels of any type, an indicator matrix (multilabel), or numbers.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, at least 0. Rows with a weight of 0 are left out.
        validation_data : tuple (X, y) or (X, y, sample_weight), default=None
            Validation rows, evaluated after each epoch; early stopping then holds out no rows. The steps of
            a pipeline are not applied to them.
        callbacks : list of keras.callbacks.Callback, default=None
            Callbacks in addition to the estimator's parameter. They are copied, so that fits share no state;
            `callbacks_` has the copies with the state that they collected.
        epochs : int, default=None
            The epoch at which training ends; it trains `epochs` - `initial_epoch` epochs.
        batch_size : int, default=None
            The number of rows in a training step.
        verbose : {"auto", 0, 1, 2}, default=None
            Keras' progress output.
        validation_split : float in [0, 1), default=None
            The fraction of the rows, the last ones, that is used for validation.
        shuffle : bool, default=None
            Whether each epoch takes the rows in a new order.
        class_weight : dict, list of dict or "balanced", default=None
            Weights of the labels (classifiers only), multiplied into the sample weights of the training rows
            but not of the validation rows.
        initial_epoch : int, default=None
            The epoch at which training starts, counted from 0.
        steps_per_epoch : int, default=None
            The number of batches in an epoch.
        validation_steps : int, default=None
            The number of batches in a validation.
        validation_batch_size : int, default=None
            The number of rows in a validation step.
        validation_freq : int or list of int, default=None
            The number of epochs from one validation to the next, or the epochs (counted from 1) after which
            to validate.
        X_val, y_val, sample_weight_val : array-like, default=None
            `validation_data` as separate arguments, for scikit-learn's `transform_input`: with metadata
            routing and `set_fit_request(X_val=True, y_val=True)`, a pipeline with
            `transform_input=["X_val"]` applies its steps to X_val, too.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If data, parameters, model and loss do not fit together. Nothing is trained then.
        ValueError
            If training diverged, so that the weights are not finite; `history_` has the curves.
        """
        call = {
            "callbacks": callbacks,
            "epochs": epochs,
            "batch_size": batch_size,
            "verbose": verbose,
            "validation_split": validation_split,
            "shuffle": shuffle,
            "class_weight": class_weight,
            "initial_epoch": initial_epoch,
            "steps_per_epoch": steps_per_epoch,
            "validation_steps": validation_steps,
            "validation_batch_size": validation_batch_size,
            "validation_freq": validation_freq,
        }
        fresh = not (self.warm_start and self.__sklearn_is_fitted__())
        validation_data = validation_tuple(validation_data, X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, validation_data, call, fresh=fresh)

    def _fit_epoch(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation_data: Any,
        arguments: dict[str, Any],
        classes: np.ndarray | None = None,
    ) -> Self:
        """Train one more epoch without early stopping, for `partial_fit`."""
        check_epoch_arguments(type(self).__name__, arguments)
        fresh = not self.__sklearn_is_fitted__()
        n_epochs = 0 if fresh else len(self.history_["loss"])
        call = {**arguments, "epochs": n_epochs + 1, "initial_epoch": n_epochs, "validation_split": 0.0}
        return self._fit(
            X, y, sample_weight, validation_data, call, fresh=fresh, classes=classes, partial=True
        )

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation_data: Any,
        call: dict[str, Any],
        *,
        fresh: bool,
        classes: np.ndarray | None = None,
        partial: bool = False,
    ) -> Self:
        resumed = take_resumed_fit()
        with restored_on_error(self):
            if resumed is not None:
                resumed.state.restore(self)
                history, arguments = resumed.history, resumed.arguments
            else:
                fitting = self._prepare_training(
                    X, y, sample_weight, validation_data, call, fresh=fresh, classes=classes, partial=partial
                )
                history, arguments = self._train(fitting), fitting.arguments
        self._record(history, arguments, partial=partial and not fresh)
        self._check_converged()
        if not has_horizon():
            message = convergence_message(history["loss"], arguments)
            warn_of_convergence(type(self).__name__, [message] if message else [])
        return self

    def _prepare_training(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation_data: Any,
        call: dict[str, Any],
        *,
        fresh: bool,
        classes: np.ndarray | None,
        partial: bool,
    ) -> Fitting:
        """Do all that precedes the training; a search suspends the fit at the end of this."""
        call = self._checked_call(call)
        all_rows = checked_rows(self, X, y, sample_weight, self._floatx(), reset=fresh)
        if fresh:
            self._start(all_rows, classes)
        else:
            self._continue_fit(all_rows, partial=partial)
        rows, validation, arguments = self._prepare(
            drop_zero_weights(all_rows), validation_data, call, fresh=fresh, partial=partial
        )
        fitting = Fitting(
            rows=rows,
            validation=validation,
            arguments=FitArguments.from_mapping(arguments),
            seed=self._next_seed(),
            dtype=self._dtype(),
            state=EstimatorState(dict(vars(self))),
            statistics=self._statistics if fresh else None,
            all_rows=lambda: all_rows._replace(X=self._model_input(all_rows.X)),
        )
        suspend_if_requested(fitting)
        if validation is not None and validation.positions is None:
            warn_of_unlike_rows(rows.X, validation.X)
        return fitting

    def _train(self, fitting: Fitting) -> dict[str, list[float]]:
        rows = fitting.rows
        for checkpoint in checkpoints_of(fitting.arguments.callbacks):
            save_whole(checkpoint, self._network, self.model_)
        with without_retracing_warnings(), isolated(fitting.seed, fitting.dtype):
            set_statistics(self._network, fitting.statistics)
            check_compiled(self._network, rows.X, rows.y)
            self.baseline_loss_ = trivial_loss(self._network, rows.y, rows.sample_weight)
            history = trained_by_trainer(fitting)
            if history is not None:
                return history
            arguments = fitting.arguments.to_mapping()
            return fit(self._network, rows.X, rows.y, sample_weight=rows.sample_weight, **arguments).history

    def _record(self, history: dict[str, list[float]], arguments: FitArguments, *, partial: bool) -> None:
        """Set the learned attributes that describe a training."""
        previous = self.history_ if partial else {}
        n_previous = len(previous.get("loss", ()))
        self.callbacks_ = arguments.callbacks
        curves = {self._curve_name(name): values for name, values in history.items()}
        self.history_ = {name: [*previous.get(name, []), *values] for name, values in curves.items()}
        shift = n_previous - arguments.initial_epoch
        logs = self.history_ | {name: self.history_[self._curve_name(name)] for name in history}
        self.best_epoch_ = best_epoch(arguments.callbacks, logs, shift)
        ended_early = len(history["loss"]) < arguments.n_epochs
        self.stopped_early_ = ended_early and bool(np.isfinite(history["loss"]).all())

    def _curve_name(self, name: str) -> str:
        """The name in `history_` of a curve that has this name in Keras' logs."""
        return name

    def _check_converged(self) -> None:
        if are_finite(weights_of(vars(self)["model_"])):
            return
        losses = np.asarray(self.history_["loss"])
        epochs = np.flatnonzero(~np.isfinite(losses))
        start = f"the loss is {losses[epochs[0]]} from epoch {epochs[0]} on and " if len(epochs) else ""
        raise ValueError(
            f"Training diverged: {start}the weights are not finite. Lower the learning rate, scale X and y, "
            "or clip the gradients (clipnorm). The curves are in history_"
        )

    # Prediction.

    def __sklearn_is_fitted__(self) -> bool:
        return "history_" in vars(self)

    def _raw_outputs(self, X: Any) -> Any:
        check_is_fitted(self)
        X = checked_features(self, X, self._floatx(), reset=False)
        with isolated(dtype=self._dtype()):
            raw = self._forward(self._model_input(X))
        arrays = keras.tree.flatten(raw)
        finite = np.all([np.isfinite(array).reshape(len(X), -1).all(axis=1) for array in arrays], axis=0)
        if not finite.all():
            raise ValueError(
                f"The network's outputs are not finite for {(~finite).sum()} of {len(X)} rows: these rows "
                "lie far from the training rows, or training diverged (see history_). Scale X, or lower the "
                "learning rate"
            )
        return raw

    def _forward(self, X: Any) -> Any:
        has_few_rows = isinstance(X, np.ndarray) and X.ndim == 2 and len(X) < _MIN_ROWS
        if has_few_rows and predicts_by_row(self._architecture):
            # Few rows are multiplied by another routine, whose rounding differs from that for many rows.
            repeated = X[np.minimum(np.arange(_MIN_ROWS), len(X) - 1)]
            return rows_of(self._forward(repeated), 0, len(X))
        substitute = substituted_outputs(vars(self)["model_"], X)
        return outputs(self._network, X) if substitute is None else substitute

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
