"""The means and variances with which a Normalization layer standardises a model's inputs."""

from typing import Any, NamedTuple

import keras
import numpy as np

from kerashp._compat.keras import flatten_layers


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


def normalization_of(model: Any) -> Any:
    """The model's Normalization layer whose statistics are weights; None if it has none."""
    return next(
        (
            layer
            for layer in flatten_layers(model)
            if type(layer) is keras.layers.Normalization and layer.input_mean is None
        ),
        None,
    )


def set_statistics(model: Any, statistics: Statistics | None) -> None:
    """Set the statistics of the model's Normalization layer; None leaves them unchanged."""
    layer = None if statistics is None else normalization_of(model)
    if statistics is not None and layer is not None:
        layer.adapt_mean.assign(statistics.mean)
        layer.adapt_variance.assign(statistics.variance)
        update_normalization(model)


def update_normalization(model: Any) -> None:
    """Refresh the copies of their statistics with which Normalization layers compute."""
    layers = [layer for layer in flatten_layers(model) if hasattr(layer, "finalize_state")]
    for layer in layers:
        layer.finalize_state()
    if layers:  # Keras traces the copies as constants
        model.train_function = model.test_function = model.predict_function = None
