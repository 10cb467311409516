"""Inputs and targets of mean 0 and standard deviation 1, inside an estimator's model."""

import warnings
from typing import Any, NamedTuple

import keras
import numpy as np

from kerashp.estimators._data.rows import Rows
from kerashp.training import Statistics, isolated
from kerashp.training._runtime.fallbacks import is_new

_ROUNDING = 8  # times the float type's precision: by so much may values differ that are meant to be equal
_IN_UNITS = "target_units"
_SHOWN = 5  # columns in a warning


class Moments(NamedTuple):
    """Weighted means and standard deviations of columns, in float64, and which columns are constant."""

    mean: np.ndarray
    deviation: np.ndarray  # of a constant column: 1
    constant: np.ndarray


def moments(values: np.ndarray, weight: np.ndarray | None, dtype: Any) -> Moments:
    """The moments of the rows that have a weight.

    A column that varies has a deviation of at least some times the precision of `dtype`, so that differences
    which are rounding alone stay small.
    """
    if weight is not None:
        values, weight = values[weight > 0], weight[weight > 0]
    values = values.astype(float)
    sizes = np.abs(values).max(axis=0)
    values = values / np.where(sizes > 0, sizes, 1)  # so that no square overflows
    constant = values.min(axis=0) == values.max(axis=0)
    mean = np.where(constant, values[0], np.average(values, axis=0, weights=weight))
    deviation = np.sqrt(np.average(np.square(values - mean), axis=0, weights=weight))
    deviation = np.maximum(deviation, _ROUNDING * np.finfo(dtype).eps)
    return Moments(mean * sizes, np.where(constant, 1.0, deviation * sizes), constant)


def input_statistics(rows: Rows, floatx: str) -> Statistics:
    """What a Normalization needs to standardise the rows.

    Raises
    ------
    ValueError
        If a variance is not finite in the network's float type.
    """
    mean, deviation, _ = moments(rows.X, rows.sample_weight, floatx)
    limit = float(np.sqrt(np.finfo(floatx).max))
    if deviation.max() > limit:
        column = deviation.argmax()
        raise ValueError(
            f"normalize=True needs columns of X whose variance fits into {floatx}, of a standard deviation "
            f"of at most {limit:.1e}; got {deviation[column]:.1e} in column {column}: divide it by a constant"
        )
    _warn_of_small_deviations(deviation)
    return Statistics(mean.astype(floatx), np.square(deviation).astype(floatx))


def _warn_of_small_deviations(deviation: np.ndarray) -> None:
    least = keras.config.epsilon()
    small = np.flatnonzero(deviation < least).tolist()
    if small and is_new("small deviations"):
        shown = ", ".join(map(str, small[:_SHOWN])) + (", ..." if len(small) > _SHOWN else "")
        warnings.warn(
            f"normalize=True divides columns of X by a standard deviation of at least {least:g}, as Keras' "
            f"Normalization layer does; that of {len(small)} columns ({shown}) is smaller, and the network "
            "hardly sees them. Multiply these columns by a constant, or put "
            "sklearn.preprocessing.StandardScaler before the estimator in a Pipeline",
            stacklevel=1,  # of one place: Python's filters then know it again
        )


def target_units(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Means and deviations by which a network's targets are standardised, of shape `(n_outputs,)`.

    They are divided before they become the network's float type. A constant target smaller than 1 is divided
    by its size, so that its error is small beside it.
    """
    y = rows.y.reshape(len(rows.y), -1)
    mean, deviation, constant = moments(y, rows.sample_weight, y.dtype if y.dtype.kind == "f" else float)
    sizes = np.abs(mean)
    return mean, np.where(constant & (sizes > 0), np.minimum(sizes, 1), deviation)


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
