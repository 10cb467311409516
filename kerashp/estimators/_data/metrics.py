"""The form of targets that each of Keras' metrics takes, beside the form that a model's loss takes.

Loss and metrics get the same targets. Keras computes most metrics from targets of another form without an
error, by broadcasting: numbers that mean nothing.
"""

from collections.abc import Iterator
from typing import Any

import keras

from kerashp._compat.keras import compiled_metrics, wrapped_function
from kerashp.estimators._data.losses import Loss

_INDICES = "one class index a row"
_ONE_HOT = "one-hot rows"
_ALIKE = "targets of the shape of the model's outputs"
_COLUMN = "one column of 0 and 1"
_INDICATOR = "an indicator matrix"

_OF_INDICES = (
    "sparse_categorical_accuracy",
    "sparse_categorical_crossentropy",
    "sparse_top_k_categorical_accuracy",
)
_OF_ONE_HOT = (
    "categorical_accuracy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "categorical_hinge",
    "top_k_categorical_accuracy",
)
_BY_TARGETS = ("accuracy", "acc")  # Keras chooses their form by the targets
_TAKEN = {  # of each form that a loss takes: what suits it, and what to do about other metrics
    _INDICES: (
        (_INDICES,),
        "compile it with 'categorical_crossentropy', which gives the same losses and takes one-hot rows",
    ),
    _ONE_HOT: (
        (_ONE_HOT, _ALIKE),
        "take 'accuracy' or a metric of one-hot rows, or compile it with 'sparse_categorical_crossentropy'",
    ),
    _COLUMN: ((_ALIKE,), "take a metric such as 'accuracy' or F1Score(threshold=0.5)"),
    _INDICATOR: ((_ONE_HOT, _ALIKE), "take a metric such as 'binary_accuracy'"),
}


def metrics_of(model: keras.Model) -> Any:
    """The metrics that a model was compiled with, as they were given."""
    return list(compiled_metrics(model))


def check_metrics(model: keras.Model, loss: Loss, task: str, width: int, *, one_hot: bool) -> None:
    """Refuse metrics of Keras' that take targets of another form than a classifier's loss.

    Parameters
    ----------
    model : keras.Model
        Compiled.
    loss : Loss
        Its loss.
    task : {"binary", "multiclass", "multilabel"}
    width : int
        Of the model's output.
    one_hot : bool
        Whether the loss takes one-hot rows.

    Raises
    ------
    ValueError
        If there is one.
    """
    if task == "multilabel":
        given = _INDICATOR
    else:
        given = _COLUMN if width == 1 else _ONE_HOT if one_hot else _INDICES
    suited, remedy = _TAKEN[given]
    for name, form in _forms(metrics_of(model)):
        if form not in suited:
            raise ValueError(
                f"The model's metric {name!r} takes {form}, but its loss, {loss.name!r}, takes {given}, and "
                f"both get the same targets: {remedy}"
            )


def ask_for_one_hot(metrics: Any) -> bool:
    """Whether some of the metrics, as `compile` takes them, want one-hot rows where there are classes."""
    return any(form != _INDICES for _, form in _forms(metrics))


def _forms(metrics: Any) -> Iterator[tuple[str, str]]:
    """Each metric whose form is known: its name, and what it takes."""
    for identifier in keras.tree.flatten(metrics):
        if identifier is None or str(identifier).lower() in _BY_TARGETS:
            continue
        try:
            metric = keras.metrics.get(identifier)
        except (TypeError, ValueError):  # whoever compiles says what is wrong
            continue
        form = _form(metric)
        if form is not None:
            yield getattr(metric, "name", getattr(metric, "__name__", type(metric).__name__)), form


def _form(metric: Any) -> str | None:
    """What a metric, or a function of targets and predictions, takes; None for one of the user's own."""
    function = wrapped_function(metric) or (None if _is_metric(metric) else metric)
    if not _of_keras(function or type(metric).update_state):
        return None
    if function is not None:
        name = getattr(function, "__name__", "")
        return _INDICES if name in _OF_INDICES else _ONE_HOT if name in _OF_ONE_HOT else _ALIKE
    if type(metric) in (keras.metrics.Mean, keras.metrics.Sum):
        return None
    if isinstance(metric, keras.metrics.FBetaScore):
        return _ONE_HOT if metric.threshold is None else _ALIKE
    if isinstance(metric, keras.metrics.IoU) and not isinstance(metric, keras.metrics.BinaryIoU):
        return _INDICES if metric.sparse_y_true else _ONE_HOT
    return _ALIKE


def _is_metric(metric: Any) -> bool:
    return isinstance(metric, keras.metrics.Metric)


def _of_keras(function: Any) -> bool:
    return str(getattr(function, "__module__", "")).startswith("keras.")
