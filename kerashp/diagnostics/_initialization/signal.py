"""The inputs, outputs and gradients of a model's layers."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from kerashp.diagnostics._foundations.forward_pass import (
    ForwardPass,
    ModelData,
    Place,
    layers_by_name,
    tap_layers,
)
from kerashp.layers import HeadAffine, HeadScale
from kerashp.training._runtime.backend import backend

_WITHOUT_KERNEL = (keras.layers.Embedding, HeadAffine, HeadScale)


@dataclass(frozen=True)
class LayerSignal:
    """The inputs, outputs and gradients of one layer, as arrays of shape `(n, units)`."""

    name: str
    layer: Any
    inputs: np.ndarray
    outputs: np.ndarray
    positions: int  # in the outputs of a row: steps of a sequence, pixels; 1 if there are only units
    gradients: np.ndarray  # of the loss with respect to `outputs`
    kernel: np.ndarray | None
    kernel_gradient: np.ndarray | None


class _SignalRecorder:
    """A tap that records the inputs and outputs of layers, and adds a tensor to each output."""

    def __init__(self) -> None:
        self.places: list[Place] = []
        self.tensors: list[Any] = []
        self._added: Iterator[Any] = iter(())

    def begin(self, added: Sequence[Any]) -> None:
        """Prepare a forward pass with a tensor to add to each output; with none in the first pass."""
        self.places, self.tensors, self._added = [], [], iter(added)

    def outputs(self) -> list[Any]:
        """The outputs of the layers in the last pass."""
        pairs = zip(self.places, self.tensors, strict=True)
        return [tensor for place, tensor in pairs if place.side == "out"]

    def __call__(self, place: Place, tensor: Any) -> Any:
        self.places.append(place)
        self.tensors.append(tensor)
        return tensor if place.side == "in" else tensor + next(self._added, 0.0)


def layer_signals(
    model: Any, data: ModelData, loss_of: Callable[[ForwardPass, Any], Any]
) -> list[LayerSignal]:
    """The signals of the model's layers, in the order of their first calls.

    `loss_of` computes a scalar from a forward pass and the model's trainable weights.
    """
    recorder = _SignalRecorder()
    weights = [ops.convert_to_numpy(variable) for variable in model.trainable_variables]

    def loss(parts: Sequence[Any], forward_pass: ForwardPass) -> Any:
        recorder.begin(parts[len(weights) :])
        with tap_layers(model, recorder):
            return loss_of(forward_pass, parts[: len(weights)])

    loss(weights, ForwardPass(model, data))
    forward_pass = ForwardPass(model, data)  # again: a loss may create variables in its first call
    added = [np.zeros(tensor.shape) for tensor in recorder.outputs()]

    def tensors_and_gradients(*parts: Any) -> list[Any]:
        _, tensors, gradients = backend().value_and_grad(
            lambda parts: (loss(parts, forward_pass), list(recorder.tensors)), list(parts)
        )
        pairs = zip(parts, gradients, strict=True)
        return [
            *tensors,
            *[ops.zeros_like(part) if gradient is None else gradient for part, gradient in pairs],
        ]

    parts = [*weights, *added]
    compiled = backend().for_any_rows(tensors_and_gradients, parts, 0)
    arrays = list(map(ops.convert_to_numpy, compiled(*parts)))
    tensors, gradients = arrays[: -len(parts)], arrays[-len(parts) :]
    of_weights = dict(zip(map(id, model.trainable_variables), gradients, strict=False))
    layers = layers_by_name(model)
    sides = _sides(recorder.places, tensors, gradients[len(weights) :])
    return [_signal_of_layer(name, layers[name], sides[name], of_weights) for name in sides]


def _sides(
    places: Sequence[Place], tensors: Sequence[np.ndarray], of_outputs: Sequence[np.ndarray]
) -> dict[str, dict[str, list[np.ndarray]]]:
    """The inputs ("in"), outputs ("out") and gradients with respect to the outputs, by layer."""
    sides: dict[str, dict[str, list[np.ndarray]]] = {}
    gradients = iter(of_outputs)
    for place, tensor in zip(places, tensors, strict=True):
        layer_sides = sides.setdefault(place.layer, {"in": [], "out": [], "gradient": []})
        layer_sides[place.side].append(tensor)
        if place.side == "out":
            layer_sides["gradient"].append(next(gradients))
    return sides


def _signal_of_layer(
    name: str, layer: Any, sides: dict[str, list[np.ndarray]], of_weights: dict[int, np.ndarray]
) -> LayerSignal:
    inputs, outputs, gradients = (_by_unit(sides[side], layer) for side in ("in", "out", "gradient"))
    positions = math.prod(sides["out"][0].shape[1:]) // max(1, outputs.shape[1]) if sides["out"] else 1
    kernel = kernel_of(layer)
    values = None if kernel is None else ops.convert_to_numpy(kernel)
    return LayerSignal(name, layer, inputs, outputs, positions, gradients, values, of_weights.get(id(kernel)))


def _by_unit(arrays: Sequence[np.ndarray], layer: Any) -> np.ndarray:
    """The first of a layer's tensors and those of the same width, as an array of shape `(n, units)`."""
    if getattr(layer, "data_format", None) == "channels_first":
        arrays = [np.moveaxis(array, 1, -1) if array.ndim > 2 else array for array in arrays]
    if not arrays:
        return np.zeros((0, 0))
    width = arrays[0].shape[-1]
    return np.concatenate([array.reshape(-1, width) for array in arrays if array.shape[-1] == width])


def kernel_of(layer: Any) -> Any:
    """The first weight of a layer that multiplies the inputs; None if there is none."""
    if isinstance(layer, _WITHOUT_KERNEL) or is_activation(layer):
        return None
    return next((weight for weight in layer.weights if len(weight.shape) > 1), None)


def is_recurrent(layer: Any) -> bool:
    """Whether a layer processes steps in order, with kernels for its inputs and for its state."""
    return isinstance(layer, keras.layers.RNN | keras.layers.Bidirectional)


def is_activation(layer: Any) -> bool:
    """Whether a layer only applies an activation."""
    return isinstance(layer, keras.layers.Activation) or ".layers.activations." in type(layer).__module__
