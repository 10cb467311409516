"""The kind of targets that a compiled model's loss takes."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from scipy.special import entr

from kerashp._compat.keras import wrapped_function
from kerashp._compat.scikeras import loss_name
from kerashp.layers._heads import HeadLoss

_SPARSE = {"sparse_categorical_crossentropy"}
_CATEGORICAL = {
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "categorical_hinge",
}
_BINARY = {"binary_crossentropy", "binary_focal_crossentropy"}
_MARGIN = {"hinge", "squared_hinge", "categorical_hinge"}
_NON_NEGATIVE = {"poisson", "mean_squared_logarithmic_error"}
_NO_LOSS = (
    "The model is compiled without a loss: provide a loss, such as 'mse' or "
    "'sparse_categorical_crossentropy', when you compile it or as the parameter loss"
)


@dataclass(frozen=True)
class Loss:
    """The kind of a model's loss.

    Attributes
    ----------
    name : str
        The name of the loss.
    sparse : bool
        Whether it takes class indices.
    categorical : bool
        Whether it takes one-hot rows of exclusive classes.
    margins : bool
        Whether the model's outputs are logits or margins instead of probabilities.
    label_smoothing : float, default=0.0
        The share of each target that is spread evenly over all classes.
    """

    name: str
    sparse: bool
    categorical: bool
    margins: bool
    label_smoothing: float = 0.0

    def smoothed(self, y: np.ndarray) -> np.ndarray:
        """Targets or their means, of shape `(n, width)`, with label smoothing."""
        n_classes = y.shape[1] if self.categorical else 2
        return y * (1 - self.label_smoothing) + self.label_smoothing / n_classes


def loss_of(model: keras.Model) -> Loss:
    """The kind of the loss with which a model was compiled."""
    loss = _single_loss(model.loss)
    if loss is None:
        raise ValueError(_NO_LOSS)
    if isinstance(loss, list | tuple | dict):
        raise ValueError(
            f"The model is compiled with {len(loss)} losses; an estimator needs one for its one output, such "
            "as 'mse' or 'sparse_categorical_crossentropy'"
        )
    name = _loss_name(loss)
    return Loss(
        name,
        sparse=name in _SPARSE,
        categorical=name in _CATEGORICAL,
        margins=name in _MARGIN or bool(getattr(loss, "from_logits", False)),
        label_smoothing=float(getattr(loss, "label_smoothing", 0.0)),
    )


def check_losses(model: keras.Model) -> None:
    """Refuse a model with any number of outputs that has no loss.

    Raises
    ------
    ValueError
        If it was compiled without a loss.
    """
    if not any(loss is not None for loss in keras.tree.flatten(model.loss)):
        raise ValueError(_NO_LOSS)


def trivial_loss(model: keras.Model, y: np.ndarray, sample_weight: np.ndarray | None) -> float | None:
    """The loss of predicting the mean of the targets, or the proportions of the classes, for all rows.

    With label smoothing, these are the mean and the proportions of the smoothed targets. None if it is
    unknown: for margins, or for a custom loss with other arguments. `y` are encoded targets.
    """
    is_multioutput = isinstance(model.loss, list | tuple | dict) and len(model.loss) > 1
    if is_multioutput or not isinstance(y, np.ndarray):
        return None
    loss = loss_of(model)
    if loss.margins:
        return None
    try:
        arguments = (
            _class_proportions(y, sample_weight) if loss.sparse else _target_mean(y, sample_weight, loss)
        )
        value = _mean_loss(keras.losses.get(_single_loss(model.loss)), *arguments)
    except Exception:  # the number is a help only, so the fit goes on without it
        return None
    return value if np.isfinite(value) and value > 0 else None


_LossArguments = tuple[np.ndarray, np.ndarray, np.ndarray | None]  # targets, predictions and weights


def least_loss(model: keras.Model) -> float:
    """The loss of perfect predictions, without penalties: with label smoothing, the entropy of the targets.

    0 for other losses, which may be unknown.
    """
    try:
        loss, width = loss_of(model), model.output_shape[-1]
    except (AttributeError, TypeError, ValueError):  # no model, or not a single loss or output
        return 0.0
    if not loss.label_smoothing:
        return 0.0
    targets = loss.smoothed(np.eye(1, width) if loss.categorical else np.eye(2))[0]
    return float(entr(targets).sum())


def _class_proportions(y: np.ndarray, sample_weight: np.ndarray | None) -> _LossArguments:
    """One row for each class, weighted by its frequency, since rows times classes may not fit in memory."""
    counts = np.bincount(y.ravel().astype(int), sample_weight)
    n_classes = len(counts)
    predicted = np.broadcast_to(counts / counts.sum(), (n_classes, n_classes))
    weights = counts * n_classes / len(y)
    return np.arange(n_classes)[:, None], predicted.astype(keras.config.floatx()), weights


def _target_mean(y: np.ndarray, sample_weight: np.ndarray | None, loss: Loss) -> _LossArguments:
    y = y.reshape(len(y), -1)
    mean = np.average(y, axis=0, weights=sample_weight)
    if loss.label_smoothing:
        mean = loss.smoothed(mean[None])
    return y, np.broadcast_to(mean, y.shape).astype(keras.config.floatx()), sample_weight


def _mean_loss(loss: Any, y: np.ndarray, predicted: np.ndarray, sample_weight: np.ndarray | None) -> float:
    if isinstance(loss, keras.losses.Loss):
        return float(keras.ops.convert_to_numpy(loss(y, predicted, sample_weight)))
    losses = keras.ops.convert_to_numpy(loss(y, predicted))  # a function returns one for each row
    return float(np.average(losses.reshape(len(y), -1).mean(axis=1), weights=sample_weight))


def _single_loss(loss: Any) -> Any:
    """The loss in a list or dict with one item."""
    if isinstance(loss, list | tuple | dict) and len(loss) == 1:
        (loss,) = loss.values() if isinstance(loss, dict) else loss
    return loss


def _loss_name(loss: Any) -> str:
    try:
        return str(wrapped_function(loss).__name__) if isinstance(loss, HeadLoss) else loss_name(loss)
    except (TypeError, ValueError):  # a list, a dict, or a custom loss that Keras cannot look up
        return getattr(loss, "__name__", type(loss).__name__)


def check_loss(loss: Loss, task: str, width: int, target_width: int) -> None:
    """Refuse a loss or an output width that does not fit the target.

    Raises
    ------
    ValueError
        If the model's output is narrower than the target, or wider for a target without classes, or the loss
        is for another kind of target.
    """
    per_class = loss.sparse or loss.categorical
    if task == "regression" and (per_class or loss.name in _MARGIN):
        raise ValueError(
            f"The model's loss {loss.name!r} is for classes, but the target is continuous; compile the model "
            "with a regression loss such as 'mse', or use a classifier"
        )
    if task == "multilabel" and loss.sparse:
        raise ValueError(
            f"The model's loss {loss.name!r} takes one class for each row, but the target is multilabel; "
            "compile the model with 'binary_crossentropy'"
        )
    min_width = 2 if task == "binary" and per_class else target_width
    has_classes = task in ("binary", "multiclass")  # a fold may lack classes for which the model has units
    if width < min_width or (width > min_width and not has_classes):
        units = f"{min_width} or more" if has_classes else f"{min_width}"
        raise ValueError(
            f"The model's output has width {width}, but a {task} target with the loss {loss.name!r} needs "
            f"{units}; give the last layer {units} unit(s)"
        )


def check_values(loss: Loss, y: np.ndarray) -> None:
    """Refuse regression targets for which the loss is not defined."""
    if loss.name in _BINARY and (y.min() < 0 or y.max() > 1):
        raise ValueError(
            f"The model's loss {loss.name!r} takes targets from 0 to 1; got values from {y.min()} to "
            f"{y.max()}: scale y or compile the model with a loss such as 'mse'"
        )
    if loss.name in _NON_NEGATIVE and y.min() < 0:
        raise ValueError(
            f"The model's loss {loss.name!r} takes targets of at least 0; got values from {y.min()}: "
            "compile the model with a loss such as 'mse'"
        )
