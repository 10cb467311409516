"""The routing of a wrapper's parameters and of a call's arguments to `Model.fit` and `Model.predict`."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import keras
import numpy as np

from kerashp._compat.keras import compiled_metrics
from kerashp._compat.scikeras import route_params
from kerashp._compat.sklearn import validate_parameter_constraints
from kerashp.estimators._base import BaseKerasEstimator
from kerashp.estimators._parameters.parameters import (
    PREDICT_NAMES,
    ROUTED_CONSTRAINTS,
    ParameterNamespace,
)
from kerashp.estimators._training.callbacks import copy_callbacks

_SIZES = ("batch_size", "validation_batch_size")
_CALL: ContextVar[dict[str, Any] | None] = ContextVar("call", default=None)


class RoutedCalls(BaseKerasEstimator, ParameterNamespace):
    """Training and prediction with routed parameters (`fit__...`, `predict__...`)."""

    def _fit_arguments(self, n_samples: int) -> dict[str, Any]:
        params = self.get_params(deep=False)
        arguments = route_params(params, destination="fit", pass_filter=self._fit_kwargs)
        if "class_weight" in arguments and not hasattr(self, "predict_proba"):
            raise ValueError(
                f"fit__class_weight is for classifiers, not {type(self).__name__}; use sample_weight"
            )
        routed = {name: params[name] for name in ROUTED_CONSTRAINTS if name in params}
        validate_parameter_constraints(ROUTED_CONSTRAINTS, routed, caller_name=type(self).__name__)
        sizes = {
            name: self._size_of_all_rows(name, n_samples) for name in _SIZES if arguments.get(name) == -1
        }
        return {
            name: value
            for name, value in {**arguments, **sizes}.items()
            if value is not None and not name.startswith("callbacks")
        }

    def _size_of_all_rows(self, name: str, n_samples: int) -> int:
        """The batch size for -1, which scikeras supports for a single input only."""
        if not getattr(self, "_one_input", True):
            raise ValueError(
                f"`{name}=-1` requires that `X` implement `shape`, but the feature_encoder of "
                f"{type(self).__name__} makes a list or dict of arrays; pass a number of rows"
            )
        return n_samples

    def _curve_name(self, name: str) -> str:
        """The full name of a metric that was passed to `compile` by a short name, as in scikeras."""
        prefix = "val_" if name.startswith("val_") else ""
        metric = name.removeprefix(prefix)
        metrics = keras.tree.flatten(compiled_metrics(self._architecture)[:1])
        names = [item for item in metrics if isinstance(item, str)]
        return prefix + _full_name(metric) if metric in names else name

    def _callbacks_parameter(self) -> Any:
        routed = [name for name in self._params if name.startswith("callbacks__")]
        if routed and self.callbacks is None:
            raise ValueError(
                f"{routed[0]} is routed to the callbacks, but callbacks=None; pass callbacks=[...], too"
            )
        try:
            self._initialize_callbacks()
        except TypeError as error:
            raise TypeError(
                "callbacks must hold keras.callbacks.Callback objects, or classes with routed arguments; "
                f"got {self.callbacks!r}: {error}"
            ) from error
        return self._fit_callbacks

    def _forward(self, X: Any) -> Any:
        params, call = self.get_params(deep=False), _CALL.get() or {}
        arguments = route_params(params, destination="predict", pass_filter=set(), strict=True) | call
        if not arguments:
            return super()._forward(X)
        arguments = {"verbose": self.verbose, **arguments}
        self._initialize_callbacks()
        callbacks = copy_callbacks([self._predict_callbacks, call.get("callbacks")])
        if arguments.get("batch_size") == -1:
            arguments["batch_size"] = self._size_of_all_rows("batch_size", len(X))
        return self.model_.predict(x=X, **arguments | {"callbacks": callbacks})


@lru_cache(maxsize=64)
def _full_name(metric: str) -> str:
    """`mean_absolute_error` for `mae`; names whose meaning depends on the model, such as `acc`, unchanged."""
    try:
        return str(getattr(keras.metrics.get(metric), "name", metric))
    except (TypeError, ValueError):
        return metric


class PredictionCalls(BaseKerasEstimator):
    """Predictions that take the arguments of `keras.Model.predict`."""

    def predict(self, X: Any, **arguments: Any) -> np.ndarray:
        """Predict labels or target values.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows.
        **arguments
            `batch_size`, `verbose`, `steps` and `callbacks` of `keras.Model.predict`, for this call. They
            override routed parameters (`predict__batch_size`).

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The most probable labels; for a multilabel target, 1 if the probability of a label is above 0.5.
            For a regressor, values with the shape of y in `fit`, in the narrower of the float types of X and
            y in `fit`; an integer y does not count, and an integer X counts as Keras' float type.
        """
        with _predicting_with(self, "predict", arguments):
            return super().predict(X)

    def score(self, X: Any, y: Any, sample_weight: Any = None, **arguments: Any) -> float:
        """Return the score of the predictions by `scorer`: accuracy of a classifier, R² of a regressor.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            True labels or values.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, at least 0.
        **arguments
            As in `predict`.

        Returns
        -------
        float
            The score; higher is better.
        """
        weight = {} if sample_weight is None else {"sample_weight": sample_weight}
        return float(self.scorer(y, self.predict(X, **arguments), **weight))


class ProbabilityCalls(PredictionCalls):
    """Probabilities that take the arguments of `keras.Model.predict`."""

    def predict_proba(self, X: Any, **arguments: Any) -> np.ndarray:
        """Predict the probabilities of the classes, in the order of `classes_`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows.
        **arguments
            As in `predict`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probabilities that sum to 1 in each row; for a multilabel target, those of separate labels.
        """
        with _predicting_with(self, "predict_proba", arguments):
            return super().predict_proba(X)


@contextmanager
def _predicting_with(estimator: Any, method: str, arguments: dict[str, Any]) -> Iterator[None]:
    """Inside, the model predicts with these arguments and those of an outer call."""
    unknown = [name for name in arguments if name not in PREDICT_NAMES]
    if unknown:
        raise TypeError(
            f"{type(estimator).__name__}.{method} got an unexpected argument {unknown[0]!r}; besides X it "
            f"takes the arguments of keras.Model.predict: {', '.join(PREDICT_NAMES)}"
        )
    token = _CALL.set({**(_CALL.get() or {}), **arguments})
    try:
        yield
    finally:
        _CALL.reset(token)
