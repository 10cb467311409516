"""Networks whose models are made when they are asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import keras
import numpy as np

from kerashp._statistics import update_normalization
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
    values : callable, default=None
        Gives the values of its variables after training: those of the trainable ones, then of the others.
    untrained : PendingNetwork, keras.Model or None, default=None
        The network as it was before its training, where the values come from a population.
    """

    architecture: keras.Model
    make: Callable[[], keras.Model]
    variant: Variant | None = None
    values: Callable[[], Sequence[Sequence[np.ndarray]]] | None = None
    untrained: Any = None

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
    if isinstance(network, PendingNetwork) and network.values is not None:
        return [array for group in network.values() for array in group]
    weights: Sequence[np.ndarray] = model_of(network).get_weights()
    return weights


def n_bytes_of_weights(estimator: Any) -> int:
    """The bytes of the weights of a fitted estimator's network."""
    return sum(np.asarray(weight).nbytes for weight in weights_of(vars(estimator)["model_"]))


def make_model(estimator: Any) -> None:
    """Let a fitted estimator hold its model, and not the training that it comes from."""
    if "model_" in vars(estimator):
        vars(estimator)["model_"] = model_of(vars(estimator)["model_"])


def leave_population(estimator: Any) -> None:
    """Let a fitted estimator hold the values of its network, and not the population that trained it.

    Its optimizer begins anew where the training is continued.
    """
    network = vars(estimator).get("model_")
    if isinstance(network, PendingNetwork) and network.values is not None:
        values = [[np.array(array) for array in group] for group in network.values()]
        make = partial(_with_values, network.untrained, values)
        vars(estimator)["model_"] = replace(network, make=make, values=partial(list, values))


def _with_values(network: Any, values: Sequence[Sequence[np.ndarray]]) -> keras.Model:
    model = model_of(network)
    model.optimizer.build(model.trainable_variables)
    for variables, arrays in zip(
        (model.trainable_variables, model.non_trainable_variables), values, strict=True
    ):
        for variable, array in zip(variables, arrays, strict=True):
            variable.assign(array)
    update_normalization(model)
    return model
