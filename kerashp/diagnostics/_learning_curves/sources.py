"""Where learning curves come from: a history, a dict, an estimator, a search."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from sklearn.utils.validation import check_is_fitted

from kerashp._arguments import Arguments, is_sequence
from kerashp._compat.keras import flatten_layers
from kerashp._compat.sklearn import BaseSearchCV
from kerashp.diagnostics._learning_curves.rules import MIN_EPOCHS, Curves
from kerashp.diagnostics._learning_curves.settings import Settings, settings_of
from kerashp.estimators._base import BaseKerasEstimator
from kerashp.estimators._data.losses import loss_of, trivial_loss
from kerashp.estimators._nesting import innermost
from kerashp.training import Trained

_CHECK = Arguments("diagnose")
_EXPECTED = (
    "a keras History, a dict of curves, or a fitted estimator of kerashp, alone, at the end of a pipeline, "
    "in a TransformedTargetRegressor or in a search"
)
_ACCURACIES = ("accuracy", "acc", "binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy")
_NOISE = (
    keras.layers.Dropout,
    keras.layers.AlphaDropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
)


@dataclass(frozen=True)
class Source:
    """Histories of the same training on one or more splits, and what is known of it."""

    histories: tuple[Mapping[str, Any], ...]
    model: Any = None
    baseline: float | None = None  # the loss of a trivial prediction, where an estimator has kept it
    of_estimator: bool = False
    outer: Any = None  # the estimator, with the pipelines around it

    @property
    def settings(self) -> Settings:
        return settings_of(self.model, self.outer)


def source_of(given: Any) -> Source:
    """The curves in whatever was passed to `diagnose`."""
    if isinstance(given, keras.callbacks.History):
        return Source((given.history,), getattr(given, "model", None))
    if isinstance(given, Trained):
        return Source((given.history,))
    if isinstance(given, Mapping):
        return Source((given,))
    if isinstance(given, BaseSearchCV):
        return _of_search(given)
    estimator = innermost(given)
    if not isinstance(estimator, BaseKerasEstimator):
        raise _CHECK.wrong_type("source", _EXPECTED, given)
    check_is_fitted(estimator)
    return _of_estimator(given, (estimator.history_,))


def _of_estimator(outer: Any, histories: tuple[Mapping[str, Any], ...]) -> Source:
    estimator = innermost(outer)
    return Source(histories, estimator._network, estimator.baseline_loss_, of_estimator=True, outer=outer)


def _of_search(search: Any) -> Source:
    check_is_fitted(search, "cv_results_")
    best = getattr(search, "best_estimator_", None)
    of_ours = isinstance(innermost(best), BaseKerasEstimator)
    if hasattr(search, "histories_") and hasattr(search, "best_index_"):
        own = tuple(one for one in search.histories_[search.best_index_] if one is not None)
        if own:
            return _of_estimator(best, own) if of_ours else Source(own, outer=search.estimator)
    if of_ours:
        return _of_estimator(best, (innermost(best).history_,))
    raise ValueError(
        f"diagnose: this {type(search).__name__} has no curves of its best candidate. Search over an "
        "estimator of kerashp with a search of kerashp.model_selection, or with refit=True (or a "
        "score's name, where there are several)"
    )


def curves_of(history: Mapping[str, Any], baseline: float | None, noisy: bool = False) -> Curves:
    """The losses in a history, checked."""
    loss = _curve(history, "loss")
    val_loss = _curve(history, "val_loss") if "val_loss" in history else None
    _check_length(loss, val_loss)
    if val_loss is not None and len(val_loss) < MIN_EPOCHS and np.isfinite(val_loss).all():
        val_loss = None
    if baseline is not None:
        return Curves(loss, baseline, val_loss, known=True, noisy=noisy)
    if np.isfinite(loss).all() and loss[0] <= 0:
        raise ValueError(
            f"diagnose: the first loss must be > 0 for the others to be measured by it; got {loss[0]}. Pass "
            "baseline, the loss of a prediction that is the same for all rows"
        )
    return Curves(loss, float(loss[0]), val_loss, _rightly_classified(history), noisy=noisy)


def draws_noise(model: Any) -> bool:
    """Whether layers drop units or add noise in training, those in layers and recurrent ones too."""
    layers = flatten_layers(model) if isinstance(model, keras.Model) else ()
    return any(_draws_noise(layer) for layer in layers)


def _draws_noise(layer: keras.Layer) -> bool:
    names = ("rate", "stddev") if isinstance(layer, _NOISE) else ("dropout", "recurrent_dropout")
    sizes = [getattr(layer, name, 0.0) for name in names]
    return any(isinstance(size, int | float) and size > 0 for size in sizes)


def _curve(history: Mapping[str, Any], name: str) -> np.ndarray:
    if name not in history:
        known = ", ".join(map(str, history)) or "nothing"
        raise ValueError(f"diagnose: the curves must have one named {name!r}; got {known}")
    expected = "one number for each epoch"
    values = history[name]
    if not (is_sequence(values) or hasattr(values, "__array__")):  # a DataFrame's column
        raise _CHECK.wrong_type(f"the curve {name!r}", expected, values)
    try:
        curve = np.array([float(value) for value in values])
    except (TypeError, ValueError) as error:
        raise _CHECK.wrong_value(f"the curve {name!r}", expected, values) from error
    return curve


def _check_length(loss: np.ndarray, val_loss: np.ndarray | None) -> None:
    """What is not finite says enough in any length."""
    diverged = not np.isfinite(loss).all()
    if len(loss) < MIN_EPOCHS and not diverged:
        raise ValueError(
            f"diagnose: the curves must have {MIN_EPOCHS} epochs or more to show anything; got {len(loss)}. "
            "Train for longer, or in smaller epochs (steps_per_epoch)"
        )
    if val_loss is not None and len(val_loss) > len(loss):
        raise ValueError(
            f"diagnose: 'val_loss' must have no more values than 'loss'; got {len(val_loss)} and {len(loss)}"
        )


def _rightly_classified(history: Mapping[str, Any]) -> float:
    known = [name for name in _ACCURACIES if name in history]
    return float(np.median(_curve(history, known[0])[-2:])) if known else 0.0


def baseline_of(source: Source, y: Any) -> float:
    """The loss of a trivial prediction of these targets, by the source's own loss."""
    if source.of_estimator:
        raise ValueError(
            "diagnose: y is for a keras History; an estimator or a search has kept the loss of a trivial "
            "prediction itself (baseline_loss_). Leave y out, or pass baseline"
        )
    if not isinstance(source.model, keras.Model) or not source.model.compiled:
        raise ValueError(
            "diagnose: y needs the model's loss, and this source has no model; pass baseline instead, the "
            "loss of the best prediction that is the same for all rows"
        )
    baseline = trivial_loss(source.model, _targets(y), None)
    if baseline is None:
        raise ValueError(
            f"diagnose: the loss of a trivial prediction of y by {source.model.loss!r} is not known; pass "
            "baseline instead"
        )
    return baseline


def _targets(y: Any) -> np.ndarray:
    expected = "numbers of shape (n_samples,) or (n_samples, n_outputs), as they were passed to fit"
    try:
        array = np.asarray(y)
    except ValueError as error:  # arrays of several shapes, say of several outputs
        raise _CHECK.wrong_value("y", f"{expected}; or pass baseline instead", y) from error
    if array.dtype.kind not in "biuf" or array.ndim == 0 or len(array) == 0:
        raise _CHECK.wrong_type("y", f"{expected}; or pass baseline instead", y)
    return array


def derived_baseline(model: Any) -> float | None:
    """The cross-entropy of guessing among classes as if they were equally frequent; None for other losses."""
    try:
        loss = loss_of(model)
    except (AttributeError, ValueError):  # no model, or none with one loss
        return None
    if loss.name == "binary_crossentropy":
        return float(np.log(2))
    shape = getattr(model, "output_shape", None)
    if loss.name in ("categorical_crossentropy", "sparse_categorical_crossentropy") and isinstance(
        shape, tuple
    ):
        return float(np.log(shape[-1]))
    return None
