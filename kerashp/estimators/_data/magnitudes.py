"""Refuses numbers so large that a network's gradients or loss overflow from the first step on."""

from typing import Any

import keras
import numpy as np

from kerashp._compat.keras import flatten_layers
from kerashp.estimators._data.losses import Loss
from kerashp.training._keras.layers import is_of_layers

_CHANGE_NOTHING = (keras.layers.InputLayer, keras.layers.Flatten, keras.layers.Reshape, keras.layers.Dropout)
_MULTIPLY = (
    keras.layers.Dense,
    keras.layers.EinsumDense,
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.RNN,
)
# An error is as large as the inputs, its gradient as their square, which optimizers such as Adam square.
_POWER_OF_INPUTS = 4
_POWER_OF_TARGETS = {"mean_squared_error": 2}


def check_inputs(model: keras.Model, X: Any) -> None:
    """Refuse rows whose numbers a first layer of products cannot be trained on.

    Nothing is refused where it is not known which layer is the first to take which rows: in models of several
    inputs, with operations that are no layers, or of a class of the user's own.

    Raises
    ------
    ValueError
        With the column of the largest.
    """
    if not is_of_layers(model):
        return
    layers = [layer for layer in flatten_layers(model) if not isinstance(layer, keras.Model)]
    first = next((layer for layer in layers if not isinstance(layer, _CHANGE_NOTHING)), None)
    if not isinstance(first, _MULTIPLY) or not isinstance(X, np.ndarray):
        return
    limit = _limit(first.variable_dtype, _POWER_OF_INPUTS)
    sizes = _sizes(X)
    if sizes.max() > limit:
        raise ValueError(
            f"X holds values of up to {sizes.max():.1e} in column {sizes.argmax()}, which the layer "
            f"{first.name!r} would multiply by its weights: above {limit:.1e} the squares of gradients may "
            f"overflow {first.variable_dtype}. Scale the inputs, say with "
            "sklearn.preprocessing.StandardScaler in a Pipeline"
        )


def check_targets(loss: Loss, y: np.ndarray) -> None:
    """Refuse targets of a regression whose loss is infinite.

    Raises
    ------
    ValueError
    """
    if loss.name not in _POWER_OF_TARGETS:
        return
    limit, largest = _limit(keras.config.floatx(), _POWER_OF_TARGETS[loss.name]), _sizes(y).max()
    if largest > limit:
        raise ValueError(
            f"y holds values of up to {largest:.1e}, whose loss {loss.name!r} is infinite in "
            f"{keras.config.floatx()} (from {limit:.1e} on). Scale y, say with "
            "sklearn.compose.TransformedTargetRegressor"
        )


def _limit(dtype: str, power: int) -> float:
    """The largest number whose power is finite; 16-bit types have float32's, which Keras trains in."""
    wide = np.dtype(dtype) if dtype in ("float32", "float64") else np.dtype("float32")
    return float(np.finfo(wide).max) ** (1 / power)


def _sizes(array: np.ndarray) -> np.ndarray:
    """The largest absolute value of each column."""
    columns = array.reshape(len(array), -1)
    return np.maximum(columns.max(axis=0).astype(float), -columns.min(axis=0).astype(float))
