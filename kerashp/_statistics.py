"""The statistics of training rows with which a layer scales a model's inputs."""

from typing import Any, NamedTuple

import keras
import numpy as np

from kerashp._compat.keras import flatten_layers
from kerashp.layers import PiecewiseLinearEncoding, RobustScaling


class Statistics(NamedTuple):
    """Means and variances of a `keras.layers.Normalization`.

    Parameters
    ----------
    mean : ndarray of shape (n_features,)
        The mean of each feature.
    variance : ndarray of shape (n_features,)
        The variance of each feature.

    Examples
    --------
    >>> import numpy as np
    >>> from kerashp.training import Statistics
    >>> X = np.array([[0.0, 10.0], [2.0, 30.0]])
    >>> statistics = Statistics(X.mean(axis=0), X.var(axis=0))
    >>> statistics.mean.tolist(), statistics.variance.tolist()
    ([1.0, 20.0], [1.0, 100.0])
    """

    mean: np.ndarray
    variance: np.ndarray


class RobustStatistics(NamedTuple):
    """Medians and factors of a `kerashp.layers.RobustScaling`.

    Parameters
    ----------
    median : ndarray of shape (n_features,)
        The median of each feature.
    factor : ndarray of shape (n_features,)
        What its distance from the median is multiplied by; 0 for a constant feature.

    Examples
    --------
    >>> import numpy as np
    >>> from kerashp.training import RobustStatistics
    >>> X = np.array([[0.0, 10.0], [2.0, 30.0], [4.0, 50.0]])
    >>> statistics = RobustStatistics(np.median(X, axis=0), 1 / np.ptp(X, axis=0))
    >>> statistics.median.tolist(), statistics.factor.tolist()
    ([2.0, 30.0], [0.25, 0.025])
    """

    median: np.ndarray
    factor: np.ndarray


class QuantileBins(NamedTuple):
    """Edges of the bins of a `kerashp.layers.PiecewiseLinearEncoding`.

    Parameters
    ----------
    edges : ndarray of shape (n_features, n_bins + 1)
        The edges of each feature's bins, in ascending order.

    Examples
    --------
    >>> import numpy as np
    >>> from kerashp.training import QuantileBins
    >>> X = np.array([[0.0, 10.0], [2.0, 30.0], [4.0, 50.0]])
    >>> QuantileBins(np.quantile(X, [0, 0.5, 1], axis=0).T).edges.tolist()
    [[0.0, 2.0, 4.0], [10.0, 30.0, 50.0]]
    """

    edges: np.ndarray


InputStatistics = Statistics | RobustStatistics | QuantileBins

# The layer that holds each kind, and its weights.
_HOLDERS: dict[type, tuple[type, tuple[str, ...]]] = {
    Statistics: (keras.layers.Normalization, ("adapt_mean", "adapt_variance")),
    RobustStatistics: (RobustScaling, ("median", "factor")),
    QuantileBins: (PiecewiseLinearEncoding, ("edges",)),
}


def scaling_of(model: Any) -> Any:
    """The model's first layer that scales or encodes by statistics that are weights; None if it has none."""
    return next(filter(_holds_statistics, flatten_layers(model)), None)


def _holds_statistics(layer: Any) -> bool:
    has_constants = getattr(layer, "input_mean", None) is not None  # a Normalization of given statistics
    return type(layer) in [holder for holder, _ in _HOLDERS.values()] and not has_constants


def holder_of(statistics: InputStatistics) -> str:
    """The class of layers that hold such statistics."""
    return _HOLDERS[type(statistics)][0].__name__


def statistics_variables(model: Any, statistics: InputStatistics) -> list[tuple[Any, np.ndarray]]:
    """The variables of the model that hold these statistics, each with its value; none if it has none."""
    layer = scaling_of(model)
    holder, names = _HOLDERS[type(statistics)]
    if type(layer) is not holder:
        return []
    return list(zip([getattr(layer, name) for name in names], statistics, strict=True))


def set_statistics(model: Any, statistics: InputStatistics | None) -> None:
    """Set the statistics of the model's scaling layer; None leaves them unchanged."""
    pairs = [] if statistics is None else statistics_variables(model, statistics)
    for variable, value in pairs:
        variable.assign(value)
    if pairs:
        update_normalization(model)


def update_normalization(model: Any) -> None:
    """Refresh the copies of their statistics with which Normalization layers compute."""
    layers = [layer for layer in flatten_layers(model) if hasattr(layer, "finalize_state")]
    for layer in layers:
        layer.finalize_state()
    if layers:  # Keras traces the copies as constants
        model.train_function = model.test_function = model.predict_function = None
