"""Custom encoders of a subclass, scikeras' interface to models with several inputs and outputs."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
from scipy import sparse
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.multiclass import type_of_target

from kerashp.estimators._base import BaseKerasEstimator
from kerashp.estimators._data.losses import check_losses
from kerashp.estimators._data.models import outputs_for
from kerashp.estimators._data.rows import Rows, cast_to_float
from kerashp.estimators._data.targets import TASKS


class ListedClasses:
    """Provides `classes_` while a subclass makes its target encoder, which may read them."""

    def __init__(self, classes: np.ndarray | None):
        self.classes_ = classes
        self.n_classes_ = None if classes is None else len(classes)


class TargetAdapter:
    """Gives a transformer of targets the interface of an encoder.

    Parameters
    ----------
    transformer : scikit-learn transformer
        `transform` returns the targets in the form that the model takes: an array, or a list or dict of
        arrays. `inverse_transform` converts the model's outputs to labels or values, and for a classifier to
        probabilities if `return_proba=True`. Its attributes are available on the adapter, too.
    numeric : bool
        Whether the targets are numbers instead of classes.
    """

    def __init__(self, transformer: Any, *, numeric: bool):
        self.transformer = transformer
        self._numeric = numeric

    def __getattr__(self, name: str) -> Any:
        if name == "transformer" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.transformer, name)

    def fit(self, y: np.ndarray) -> "TargetAdapter":
        self.transformer.fit(y)
        self.metadata = metadata_of(self.transformer)
        kind = type_of_target(y)
        self.task_ = "regression" if self._numeric else TASKS.get(kind, "multioutput")
        n_columns = 1 if y.ndim == 1 else y.shape[1]
        self.n_outputs_ = self._learned("n_outputs_", n_columns)
        self.n_outputs_expected_ = self._learned("n_outputs_expected_", None)
        self.width_ = n_columns
        if not self._numeric:
            self.classes_ = self._learned("classes_", _classes_of(y, self.task_))
            self.n_classes_ = self._learned("n_classes_", _class_counts(self.classes_))
            if self.task_ == "multiclass":
                self.width_ = self.n_classes_
        return self

    def transform(self, y: np.ndarray) -> Any:
        return as_arrays(self.transformer.transform(y))

    def inverse_transform(self, y: Any, **options: Any) -> Any:
        return self.transformer.inverse_transform(y, **options)

    def _learned(self, name: str, default: Any) -> Any:
        """A learned value of the transformer, from its metadata or its attributes, as in scikeras."""
        value = self.metadata.get(name, getattr(self.transformer, name, None))
        return default if value is None else value


def metadata_of(transformer: Any) -> dict[str, Any]:
    """The attributes that a transformer sets on the estimator, as in scikeras."""
    return dict(transformer.get_metadata()) if hasattr(transformer, "get_metadata") else {}


def as_arrays(data: Any) -> Any:
    """The output of a transformer as an array, or as a list or dict of arrays."""
    return keras.tree.map_structure(
        lambda leaf: leaf.toarray() if sparse.issparse(leaf) else np.asarray(leaf), data
    )


def _classes_of(y: np.ndarray, task: str) -> Any:
    if task == "multilabel":
        return np.arange(y.shape[1])
    return np.unique(y) if y.ndim == 1 else [np.unique(column) for column in y.T]


def _class_counts(classes: Any) -> Any:
    return [len(labels) for labels in classes] if isinstance(classes, list) else len(classes)


class EncoderMixin(BaseKerasEstimator):
    """Lets a subclass override `target_encoder` and `feature_encoder`."""

    @property
    def target_encoder(self) -> Any:
        """The unfitted transformer between y and the targets of the model.

        A subclass may override it with a scikit-learn transformer. Its `transform` returns an array, or a
        list or dict of arrays for a model with several outputs. Its `inverse_transform` takes the predictions
        of the model in the same form (for a classifier, with an argument `return_proba`). The items that its
        `get_metadata` returns, if it has one, become attributes of the estimator.
        """
        return super()._new_target_encoder(None)  # type: ignore[safe-super]

    @property
    def feature_encoder(self) -> Any:
        """The unfitted transformer between X and the inputs of the model.

        A subclass may override it with a scikit-learn transformer whose `transform` returns an array, or a
        list or dict of arrays for a model with several inputs. It gets X in the type that was passed; the
        floats that it returns are cast to Keras' float type.
        """
        return FunctionTransformer()

    @property
    def _encodes_targets(self) -> bool:
        return type(self).target_encoder is not EncoderMixin.target_encoder

    @property
    def _encodes_features(self) -> bool:
        return type(self).feature_encoder is not EncoderMixin.feature_encoder

    def _new_target_encoder(self, classes: np.ndarray | None) -> Any:
        if not self._encodes_targets:
            return super()._new_target_encoder(classes)  # type: ignore[safe-super]
        self.target_encoder_ = ListedClasses(classes)
        return TargetAdapter(self.target_encoder, numeric=not hasattr(self, "predict_proba"))

    def _start(self, rows: Rows, classes: np.ndarray | None) -> None:
        super()._start(rows, classes)
        self.feature_encoder_ = self.feature_encoder.fit(rows.X)
        self._one_input = isinstance(self._model_input(rows.X[:1]), np.ndarray)
        metadata = metadata_of(self.feature_encoder_)
        if self._encodes_targets:
            metadata = self.target_encoder_.metadata | metadata
        for name, value in metadata.items():
            if not isinstance(getattr(type(self), name, None), property):
                setattr(self, name, value)

    def _model_input(self, X: np.ndarray) -> Any:
        if not self._encodes_features:
            return X
        floatx, name = self._floatx(), f"X, as the feature_encoder of {type(self).__name__} returns it,"
        encoded = as_arrays(self.feature_encoder_.transform(X))
        return keras.tree.map_structure(
            lambda leaf: cast_to_float(leaf, floatx, name) if leaf.dtype.kind == "f" else leaf, encoded
        )

    def _width(self, model: keras.Model, X: np.ndarray) -> int:
        if not self._encodes_targets:
            return super()._width(model, X)
        n_outputs = len(keras.tree.flatten(outputs_for(model, self._model_input(X[:1]))))
        expected = self.target_encoder_.n_outputs_expected_
        if expected is not None and n_outputs != expected:
            raise ValueError(
                f"The model has {n_outputs} output(s), but the target_encoder of {type(self).__name__} makes "
                f"targets for {expected}: give the model as many outputs as there are targets"
            )
        return n_outputs

    def _bind(self, rows: Rows, width: int) -> None:
        if self._encodes_targets:
            check_losses(self._architecture)
        else:
            super()._bind(rows, width)

    def _check_values(self, rows: Rows) -> None:
        if not self._encodes_targets:
            super()._check_values(rows)

    def _check_classes(self, rows: Rows, *, partial: bool) -> None:
        if self.target_encoder_.task_ != "multioutput":
            super()._check_classes(rows, partial=partial)

    def predict(self, X: Any) -> np.ndarray:
        if not self._encodes_targets:
            return super().predict(X)
        raw = self._raw_outputs(X)
        return self.target_encoder_.inverse_transform(raw)

    def save(self, path: str | Path) -> None:
        overridden = {"target_encoder": self._encodes_targets, "feature_encoder": self._encodes_features}
        names = [name for name, is_overridden in overridden.items() if is_overridden]
        if names:
            raise TypeError(
                f"save cannot store the {' and '.join(names)} of {type(self).__name__} without pickle; store "
                "the estimator with pickle or joblib.dump"
            )
        super().save(path)

    save.__doc__ = BaseKerasEstimator.save.__doc__
