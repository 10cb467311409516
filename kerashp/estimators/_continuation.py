"""Fits that go on from a model that is there: with rows like those before, never with the user's model."""

from typing import Any

import numpy as np

from kerashp.estimators._base import BaseKerasEstimator
from kerashp.estimators._data.models import duplicate
from kerashp.estimators._training.handover import Fitting


class ContinuedFits(BaseKerasEstimator):
    """What later calls of `partial_fit` and of `fit` with `warm_start` have to keep to."""

    model: Any
    X_dtype_: np.dtype
    y_dtype_: np.dtype

    def _begun(self, X: Any, y: Any, *arguments: Any, fresh: bool, **options: Any) -> Fitting:
        if fresh:
            self._ndim_of_y = n_dims(y)
        else:
            if options["partial"]:
                self._check_like_before(X, y)
            if self.model_ is self.model:  # by `initialize`; the user's own is not trained
                self.model_ = duplicate(self.model_)
        return super()._begun(X, y, *arguments, fresh=fresh, **options)

    def _check_like_before(self, X: Any, y: Any) -> None:
        """Refuse rows of another kind than those of the first call, from which the model goes on."""
        name, n_axes, before = type(self).__name__, n_dims(y), getattr(self, "_ndim_of_y", None)
        if hasattr(self, "predict_proba") and None not in (before, n_axes) and n_axes != before:
            raise ValueError(
                f"y has {n_axes} dimensions, but this {name} was fitted with {before}: reshape it"
            )
        kinds = [("X", X, self.X_dtype_)] + [("y", y, self.y_dtype_)] * hasattr(self, "predict_proba")
        for what, data, fitted in kinds:
            dtype = getattr(data, "dtype", fitted)
            if getattr(dtype, "kind", "O") == "f" and fitted.kind in "biu":
                raise ValueError(
                    f"Got {what} with dtype {dtype}, but this {name} was fitted with {fitted}: pass "
                    f"{what}.astype({fitted.name!r}), or floats from the first call on"
                )


def n_dims(y: Any) -> int | None:
    """How many axes y has; None where it has no shape."""
    try:
        return int(y.ndim if hasattr(y, "ndim") else np.asarray(y).ndim)
    except ValueError:
        return None
