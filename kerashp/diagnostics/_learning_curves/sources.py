"""The sources of learning curves: a history, a dict, an estimator, a search."""

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
    "a keras History, a dict of curves, or a fitted estimator of kerashp, alone, as the last step of a "
    "pipeline, in a TransformedTargetRegressor or in a search"
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
    """The histories of a training on one or more splits, and its model, baseline and estimator if known."""

    histories: tuple[Mapping[str, Any], ...]
    model: Any = None
    baseline: float | None = None  # the loss of a trivial prediction, from the estimator
    of_estimator: bool = False
    outer: Any = None  # the estimator with the pipelines around it

    @property
    def settings(self) -> Settings:
        return settings_of(self.model, self.outer)


def source_of(source: Any) -> Source:
    """The curves in the first argument of `diagnose`."""
    if isinstance(source, keras.callbacks.History):
        return Source((source.history,), getattr(source, "model", None))
    if isinstance(source, Trained):
        return Source((source.history,))
    if isinstance(source, Mapping):
        return Source((source,))
    if isinstance(source, BaseSearchCV):
        return _source_of_search(source)
    estimator = innermost(source)
    if not isinstance(estimator, BaseKerasEstimator):
        raise _CHECK.wrong_type("source", _EXPECTED, source)
    check_is_fitted(estimator)
    return _source_of_estimator(source, (estimator.history_,))


def _source_of_estimator(outer: Any, histories: tuple[Mapping[str, Any], ...]) -> Source:
    estimator = innermost(outer)
    return Source(histories, estimator._network, estimator.baseline_loss_, of_estimator=True, outer=outer)


def _source_of_search(search: Any) -> Source:
    check_is_fitted(search, "cv_results_")
    best = getattr(search, "best_estimator_", None)
    has_best = isinstance(innermost(best), BaseKerasEstimator)
    if hasattr(search, "histories_") and hasattr(search, "best_index_"):
        histories = tuple(history for history in search.histories_[search.best_index_] if history is not None)
        if histories:
            return (
                _source_of_estimator(best, histories)
                if has_best
                else Source(histories, outer=search.estimator)
            )
    if has_best:
        return _source_of_estimator(best, (innermost(best).history_,))
    raise ValueError(
        f"diagnose: this {type(search).__name__} has no curves of its best candidate. Search over an "
        "estimator of kerashp with a search of kerashp.model_selection, or with refit=True (or the name of a "
        "score if there are several)"
    )


def curves_of(
    history: Mapping[str, Any], baseline: float | None, noisy: bool = False, least: float = 0.0
) -> Curves:
    """The losses in a history, after checks."""
    loss = _curve(history, "loss")
    val_loss = _curve(history, "val_loss") if "val_loss" in history else None
    _check_length(loss, val_loss)
    if val_loss is not None and len(val_loss) < MIN_EPOCHS and np.isfinite(val_loss).all():
        val_loss = None
    if baseline is not None:
        return Curves(loss, baseline, val_loss, has_baseline=True, noisy=noisy, least=least)
    if np.isfinite(loss).all() and loss[0] <= 0:
        raise ValueError(
            f"diagnose: the first loss must be > 0 to be the unit of the others; got {loss[0]}. Pass "
            "baseline, the loss of the best constant prediction"
        )
    return Curves(loss, float(loss[0]), val_loss, _final_accuracy(history), noisy=noisy, least=least)


def draws_noise(model: Any) -> bool:
    """Whether any layer, nested and recurrent ones included, drops units or adds noise in training."""
    layers = flatten_layers(model) if isinstance(model, keras.Model) else ()
    return any(_draws_noise(layer) for layer in layers)


def _draws_noise(layer: keras.Layer) -> bool:
    names = ("rate", "stddev") if isinstance(layer, _NOISE) else ("dropout", "recurrent_dropout")
    sizes = [getattr(layer, name, 0.0) for name in names]
    return any(isinstance(size, int | float) and size > 0 for size in sizes)


def _curve(history: Mapping[str, Any], name: str) -> np.ndarray:
    if name not in history:
        names = ", ".join(map(str, history)) or "none"
        raise ValueError(f"diagnose: the curves must include {name!r}; got {names}")
    expected = "one number for each epoch"
    values = history[name]
    if not (is_sequence(values) or hasattr(values, "__array__")):  # a column of a DataFrame
        raise _CHECK.wrong_type(f"the curve {name!r}", expected, values)
    try:
        curve = np.array([float(value) for value in values])
    except (TypeError, ValueError) as error:
        raise _CHECK.wrong_value(f"the curve {name!r}", expected, values) from error
    return curve


def _check_length(loss: np.ndarray, val_loss: np.ndarray | None) -> None:
    """Refuse curves that are too short, unless they are not finite: those are divergent in any length."""
    diverged = not np.isfinite(loss).all()
    if len(loss) < MIN_EPOCHS and not diverged:
        raise ValueError(
            f"diagnose: the curves must have at least {MIN_EPOCHS} epochs; got {len(loss)}. "
            "Train for longer, or in smaller epochs (steps_per_epoch)"
        )
    if val_loss is not None and len(val_loss) > len(loss):
        raise ValueError(
            f"diagnose: 'val_loss' must have no more values than 'loss'; got {len(val_loss)} and {len(loss)}"
        )


def _final_accuracy(history: Mapping[str, Any]) -> float:
    names = [name for name in _ACCURACIES if name in history]
    return float(np.median(_curve(history, names[0])[-2:])) if names else 0.0


def baseline_of(source: Source, y: Any) -> float:
    """The loss of the best constant prediction of these targets, by the loss of the source's model."""
    if source.of_estimator:
        raise ValueError(
            "diagnose: y is only for a keras History; an estimator or a search stores the loss of the best "
            "constant prediction (baseline_loss_). Omit y, or pass baseline"
        )
    if not isinstance(source.model, keras.Model) or not source.model.compiled:
        raise ValueError(
            "diagnose: y requires a compiled model, and this source has none. Instead of the history_ of an "
            "estimator pass the estimator itself, without y; for other curves pass baseline, the loss of the "
            "best constant prediction"
        )
    baseline = trivial_loss(source.model, _targets(y), None)
    if baseline is None:
        raise ValueError(
            f"diagnose: the best constant prediction of y is not known for the loss {source.model.loss!r}; "
            "pass baseline instead of y"
        )
    return baseline


def _targets(y: Any) -> np.ndarray:
    expected = "numbers of shape (n_samples,) or (n_samples, n_outputs), as they were passed to fit"
    try:
        array = np.asarray(y)
    except ValueError as error:  # arrays of different shapes, such as those of several outputs
        raise _CHECK.wrong_value("y", f"{expected}; otherwise pass baseline instead", y) from error
    if array.dtype.kind not in "biuf" or array.ndim == 0 or len(array) == 0:
        raise _CHECK.wrong_type("y", f"{expected}; otherwise pass baseline instead", y)
    return array


def derived_baseline(model: Any) -> float | None:
    """The cross-entropy of a constant prediction for equally frequent classes; None for other losses."""
    try:
        loss = loss_of(model)
    except (AttributeError, ValueError):  # no model, or not a single loss
        return None
    if loss.name == "binary_crossentropy":
        return float(np.log(2))
    shape = getattr(model, "output_shape", None)
    if loss.name in ("categorical_crossentropy", "sparse_categorical_crossentropy") and isinstance(
        shape, tuple
    ):
        return float(np.log(shape[-1]))
    return None
