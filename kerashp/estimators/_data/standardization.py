"""Inputs and targets of mean 0 and standard deviation 1, inside an estimator's model."""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np

from kerashp.estimators._data.rows import Rows
from kerashp.layers import HeadOutputs, HeadRescaling
from kerashp.layers._quantiles import medians_and_factors, quantiles
from kerashp.training import InputStatistics, QuantileBins, RobustStatistics, Statistics, isolated
from kerashp.training._runtime.fallbacks import is_new

_ROUNDING = 8  # equal values may differ by this multiple of the float type's precision
_TARGET_UNITS = "target_units"  # the name of the layer
_MAX_COLUMNS = 5  # listed in a warning


class Moments(NamedTuple):
    """Weighted means and standard deviations of columns, in float64, and which columns are constant."""

    mean: np.ndarray
    deviation: np.ndarray  # of a constant column: 1
    constant: np.ndarray


def moments(values: np.ndarray, weight: np.ndarray | None, dtype: Any) -> Moments:
    """The moments of the rows with a positive weight.

    The deviation of a column that varies is at least a multiple of the precision of `dtype`, so that rounding
    differences stay small.
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


def input_statistics(rows: Rows, floatx: str, n_numbers: int) -> Statistics:
    """The statistics with which a Normalization layer standardises the rows.

    Of the columns, only the first `n_numbers` are standardised; the others, indicators and codes of
    categories, pass unchanged: divided by its deviation, a rare indicator would be a large number.

    Raises
    ------
    ValueError
        If a variance is not finite in the network's float type.
    """
    mean, deviation = np.zeros(rows.X.shape[1]), np.ones(rows.X.shape[1])
    numbers = moments(rows.X[:, :n_numbers], rows.sample_weight, floatx)
    mean[:n_numbers], deviation[:n_numbers] = numbers.mean, numbers.deviation
    limit = float(np.sqrt(np.finfo(floatx).max))
    if deviation.max() > limit:
        column = deviation.argmax()
        raise ValueError(
            f"normalize=True needs columns of X whose variance fits into {floatx}, of a standard deviation "
            f"of at most {limit:.1e}; got {deviation[column]:.1e} in column {column}: divide it by a constant"
        )
    _warn_of_small_deviations(deviation)
    return Statistics(mean.astype(floatx), np.square(deviation).astype(floatx))


def robust_input_statistics(rows: Rows, floatx: str, n_numbers: int) -> RobustStatistics:
    """The statistics with which a RobustScaling layer scales the first columns of the rows."""
    return RobustStatistics(*medians_and_factors(rows.X[:, :n_numbers], floatx, rows.sample_weight))


def quantile_bins(rows: Rows, floatx: str, n_numbers: int, n_bins: int) -> QuantileBins:
    """The bins with which a PiecewiseLinearEncoding layer encodes the first columns of the rows."""
    edges = quantiles(rows.X[:, :n_numbers], n_bins, rows.sample_weight)
    return QuantileBins(edges.T.astype(floatx))


# By the estimators' parameter `scaling`.
INPUT_STATISTICS: dict[str, Callable[[Rows, str, int], InputStatistics]] = {
    "standard": input_statistics,
    "robust": robust_input_statistics,
}


def _warn_of_small_deviations(deviation: np.ndarray) -> None:
    minimum = keras.config.epsilon()
    small = np.flatnonzero(deviation < minimum).tolist()
    if small and is_new("small deviations"):
        columns = ", ".join(map(str, small[:_MAX_COLUMNS])) + (", ..." if len(small) > _MAX_COLUMNS else "")
        warnings.warn(
            f"normalize=True divides columns of X by a standard deviation of at least {minimum:g}, as Keras' "
            f"Normalization layer does; that of {len(small)} columns ({columns}) is smaller, so their "
            "standardised values are nearly 0. Multiply these columns by a constant, or put "
            "sklearn.preprocessing.StandardScaler before the estimator in a Pipeline",
            stacklevel=1,  # a fixed place, so that Python's filters recognise repetitions
        )


def target_units(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Means and deviations with which a network's targets are standardised, of shape `(n_outputs,)`.

    Targets are standardised before they are cast to the network's float type. A constant target below 1 is
    divided by its absolute value, so that its error is small in proportion.
    """
    y = rows.y.reshape(len(rows.y), -1)
    mean, deviation, constant = moments(y, rows.sample_weight, y.dtype if y.dtype.kind == "f" else float)
    sizes = np.abs(mean)
    return mean, np.where(constant & (sizes > 0), np.minimum(sizes, 1), deviation)


def model_in_target_units(network: keras.Model, mean: np.ndarray, deviation: np.ndarray) -> keras.Model:
    """Add a layer that converts a network's standardised predictions to the units of the target.

    The model shares the weights and the optimizer. The layer is a Rescaling, since an inverted Normalization
    limits deviations to at least 1e-7.

    Raises
    ------
    ValueError
        For several outputs with Keras' image data format "channels_first", for which Keras' `Rescaling` takes
        the first axis of an array for its channels.
    """
    is_multioutput = len(mean) > 1
    if is_multioutput and keras.config.image_data_format() == "channels_first":
        raise ValueError(
            "Keras' Rescaling layer cannot scale several outputs separately while the image data format "
            "is 'channels_first'; call keras.config.set_image_data_format('channels_last'), or use "
            "normalize_target=False"
        )
    # Arrays, since Keras casts Python numbers to float32.
    scale, offset = (part if is_multioutput else part.reshape(()) for part in (deviation, mean))
    kind = HeadRescaling if isinstance(network.layers[-1], HeadOutputs) else keras.layers.Rescaling
    layer = kind(scale, offset, name=_TARGET_UNITS, dtype=network.layers[-1].dtype_policy)
    return _same_compilation(network, [*network.layers, layer])


def split_target_units(model: keras.Model) -> tuple[keras.Model, np.ndarray, np.ndarray] | None:
    """The arguments from which `model_in_target_units` made a model; None for other models."""
    output_layer: Any = model.layers[-1] if isinstance(model, keras.Sequential) else None
    kinds = (keras.layers.Rescaling, HeadRescaling)
    if type(output_layer) not in kinds or output_layer.name != _TARGET_UNITS:
        return None
    mean, deviation = (
        np.atleast_1d(np.asarray(part, float)) for part in (output_layer.offset, output_layer.scale)
    )
    return _same_compilation(model, model.layers[:-1]), mean, deviation


def _same_compilation(model: keras.Model, layers: list[Any]) -> keras.Model:
    with isolated(dtype=model.variable_dtype):  # otherwise Keras casts float64 rows to float32
        inputs = keras.Input(model.input_shape[1:], dtype=model.inputs[0].dtype, name="input")
        new = keras.Sequential([inputs, *layers], name=model.name)
    if model.compiled:
        new.compile(optimizer=model.optimizer, loss=model.loss)
    return new
