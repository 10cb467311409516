"""Encoders between the targets of scikit-learn and those of a network, and back from its outputs."""

from typing import Any

import numpy as np
from scipy.special import expit, softmax
from sklearn.utils.multiclass import type_of_target

from kerashp._compat.scikeras import ClassifierLabelEncoder, RegressorTargetEncoder
from kerashp.estimators._data.losses import Loss

TASKS = {"binary": "binary", "multiclass": "multiclass", "multilabel-indicator": "multilabel"}


class ClassEncoder(ClassifierLabelEncoder):
    """scikeras' label encoder, adapted to the outputs and the loss of the compiled model.

    Labels become 0 and 1 for one output, indices for a sparse loss and one-hot rows for any other loss. The
    model's outputs become probabilities that sum to 1, also if the loss takes logits or margins. If the model
    has more units than there are classes, only the units of the classes count.
    """

    def fit(self, y: np.ndarray) -> "ClassEncoder":
        super().fit(y)
        self._target_type: str
        if self._target_type == "multiclass-onehot":  # an indicator matrix is multilabel to scikit-learn
            self._target_type = "multilabel-indicator"
        self.task_ = TASKS[self._target_type]
        self.width_ = 1 if self.task_ == "binary" else self.n_classes_
        self.one_hot_, self.margins_, self.exclusive_ = False, False, self.task_ != "multilabel"
        self.n_units_, self.units_ = self.n_classes_, np.arange(self.n_classes_)
        return self

    def bind(self, width: int, loss: Loss) -> None:
        """Store the model's output width and loss."""
        self.one_hot_ = self.task_ != "multilabel" and width > 1 and not loss.sparse
        self.exclusive_ = self.task_ != "multilabel" or loss.categorical
        self.margins_ = loss.margins
        self.n_units_, self.units_ = width, self._units_of(width)

    def _units_of(self, width: int) -> np.ndarray:
        """The output unit of each class.

        Integer labels that are valid unit numbers belong to those units, so that a class has the same unit in
        each fold, even if the fold lacks other classes. Other labels belong to the first units, in the order
        of `classes_`.
        """
        labels = self.classes_
        has_spare_units = width > self.n_classes_ and labels.dtype.kind in "biuf"
        return (
            labels.astype(int)
            if has_spare_units and labels.min() >= 0 and labels.max() < width
            else np.arange(self.n_classes_)
        )

    def transform(self, y: np.ndarray) -> np.ndarray:
        self._check_labels(y)
        encoded = super().transform(y)
        if self.task_ == "multilabel":
            return encoded
        units = self.units_[encoded.astype(int)]
        return np.eye(self.n_units_)[units.ravel()] if self.one_hot_ else units.astype(encoded.dtype)

    def inverse_transform(self, y: np.ndarray, return_proba: bool = False) -> np.ndarray:
        proba = self._probabilities(np.asarray(y, dtype=float))
        return proba if return_proba else self.labels(proba)

    def outputs(self, encoded: np.ndarray) -> np.ndarray:
        """The outputs of a model that predicts these encoded targets with certainty, `(n_samples, width)`."""
        indices = self.task_ != "multilabel" and self.n_units_ > 1 and not self.one_hot_
        shares = np.eye(self.n_units_)[encoded.ravel().astype(int)] if indices else encoded
        shares = shares.reshape(len(encoded), -1)
        return 2 * shares - 1 if self.margins_ else shares

    def labels(self, proba: np.ndarray) -> np.ndarray:
        """The most probable labels; for a multilabel target 1 where a label is more probable than not."""
        if self.exclusive_:
            best = proba.argmax(axis=1)
            return (
                self.classes_[best]
                if self.task_ != "multilabel"
                else np.eye(self.n_classes_, dtype=int)[best]
            )
        return (proba > 0.5).astype(int)

    def prototype(self) -> np.ndarray:
        """The smallest y from which an equal encoder is fitted."""
        if self.task_ == "multilabel":
            return np.stack([np.zeros(self.n_classes_, int), np.ones(self.n_classes_, int)])
        return self.classes_

    def _probabilities(self, raw: np.ndarray) -> np.ndarray:
        if raw.shape[1] == 1 and self.task_ == "binary":
            positive = expit(raw) if self.margins_ else raw.clip(0, 1)
            return np.hstack([1 - positive, positive])
        if not self.exclusive_:
            return expit(raw) if self.margins_ else raw.clip(0, 1)
        raw = raw[:, self.units_]
        if self.margins_:
            return softmax(raw, axis=1)
        shares = raw.clip(0, None)
        total = shares.sum(axis=1, keepdims=True)
        return np.divide(shares, total, out=np.full_like(shares, 1 / raw.shape[1]), where=total > 0)

    def _check_labels(self, y: np.ndarray) -> None:
        if self.task_ == "multilabel":
            if y.ndim != 2 or y.shape[1] != self.n_classes_ or not np.isin(y, (0, 1)).all():
                raise ValueError(
                    f"y must be an indicator matrix of 0 and 1 with {self.n_classes_} columns, as in fit; "
                    f"got {type_of_target(y)} of shape {y.shape}"
                )
            return
        unknown = sorted(set(np.unique(y).tolist()) - set(self.classes_.tolist()), key=str)
        if unknown:
            raise ValueError(
                f"y holds the classes {unknown}, unknown to this classifier: it was fitted with "
                f"{self.classes_.tolist()}; name all classes in the first call "
                f"(partial_fit(classes=...)) or call fit again (scikit-learn's encoders say: Found unknown "
                f"categories {unknown})"
            )


class ValueEncoder(RegressorTargetEncoder):
    """scikeras' target encoder for regression; predictions have the float type of y or a narrower one.

    After `standardize`, the network's targets have mean 0 and standard deviation 1. Where `clips_` is true,
    predictions are clipped to the range of the targets.
    """

    task_ = "regression"
    mean_: np.ndarray | None = None
    deviation_: np.ndarray | None = None
    clips_ = False

    def fit(self, y: np.ndarray) -> "ValueEncoder":
        super().fit(y)
        self.width_ = self.n_outputs_
        self._dtype = y.dtype if y.dtype.kind == "f" else np.dtype(float)
        self._range = _range_of(y)
        return self

    def narrow(self, dtype: np.dtype) -> None:
        """Set a narrower float type of the predictions."""
        self._dtype = min(self._dtype, dtype, key=lambda candidate: candidate.itemsize)

    def bind(self, width: int, loss: Loss) -> None:
        """Store nothing: values are encoded alike for all models."""

    def clip(self, clips: bool, y: np.ndarray, *, extend: bool = False) -> None:
        """Set whether predictions are clipped to the range of y, or `extend` the present range by it."""
        self._check_shape(y)
        self.clips_ = clips
        self._range = _range_of(np.concatenate([self._range, y.reshape(len(y), -1)]) if extend else y)

    def standardize(self, mean: np.ndarray, deviation: np.ndarray) -> None:
        """Standardise values with these means and deviations from now on, and predictions back."""
        self.mean_, self.deviation_ = mean, deviation

    def transform(self, y: np.ndarray) -> np.ndarray:
        self._check_shape(y)
        y = super().transform(y)
        if self.mean_ is None or self.deviation_ is None:
            return y
        return ((y.reshape(len(y), -1) - self.mean_) / self.deviation_).reshape(y.shape)

    def inverse_transform(self, y: np.ndarray) -> np.ndarray:
        if self.mean_ is not None and self.deviation_ is not None:
            y = np.asarray(y, float).reshape(len(y), -1) * self.deviation_ + self.mean_
        y = np.asarray(y, dtype=self._dtype)
        return super().inverse_transform(y.clip(*self._range.astype(self._dtype)) if self.clips_ else y)

    def outputs(self, encoded: np.ndarray) -> np.ndarray:
        """The outputs of a model that predicts halfway to the mean of these targets, `(n_samples, width)`.

        Some scores need positive predictions, which they are for targets of at least 0.
        """
        values = encoded.reshape(len(encoded), -1)
        return (values + values.mean(axis=0)) / 2

    def _check_shape(self, y: np.ndarray) -> None:
        if y.shape[1:] != self._y_shape[1:]:
            raise ValueError(
                f"y must have the {self.n_outputs_} output(s) and {len(self._y_shape)} axes of the y in fit; "
                f"got shape {y.shape} (Detected ``y`` to have {1 if y.ndim == 1 else y.shape[1]} output(s))"
            )

    def prototype(self) -> np.ndarray:
        """The smallest y from which an equal encoder is fitted."""
        return self._range.astype(self._dtype).reshape(2, *self._y_shape[1:])


def _range_of(y: np.ndarray) -> np.ndarray:
    """The lowest and the highest value of each output, of shape `(2, n_outputs)`."""
    y = y.reshape(len(y), -1)
    return np.stack([y.min(axis=0), y.max(axis=0)])


def data_arguments(encoder: Any, X: np.ndarray) -> dict[str, Any]:
    """The arguments `input_shape`, `n_outputs` and `task` of a model function that follow from the data."""
    return {"input_shape": X.shape[1:], "n_outputs": encoder.width_, "task": encoder.task_}
