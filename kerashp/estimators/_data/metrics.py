"""The form of targets that Keras' metrics take, compared with the form that the loss takes.

The loss and the metrics get the same targets. For targets of another form, Keras computes most metrics by
broadcasting, without an error, and the numbers are meaningless.
"""

from collections.abc import Iterator
from typing import Any

import keras

from kerashp._compat.keras import compiled_metrics, wrapped_function
from kerashp.estimators._data.losses import Loss
from kerashp.training._keras.layers import is_of_keras

_INDICES = "one class index for each row"
_ONE_HOT = "one-hot rows"
_OUTPUT_SHAPE = "targets of the shape of the model's outputs"
_COLUMN = "one column of 0 and 1"
_INDICATOR = "an indicator matrix"

_INDEX_METRICS = (
    "sparse_categorical_accuracy",
    "sparse_categorical_crossentropy",
    "sparse_top_k_categorical_accuracy",
)
_ONE_HOT_METRICS = (
    "categorical_accuracy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "categorical_hinge",
    "top_k_categorical_accuracy",
)
_ANY_FORM = ("accuracy", "acc")  # Keras adapts them to the targets
_SUITABLE = {  # for each form that a loss takes: the forms of suitable metrics, and a remedy for others
    _INDICES: (
        (_INDICES,),
        "compile the model with 'categorical_crossentropy', which computes the same loss from one-hot rows",
    ),
    _ONE_HOT: (
        (_ONE_HOT, _OUTPUT_SHAPE),
        "use 'accuracy' or a metric of one-hot rows, or compile with 'sparse_categorical_crossentropy'",
    ),
    _COLUMN: ((_OUTPUT_SHAPE,), "use a metric such as 'accuracy' or F1Score(threshold=0.5)"),
    _INDICATOR: ((_ONE_HOT, _OUTPUT_SHAPE), "use a metric such as 'binary_accuracy'"),
}


def metrics_of(model: keras.Model) -> Any:
    """The metrics that were passed when the model was compiled."""
    return list(compiled_metrics(model))


def check_metrics(model: keras.Model, loss: Loss, task: str, width: int, *, one_hot: bool) -> None:
    """Refuse Keras metrics that take targets of another form than the classifier's loss.

    Parameters
    ----------
    model : keras.Model
        A compiled model.
    loss : Loss
        The model's loss.
    task : {"binary", "multiclass", "multilabel"}
        The kind of target.
    width : int
        The width of the model's output.
    one_hot : bool
        Whether the loss takes one-hot rows.

    Raises
    ------
    ValueError
        If there is such a metric.
    """
    if task == "multilabel":
        loss_form = _INDICATOR
    else:
        loss_form = _COLUMN if width == 1 else _ONE_HOT if one_hot else _INDICES
    suited, remedy = _SUITABLE[loss_form]
    for name, form in _forms(metrics_of(model)):
        if form not in suited:
            raise ValueError(
                f"The model's metric {name!r} takes {form}, but its loss, {loss.name!r}, takes {loss_form}, "
                f"and both get the same targets: {remedy}"
            )


def needs_one_hot(metrics: Any) -> bool:
    """Whether one of the metrics for several classes takes one-hot rows."""
    return any(form != _INDICES for _, form in _forms(metrics))


def _forms(metrics: Any) -> Iterator[tuple[str, str]]:
    """The name and the form of targets of each metric whose form is known."""
    for identifier in keras.tree.flatten(metrics):
        if identifier is None or str(identifier).lower() in _ANY_FORM:
            continue
        try:
            metric = keras.metrics.get(identifier)
        except (TypeError, ValueError):  # Keras raises a clear error when the model is compiled
            continue
        form = _form(metric)
        if form is not None:
            yield getattr(metric, "name", getattr(metric, "__name__", type(metric).__name__)), form


def _form(metric: Any) -> str | None:
    """The form of targets that a metric or a function takes; None for a custom one."""
    function = wrapped_function(metric) or (None if _is_metric(metric) else metric)
    if not is_of_keras(function or type(metric).update_state):
        return None
    if function is not None:
        name = getattr(function, "__name__", "")
        return _INDICES if name in _INDEX_METRICS else _ONE_HOT if name in _ONE_HOT_METRICS else _OUTPUT_SHAPE
    if type(metric) in (keras.metrics.Mean, keras.metrics.Sum):
        return None
    if isinstance(metric, keras.metrics.FBetaScore):
        return _ONE_HOT if metric.threshold is None else _OUTPUT_SHAPE
    if isinstance(metric, keras.metrics.IoU) and not isinstance(metric, keras.metrics.BinaryIoU):
        return _INDICES if metric.sparse_y_true else _ONE_HOT
    return _OUTPUT_SHAPE


def _is_metric(metric: Any) -> bool:
    return isinstance(metric, keras.metrics.Metric)
