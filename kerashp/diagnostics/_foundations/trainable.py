"""What is to be trained, and on what: from a Keras model, or from an estimator that has not been fitted."""

from dataclasses import dataclass
from typing import Any

import keras
from sklearn.base import clone

from kerashp._arguments import Arguments
from kerashp.diagnostics._foundations.passes import checked_data
from kerashp.estimators._base import BaseKerasEstimator
from kerashp.estimators._nesting import fit_argument, innermost
from kerashp.estimators._training.handover import Fitting, Suspended, suspending, training_for
from kerashp.training import set_statistics
from kerashp.training._keras.data import n_rows

_BATCH_SIZE = 32  # Keras' own


@dataclass(frozen=True)
class Trainable:
    """A model with the rows that it trains on."""

    model: Any  # compiled and built
    x: Any
    y: Any
    sample_weight: Any
    batch_size: int
    shuffle: bool
    dtype: str | None  # Keras' float type, where an estimator sets it

    @property
    def n_rows(self) -> int:
        return n_rows(self.x)


def trainable(
    check: Arguments, model: Any, X: Any, y: Any, sample_weight: Any, batch_size: int | None
) -> Trainable:
    """A compiled Keras model itself; of an estimator, the model and the rows that its fit would train.

    The estimator is cloned, and so is what stands before it in a pipeline, and fitted. No rows are held out.
    """
    if isinstance(model, keras.Model):
        return _of_model(check, model, X, y, sample_weight, batch_size)
    if isinstance(innermost(model), BaseKerasEstimator):
        return _of_estimator(check, model, X, y, sample_weight, batch_size)
    expected = "a compiled keras.Model or one of kerashp's estimators, alone or at the end of a Pipeline"
    raise check.wrong_type("model", expected, model)


def _of_model(
    check: Arguments, model: Any, X: Any, y: Any, sample_weight: Any, batch_size: int | None
) -> Trainable:
    if not model.compiled:
        raise check.wrong_value("model", "compiled, with an optimizer and a loss: call model.compile", model)
    if not model.built:
        raise check.wrong_value("model", "built: give it a keras.Input, or call model.build", model)
    if not model.trainable_variables:
        raise check.wrong_value("model", "one with weights to train", model)
    x, y, weight = checked_data(check, X=X, y=y, sample_weight=sample_weight)
    return Trainable(model, x, y, weight, batch_size or _BATCH_SIZE, shuffle=True, dtype=None)


def _of_estimator(
    check: Arguments, estimator: Any, X: Any, y: Any, sample_weight: Any, batch_size: int | None
) -> Trainable:
    fitting = _fitting(check, estimator, X, y, sample_weight)
    model = fitting.state.model
    set_statistics(model, fitting.statistics)
    return Trainable(
        model=model,
        x=fitting.rows.X,
        y=fitting.rows.y,
        sample_weight=fitting.rows.sample_weight,
        batch_size=batch_size or fitting.arguments.batch_size or _BATCH_SIZE,
        shuffle=fitting.arguments.shuffle,
        dtype=fitting.dtype,
    )


def _fitting(check: Arguments, estimator: Any, X: Any, y: Any, sample_weight: Any) -> Fitting:
    weights = {} if sample_weight is None else {fit_argument(estimator, "sample_weight"): sample_weight}
    try:
        with training_for(lambda: 1), suspending({}):
            clone(estimator).fit(X, y, **weights)
    except Suspended as suspended:
        return suspended.fitting
    raise check.wrong_type("model", "an estimator whose fit trains a Keras model", estimator)
