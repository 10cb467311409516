"""What goes into a model's layers, comes out of them, and comes back as gradients."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from kerashp.diagnostics._foundations.passes import Pass, Place, Rows, layers_of, tapped
from kerashp.training._runtime.backend import backend


@dataclass(frozen=True)
class Passed:
    """What one layer takes in and gives out: arrays of shape `(n, units)`."""

    name: str
    layer: Any
    inputs: np.ndarray
    outputs: np.ndarray
    positions: int  # of a row in the outputs: steps of a sequence, pixels; 1 where there are units alone
    gradients: np.ndarray  # of the loss with respect to `outputs`
    kernel: np.ndarray | None
    kernel_gradient: np.ndarray | None


class _Records:
    """Keeps what goes into the layers and comes out of them, and adds something to what comes out."""

    def __init__(self) -> None:
        self.places: list[Place] = []
        self.tensors: list[Any] = []
        self._added: Iterator[Any] = iter(())

    def begin(self, added: Sequence[Any]) -> None:
        """Before a pass: the tensors to add, one for each that comes out; none in the first pass."""
        self.places, self.tensors, self._added = [], [], iter(added)

    def coming_out(self) -> list[Any]:
        """What came out of the layers in the last pass."""
        both = zip(self.places, self.tensors, strict=True)
        return [tensor for place, tensor in both if place.side == "out"]

    def __call__(self, place: Place, tensor: Any) -> Any:
        self.places.append(place)
        self.tensors.append(tensor)
        return tensor if place.side == "in" else tensor + next(self._added, 0.0)


def passed_through(model: Any, rows: Rows, loss_of: Callable[[Pass, Any], Any]) -> list[Passed]:
    """What each of the model's layers does with the rows, in the order of their first calls.

    `loss_of` makes a scalar of a pass and the model's trainable weights.
    """
    records = _Records()
    weights = [ops.convert_to_numpy(variable) for variable in model.trainable_variables]

    def loss(parts: Sequence[Any], through: Pass) -> Any:
        records.begin(parts[len(weights) :])
        with tapped(model, records):
            return loss_of(through, parts[: len(weights)])

    loss(weights, Pass(model, rows))
    through = Pass(model, rows)  # with the variables that a loss makes in its first call
    added = [np.zeros(tensor.shape) for tensor in records.coming_out()]

    def everything(*parts: Any) -> list[Any]:
        _, tensors, gradients = backend().value_and_grad(
            lambda parts: (loss(parts, through), list(records.tensors)), list(parts)
        )
        both = zip(parts, gradients, strict=True)
        return [*tensors, *[ops.zeros_like(part) if own is None else own for part, own in both]]

    parts = [*weights, *added]
    found = [ops.convert_to_numpy(each) for each in backend().for_any_rows(everything, parts, 0)(*parts)]
    tensors, gradients = found[: -len(parts)], found[-len(parts) :]
    of_weights = {
        id(variable): own for variable, own in zip(model.trainable_variables, gradients, strict=False)
    }
    layers = layers_of(model)
    sides = _sides(records.places, tensors, gradients[len(weights) :])
    return [_of_layer(name, layers[name], sides[name], of_weights) for name in sides]


def _sides(
    places: Sequence[Place], tensors: Sequence[np.ndarray], of_outputs: Sequence[np.ndarray]
) -> dict[str, dict[str, list[np.ndarray]]]:
    """By layer: what goes in and comes out, and the gradients with respect to the latter."""
    sides: dict[str, dict[str, list[np.ndarray]]] = {}
    gradients = iter(of_outputs)
    for place, tensor in zip(places, tensors, strict=True):
        own = sides.setdefault(place.layer, {"in": [], "out": [], "gradient": []})
        own[place.side].append(tensor)
        if place.side == "out":
            own["gradient"].append(next(gradients))
    return sides


def _of_layer(
    name: str, layer: Any, sides: dict[str, list[np.ndarray]], of_weights: dict[int, np.ndarray]
) -> Passed:
    inputs, outputs, gradients = (_by_unit(sides[side], layer) for side in ("in", "out", "gradient"))
    positions = math.prod(sides["out"][0].shape[1:]) // max(1, outputs.shape[1]) if sides["out"] else 1
    kernel = kernel_of(layer)
    own = None if kernel is None else ops.convert_to_numpy(kernel)
    return Passed(name, layer, inputs, outputs, positions, gradients, own, of_weights.get(id(kernel)))


def _by_unit(arrays: Sequence[np.ndarray], layer: Any) -> np.ndarray:
    """The first of a layer's tensors, and those of its width, as one of shape `(n, units)`."""
    if getattr(layer, "data_format", None) == "channels_first":
        arrays = [np.moveaxis(each, 1, -1) if each.ndim > 2 else each for each in arrays]
    if not arrays:
        return np.zeros((0, 0))
    width = arrays[0].shape[-1]
    return np.concatenate([each.reshape(-1, width) for each in arrays if each.shape[-1] == width])


def kernel_of(layer: Any) -> Any:
    """The first of a layer's weights that multiplies its inputs."""
    if isinstance(layer, keras.layers.Embedding) or is_activation(layer):
        return None
    return next((weight for weight in layer.weights if len(weight.shape) > 1), None)


def is_recurrent(layer: Any) -> bool:
    """Whether a layer goes through steps in order, with kernels for its inputs and for its state."""
    return isinstance(layer, keras.layers.RNN | keras.layers.Bidirectional)


def is_activation(layer: Any) -> bool:
    """Whether a layer applies an activation and nothing else."""
    return isinstance(layer, keras.layers.Activation) or ".layers.activations." in type(layer).__module__
