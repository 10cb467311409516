"""What a classifier gives and what a regressor gives, on top of the network's outputs."""

from abc import abstractmethod
from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils import Tags

from kerashp._compat.sklearn import validating_parameters
from kerashp.estimators._base import BaseKerasEstimator
from kerashp.estimators._data.rows import Rows, check_listed, checked_classes
from kerashp.estimators._data.targets import ClassEncoder, ValueEncoder


class ProbabilisticClassifierMixin(ClassifierMixin):
    """What follows from the `predict_proba` of a classifier that has a `target_encoder_`."""

    target_encoder_: ClassEncoder

    @abstractmethod
    def predict_proba(self, X: Any) -> np.ndarray:
        """The probabilities of the classes, in the order of `classes_`."""

    @property
    def classes_(self) -> np.ndarray:
        """The labels, sorted; for a multilabel target the columns' positions."""
        return self._fitted_encoder().classes_

    @property
    def n_classes_(self) -> int:
        """The number of classes, or of labels of a multilabel target."""
        return self._fitted_encoder().n_classes_

    def _fitted_encoder(self) -> ClassEncoder:
        if "target_encoder_" not in vars(self):
            raise AttributeError(f"This {type(self).__name__} is not fitted: it has no classes_ yet")
        return self.target_encoder_

    def predict(self, X: Any) -> np.ndarray:
        """The most probable labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
            Labels, or for a multilabel target 1 where a label is more probable than not.
        """
        proba = self.predict_proba(X)
        return self.target_encoder_.labels(proba)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """The logarithms of `predict_proba`, -inf where it is 0.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def decision_function(self, X: Any) -> np.ndarray:
        """The log-odds of the second class or of each label; log-probabilities where there are more classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples,) for two classes, else (n_samples, n_classes)
            Above 0 (binary, multilabel) or greatest (multiclass) where `predict` says so.
        """
        proba = self.predict_proba(X)
        if self.target_encoder_.task_ == "binary":
            return _log(proba[:, 1]) - _log(proba[:, 0])
        return _log(proba) if self.target_encoder_.task_ == "multiclass" else _log(proba) - _log(1 - proba)

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
            check_listed(classes, rows.y)
        super()._start(rows, classes)

    def _check_classes(self, rows: Rows, *, partial: bool) -> None:
        if self.target_encoder_.task_ == "multilabel" or (partial and self.n_classes_ > 1):
            return
        present = np.unique(rows.y).tolist()
        if len(present) < 2:
            raise ValueError(
                f"y has {len(present)} class, {present}, among the rows with a weight; {type(self).__name__} "
                "needs 2 classes or more (partial_fit(classes=...) names those that come later; "
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
        """Train one more epoch on (X, y), going on from what was learned.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Training rows.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Labels.
        classes : array-like of shape (n_classes,), default=None
            All labels there will ever be; for the first call, where y may lack some. Without it they are
            those of the first y.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of at least 0.
        validation_data : tuple (X, y) or (X, y, sample_weight), default=None
            Rows to validate on after the epoch; `history_` and callbacks get their loss.
        **arguments
            Those of `fit` that are of one epoch, such as `batch_size`, `callbacks` and `verbose`.

        Returns
        -------
        self
        """
        if isinstance(self.class_weight, str):
            raise ValueError(
                f"class_weight={self.class_weight!r} cannot be known from a part of the data; compute it "
                "with sklearn.utils.class_weight.compute_class_weight and set it as a dict"
            )
        if classes is not None:
            classes = checked_classes(classes)
            if self.__sklearn_is_fitted__() and not np.array_equal(classes, self.classes_):
                raise ValueError(
                    f"classes={classes.tolist()} are not those of the first call, {self.classes_.tolist()}, "
                    "which the network keeps: leave classes out, or begin with a clone"
                )
        return self._fit_epoch(X, y, sample_weight, validation_data, arguments, classes)

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probabilities of the classes, in the order of `classes_`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Rows sum to 1; for a multilabel target each column is a label's own probability.
        """
        raw = self._raw_outputs(X)
        return self.target_encoder_.inverse_transform(raw, return_proba=True)


def _log(proba: np.ndarray) -> np.ndarray:
    return np.log(np.clip(proba, np.finfo(float).tiny, 1.0))


class KerasRegressorMixin(RegressorMixin, BaseKerasEstimator):
    """Regression of one output or many."""

    def _new_target_encoder(self, classes: np.ndarray | None) -> ValueEncoder:
        return ValueEncoder()

    @validating_parameters
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, validation_data: Any = None, **arguments: Any
    ) -> Self:
        """Train one more epoch on (X, y), going on from what was learned.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Training rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of at least 0.
        validation_data : tuple (X, y) or (X, y, sample_weight), default=None
            Rows to validate on after the epoch; `history_` and callbacks get their loss.
        **arguments
            Those of `fit` that are of one epoch, such as `batch_size`, `callbacks` and `verbose`.

        Returns
        -------
        self
        """
        return self._fit_epoch(X, y, sample_weight, validation_data, arguments)

    def predict(self, X: Any) -> np.ndarray:
        """The network's outputs.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Of the shape of the y in fit, and of the narrower of the floating types of X and y in fit; an
            integer y has no say, and an integer X counts as Keras' float type.
        """
        raw = self._raw_outputs(X)
        return self.target_encoder_.inverse_transform(raw)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
