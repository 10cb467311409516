"""The means and variances by which a layer standardises a model's inputs."""

from typing import Any, NamedTuple

import keras
import numpy as np

from kerashp._compat.keras import flatten_layers


class Statistics(NamedTuple):
    """What a `keras.layers.Normalization` computes with; arrays of shape `(n_features,)`."""

    mean: np.ndarray
    variance: np.ndarray


def normalization_of(model: Any) -> Any:
    """The model's Normalization layer whose statistics are weights; None where it has none."""
    return next(
        (
            layer
            for layer in flatten_layers(model)
            if type(layer) is keras.layers.Normalization and layer.input_mean is None
        ),
        None,
    )


def set_statistics(model: Any, statistics: Statistics | None) -> None:
    """Let the model's Normalization compute with these; None leaves it as it is."""
    layer = None if statistics is None else normalization_of(model)
    if statistics is not None and layer is not None:
        layer.adapt_mean.assign(statistics.mean)
        layer.adapt_variance.assign(statistics.variance)
        take_statistics(model)


def take_statistics(model: Any) -> None:
    """Let the model compute with the statistics that are its weights now, of which its layers have copies."""
    layers = [layer for layer in flatten_layers(model) if hasattr(layer, "finalize_state")]
    for layer in layers:
        layer.finalize_state()
    if layers:  # Keras has traced the copies as constants
        model.train_function = model.test_function = model.predict_function = None
