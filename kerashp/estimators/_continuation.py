"""Fits that continue with an existing model."""

from typing import Any

import numpy as np

from kerashp.estimators._base import BaseKerasEstimator
from kerashp.estimators._data.models import duplicate
from kerashp.estimators._training.handover import Fitting


class ContinuedFits(BaseKerasEstimator):
    """Checks of later calls of `partial_fit` and of `fit` with `warm_start`."""

    model: Any
    X_dtype_: np.dtype
    y_dtype_: np.dtype

    def _prepare_training(self, X: Any, y: Any, *arguments: Any, fresh: bool, **options: Any) -> Fitting:
        if fresh:
            self._ndim_of_y = n_dims(y)
        else:
            if options["partial"]:
                self._check_same_types(X, y)
            if self.model_ is self.model:  # set by `initialize`; the user's model is not trained
                self.model_ = duplicate(self.model_)
        return super()._prepare_training(X, y, *arguments, fresh=fresh, **options)

    def _check_same_types(self, X: Any, y: Any) -> None:
        """Refuse data of other types or dimensions than those of the first call."""
        name, n_axes, n_axes_of_fit = type(self).__name__, n_dims(y), getattr(self, "_ndim_of_y", None)
        is_classifier = hasattr(self, "predict_proba")
        if is_classifier and None not in (n_axes_of_fit, n_axes) and n_axes != n_axes_of_fit:
            raise ValueError(
                f"y has {n_axes} dimensions, but this {name} was fitted with {n_axes_of_fit}: reshape it"
            )
        types = [("X", X, self.X_dtype_)] + [("y", y, self.y_dtype_)] * is_classifier
        for argument, data, dtype_of_fit in types:
            dtype = getattr(data, "dtype", dtype_of_fit)
            if getattr(dtype, "kind", "O") == "f" and dtype_of_fit.kind in "biu":
                raise ValueError(
                    f"Got {argument} with dtype {dtype}, but this {name} was fitted with {dtype_of_fit}: "
                    f"pass {argument}.astype({dtype_of_fit.name!r}), or pass floats from the first call on"
                )


def n_dims(y: Any) -> int | None:
    """The number of axes of y; None if y is ragged."""
    try:
        return int(y.ndim if hasattr(y, "ndim") else np.asarray(y).ndim)
    except ValueError:
        return None
