"""The model and the data of a training, from a Keras model or from an estimator that is not fitted."""

from dataclasses import dataclass
from typing import Any

import keras
from sklearn.base import clone

from kerashp._arguments import Arguments
from kerashp.diagnostics._foundations.forward_pass import as_keras_data
from kerashp.estimators._base import BaseKerasEstimator
from kerashp.estimators._nesting import fit_argument, innermost
from kerashp.estimators._training.handover import FitSuspended, Fitting, suspending, training_for
from kerashp.estimators._training.pending import model_of
from kerashp.training import set_statistics
from kerashp.training._keras.data import n_rows

_BATCH_SIZE = 32  # Keras' default


@dataclass(frozen=True)
class TrainingSetup:
    """A model with the data that it trains on."""

    model: Any  # compiled and built
    x: Any
    y: Any
    sample_weight: Any
    batch_size: int
    shuffle: bool
    dtype: str | None  # Keras' float type if an estimator sets it

    @property
    def n_rows(self) -> int:
        return n_rows(self.x)


def training_setup(
    check: Arguments, model: Any, X: Any, y: Any, sample_weight: Any, batch_size: int | None
) -> TrainingSetup:
    """The setup of a compiled Keras model, or the model and the rows that an estimator's `fit` would train.

    The estimator is cloned with its pipeline, whose other steps are fitted. No rows are held out.
    """
    if isinstance(model, keras.Model):
        return _setup_of_model(check, model, X, y, sample_weight, batch_size)
    if isinstance(innermost(model), BaseKerasEstimator):
        return _setup_of_estimator(check, model, X, y, sample_weight, batch_size)
    expected = "a compiled keras.Model or an estimator of kerashp, alone or as the last step of a Pipeline"
    raise check.wrong_type("model", expected, model)


def _setup_of_model(
    check: Arguments, model: Any, X: Any, y: Any, sample_weight: Any, batch_size: int | None
) -> TrainingSetup:
    if not model.compiled:
        raise check.wrong_value("model", "compiled, with an optimizer and a loss: call model.compile", model)
    if not model.built:
        raise check.wrong_value("model", "built: add a keras.Input, or call model.build", model)
    if not model.trainable_variables:
        raise check.wrong_value("model", "a model with trainable weights", model)
    x, y, weight = as_keras_data(check, X=X, y=y, sample_weight=sample_weight)
    return TrainingSetup(model, x, y, weight, batch_size or _BATCH_SIZE, shuffle=True, dtype=None)


def _setup_of_estimator(
    check: Arguments, estimator: Any, X: Any, y: Any, sample_weight: Any, batch_size: int | None
) -> TrainingSetup:
    fitting = _suspended_fit(check, estimator, X, y, sample_weight)
    model = model_of(fitting.state.network)
    set_statistics(model, fitting.statistics)
    return TrainingSetup(
        model=model,
        x=fitting.rows.X,
        y=fitting.rows.y,
        sample_weight=fitting.rows.sample_weight,
        batch_size=batch_size or fitting.arguments.batch_size or _BATCH_SIZE,
        shuffle=fitting.arguments.shuffle,
        dtype=fitting.dtype,
    )


def _suspended_fit(check: Arguments, estimator: Any, X: Any, y: Any, sample_weight: Any) -> Fitting:
    weights = {} if sample_weight is None else {fit_argument(estimator, "sample_weight"): sample_weight}
    try:
        with training_for(lambda: 1), suspending({}):
            clone(estimator).fit(X, y, **weights)
    except FitSuspended as suspended:
        return suspended.fitting
    raise check.wrong_type("model", "an estimator whose fit trains a Keras model", estimator)
