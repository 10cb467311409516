"""Checks for numbers so large that a network's gradients or loss overflow in the first step."""

from typing import Any

import keras
import numpy as np

from kerashp._compat.keras import flatten_layers
from kerashp.estimators._data.losses import Loss
from kerashp.layers import CategoricalColumns, FanInScaling, HeadScale, LearnedScale, PeriodicEmbedding
from kerashp.training._keras.layers import is_of_layers

_WITHOUT_PRODUCTS = (
    keras.layers.InputLayer,
    keras.layers.Flatten,
    keras.layers.Reshape,
    keras.layers.Dropout,
    CategoricalColumns,
    FanInScaling,
)
_WITH_PRODUCTS = (
    keras.layers.Dense,
    keras.layers.EinsumDense,
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.RNN,
    HeadScale,
    LearnedScale,
    PeriodicEmbedding,
)
# An error is of the size of the inputs, a gradient of their square, which optimizers such as Adam square.
_POWER_OF_INPUTS = 4
_POWER_OF_TARGETS = {"mean_squared_error": 2}


def check_inputs(model: keras.Model, X: Any) -> None:
    """Refuse rows with numbers too large to train the first layer that multiplies them.

    Nothing is refused if the first layer is not known: for models with several inputs, with operations that
    are not layers, and of custom classes.

    Raises
    ------
    ValueError
        If a number is too large; the message names its column.
    """
    if not is_of_layers(model):
        return
    layers = [layer for layer in flatten_layers(model) if not isinstance(layer, keras.Model)]
    embeddings = [layer.embedding for layer in layers if isinstance(layer, CategoricalColumns)]
    others = (one for one in layers if not isinstance(one, _WITHOUT_PRODUCTS) and one not in embeddings)
    layer = next(others, None)
    if not isinstance(layer, _WITH_PRODUCTS) or not isinstance(X, np.ndarray):
        return
    limit = _limit(layer.variable_dtype, _POWER_OF_INPUTS)
    sizes = _sizes(X)
    if sizes.max() > limit:
        raise ValueError(
            f"X holds values of up to {sizes.max():.1e} in column {sizes.argmax()}, which the layer "
            f"{layer.name!r} would multiply by its weights: above {limit:.1e} the squares of gradients may "
            f"overflow {layer.variable_dtype}. Scale the inputs, say with "
            "sklearn.preprocessing.StandardScaler in a Pipeline"
        )


def check_targets(loss: Loss, y: np.ndarray) -> None:
    """Refuse targets of a regression whose loss would be infinite.

    Raises
    ------
    ValueError
        If a target is too large.
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
    """The largest number whose power is finite; for 16-bit types that of float32, in which Keras trains."""
    trained_dtype = np.dtype(dtype) if dtype in ("float32", "float64") else np.dtype("float32")
    return float(np.finfo(trained_dtype).max) ** (1 / power)


def _sizes(array: np.ndarray) -> np.ndarray:
    """The largest absolute value of each column."""
    columns = array.reshape(len(array), -1)
    return np.maximum(columns.max(axis=0).astype(float), -columns.min(axis=0).astype(float))
