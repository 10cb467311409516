"""Inputs and targets of mean 0 and standard deviation 1, inside an estimator's model."""

import warnings
from typing import Any

import keras
import numpy as np

from kerashp.estimators._data.rows import Rows
from kerashp.training import Statistics, isolated

_ROUNDING = 8  # times the float type's precision: values that differ by no more are constant
_IN_UNITS = "target_units"


def moments(values: np.ndarray, weight: np.ndarray | None, floatx: str) -> tuple[np.ndarray, np.ndarray]:
    """The weighted means and standard deviations of columns, in float64; a constant column's deviation is 1.

    A column is constant where it deviates by no more than rounding to `floatx`: what departs from it later is
    not divided by a deviation of nearly 0.
    """
    values = values.astype(float)
    sizes = np.abs(values).max(axis=0)
    values = values / np.where(sizes > 0, sizes, 1)  # so that no square overflows
    mean = np.average(values, axis=0, weights=weight)
    mean = np.where(values.min(axis=0) == values.max(axis=0), values[0], mean)
    deviation = np.sqrt(np.average(np.square(values - mean), axis=0, weights=weight))
    constant = deviation <= _ROUNDING * np.finfo(floatx).eps
    return mean * sizes, np.where(constant, 1.0, deviation * sizes)


def input_statistics(rows: Rows, floatx: str) -> Statistics:
    """What a Normalization needs to standardise the rows.

    Raises
    ------
    ValueError
        If a variance is not finite in the network's float type.
    """
    mean, deviation = moments(rows.X, rows.sample_weight, floatx)
    limit = float(np.sqrt(np.finfo(floatx).max))
    if deviation.max() > limit:
        column = deviation.argmax()
        raise ValueError(
            f"normalize=True needs columns of X whose variance fits into {floatx}, of a standard deviation "
            f"of at most {limit:.1e}; got {deviation[column]:.1e} in column {column}: divide it by a constant"
        )
    return Statistics(mean.astype(floatx), np.square(deviation).astype(floatx))


def warn_of_small_deviations(statistics: Statistics) -> None:
    """Say which columns a Normalization makes smaller than the others: it divides by no less than 1e-7."""
    least = keras.config.epsilon()
    deviations = np.sqrt(statistics.variance.astype(float))
    small = np.flatnonzero(deviations < least)
    if small.size:
        smallest = small[deviations[small].argmin()]
        warnings.warn(
            f"normalize=True divides columns of X by a standard deviation of at least {least:g}, as Keras' "
            f"Normalization layer does; {small.size} of {len(deviations)} columns have a smaller one, column "
            f"{smallest} of {deviations[smallest]:.1e}, and the network hardly sees them. Multiply these "
            "columns by a constant, or put sklearn.preprocessing.StandardScaler before the estimator in a "
            "Pipeline",
            stacklevel=1,  # of one place, so that Python shows it once for all fits of a search
        )


def in_units(network: keras.Model, mean: np.ndarray, deviation: np.ndarray) -> keras.Model:
    """A model that gives the target's own units, of the layers of a network of standardised targets.

    It shares the weights and the optimizer. Not an inverted Normalization, which takes no deviation under
    1e-7.

    Raises
    ------
    ValueError
        For several outputs under Keras' image data format "channels_first", by which Keras' `Rescaling` takes
        the first axis of arrays for channels.
    """
    several = len(mean) > 1
    if several and keras.config.image_data_format() == "channels_first":
        raise ValueError(
            "Keras' Rescaling layer cannot give several outputs their own units while the image data format "
            "is 'channels_first'; call keras.config.set_image_data_format('channels_last'), or use "
            "normalize_target=False"
        )
    # Arrays, since Keras takes Python's numbers for float32.
    scale, offset = (part if several else part.reshape(()) for part in (deviation, mean))
    layer = keras.layers.Rescaling(scale, offset, name=_IN_UNITS, dtype=network.layers[-1].dtype_policy)
    return _compiled_alike(network, [*network.layers, layer])


def without_units(model: keras.Model) -> tuple[keras.Model, np.ndarray, np.ndarray] | None:
    """What `in_units` was given; None where it did not make the model."""
    last: Any = model.layers[-1] if isinstance(model, keras.Sequential) else None
    if type(last) is not keras.layers.Rescaling or last.name != _IN_UNITS:
        return None
    mean, deviation = (np.atleast_1d(np.asarray(part, float)) for part in (last.offset, last.scale))
    return _compiled_alike(model, model.layers[:-1]), mean, deviation


def _compiled_alike(model: keras.Model, layers: list[Any]) -> keras.Model:
    with isolated(dtype=model.variable_dtype):  # otherwise Keras makes float32 of rows in float64
        inputs = keras.Input(model.input_shape[1:], dtype=model.inputs[0].dtype, name="input")
        alike = keras.Sequential([inputs, *layers], name=model.name)
    if model.compiled:
        alike.compile(optimizer=model.optimizer, loss=model.loss)
    return alike
