"""Networks whose models are made when they are asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kerashp.training import Variant


@dataclass(frozen=True, eq=False)
class PendingNetwork:
    """A network of an estimator; most of those that a search trains are never needed as models.

    Attributes
    ----------
    architecture : keras.Model
        A model of its graph shape, whose numbers, widths and values may be others.
    make : callable
        Makes its model, with the weights that it has by now.
    variant : Variant or None, default=None
        Its differences from `architecture`; None: that is the model itself.
    weights : callable, default=None
        Gives its trained weights.
    """

    architecture: keras.Model
    make: Callable[[], keras.Model]
    variant: Variant | None = None
    weights: Callable[[], Sequence[np.ndarray]] | None = None

    def __reduce__(self) -> Any:
        return model_of, (self.make(),)  # of a model, that model


def architecture_of(network: Any) -> keras.Model:
    """A model of the network's layers, loss and metrics, whose widths and values may be others."""
    return network.architecture if isinstance(network, PendingNetwork) else network


def model_of(network: Any) -> keras.Model:
    """The network's model."""
    return network.make() if isinstance(network, PendingNetwork) else network


def weights_of(network: Any) -> Sequence[np.ndarray]:
    """The network's weights."""
    if isinstance(network, PendingNetwork) and network.weights is not None:
        return network.weights()
    weights: Sequence[np.ndarray] = model_of(network).get_weights()
    return weights


def make_model(estimator: Any) -> None:
    """Let a fitted estimator hold its model, and not the training that it comes from."""
    if "model_" in vars(estimator):
        vars(estimator)["model_"] = model_of(vars(estimator)["model_"])
