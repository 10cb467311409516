"""The methods of classifiers and of regressors."""

from abc import abstractmethod
from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils import Tags

from kerashp._compat.sklearn import validating_parameters
from kerashp.estimators._base import BaseKerasEstimator
from kerashp.estimators._data.rows import Rows, check_labels_listed, checked_classes
from kerashp.estimators._data.targets import ClassEncoder, ValueEncoder


class ProbabilisticClassifierMixin(ClassifierMixin):
    """The methods of a classifier that follow from its `predict_proba` and `target_encoder_`."""

    target_encoder_: ClassEncoder

    @abstractmethod
    def predict_proba(self, X: Any) -> np.ndarray:
        """The probabilities of the classes, in the order of `classes_`."""

    @property
    def classes_(self) -> np.ndarray:
        """The sorted labels; for a multilabel target, the indices of its columns."""
        return self._fitted_encoder().classes_

    @property
    def n_classes_(self) -> int:
        """The number of classes, or of the labels of a multilabel target."""
        return self._fitted_encoder().n_classes_

    def _fitted_encoder(self) -> ClassEncoder:
        if "target_encoder_" not in vars(self):
            raise AttributeError(f"This {type(self).__name__} is not fitted: it has no classes_ yet")
        return self.target_encoder_

    def predict(self, X: Any) -> np.ndarray:
        """Predict the most probable labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
            The labels; for a multilabel target, 1 if the probability of a label is above 0.5.
        """
        proba = self.predict_proba(X)
        return self.target_encoder_.labels(proba)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Predict the logarithms of the probabilities, -inf for a probability of 0.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Log-probabilities, in the order of `classes_`.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def decision_function(self, X: Any) -> np.ndarray:
        """Predict log-odds of the second class or of each label; log-probabilities for more than two classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples,) for two classes, else (n_samples, n_classes)
            Positive (binary, multilabel) or largest (multiclass) for the labels that `predict` returns.
        """
        proba = self.predict_proba(X)
        if self.target_encoder_.task_ == "binary":
            return _clipped_log(proba[:, 1]) - _clipped_log(proba[:, 0])
        return (
            _clipped_log(proba)
            if self.target_encoder_.task_ == "multiclass"
            else _clipped_log(proba) - _clipped_log(1 - proba)
        )

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class KerasClassifierMixin(ProbabilisticClassifierMixin, BaseKerasEstimator):
    """Binary, multiclass and multilabel classification."""

    def _new_target_encoder(self, classes: np.ndarray | None) -> ClassEncoder:
        return ClassEncoder(categories="auto" if classes is None else [classes])

    def _start(self, rows: Rows, classes: np.ndarray | None) -> None:
        if classes is not None:
            check_labels_listed(classes, rows.y)
        super()._start(rows, classes)

    def _check_classes(self, rows: Rows, *, partial: bool) -> None:
        if self.target_encoder_.task_ == "multilabel" or (partial and self.n_classes_ > 1):
            return
        present = np.unique(rows.y).tolist()
        if len(present) < 2:
            raise ValueError(
                f"y has {len(present)} class, {present}, among the rows with a weight; {type(self).__name__} "
                "needs 2 classes or more (pass partial_fit(classes=...) if others come later; "
                "validation_split holds out the last rows: shuffle rows that are sorted by class)"
            )

    @validating_parameters
    def partial_fit(
        self,
        X: Any,
        y: Any,
        classes: Any = None,
        sample_weight: Any = None,
        *,
        validation_data: Any = None,
        **arguments: Any,
    ) -> Self:
        """Train one more epoch on (X, y), starting from the current weights.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Training rows.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Labels.
        classes : array-like of shape (n_classes,), default=None
            All labels that any call may have. Pass it to the first call if y lacks some of them; by default
            the classes are the labels of the first y.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, at least 0.
        validation_data : tuple (X, y) or (X, y, sample_weight), default=None
            Validation rows, evaluated after the epoch, for `history_` and the callbacks.
        **arguments
            The arguments of `fit` that concern a single epoch, such as `batch_size`, `callbacks` and
            `verbose`.

        Returns
        -------
        self
        """
        if isinstance(self.class_weight, str):
            raise ValueError(
                f"class_weight={self.class_weight!r} cannot be computed from a part of the data; compute it "
                "with sklearn.utils.class_weight.compute_class_weight and set it as a dict"
            )
        if classes is not None:
            classes = checked_classes(classes)
            if self.__sklearn_is_fitted__() and not np.array_equal(classes, self.classes_):
                raise ValueError(
                    f"classes={classes.tolist()} differ from those of the first call, "
                    f"{self.classes_.tolist()}: leave classes out, or begin with a clone"
                )
        return self._fit_epoch(X, y, sample_weight, validation_data, arguments, classes)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict the probabilities of the classes, in the order of `classes_`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probabilities that sum to 1 in each row; for a multilabel target, those of separate labels.
        """
        raw = self._raw_outputs(X)
        return self.target_encoder_.inverse_transform(raw, return_proba=True)


def _clipped_log(proba: np.ndarray) -> np.ndarray:
    return np.log(np.clip(proba, np.finfo(float).tiny, 1.0))


class KerasRegressorMixin(RegressorMixin, BaseKerasEstimator):
    """Regression with one output or several."""

    def _new_target_encoder(self, classes: np.ndarray | None) -> ValueEncoder:
        return ValueEncoder()

    @validating_parameters
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, validation_data: Any = None, **arguments: Any
    ) -> Self:
        """Train one more epoch on (X, y), starting from the current weights.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Training rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, at least 0.
        validation_data : tuple (X, y) or (X, y, sample_weight), default=None
            Validation rows, evaluated after the epoch, for `history_` and the callbacks.
        **arguments
            The arguments of `fit` that concern a single epoch, such as `batch_size`, `callbacks` and
            `verbose`.

        Returns
        -------
        self
        """
        return self._fit_epoch(X, y, sample_weight, validation_data, arguments)

    def predict(self, X: Any) -> np.ndarray:
        """Predict the target values.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Values with the shape of y in `fit`, in the narrower of the float types of X and y in `fit`. An
            integer y does not count, and an integer X counts as Keras' float type.
        """
        raw = self._raw_outputs(X)
        return self.target_encoder_.inverse_transform(raw)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
