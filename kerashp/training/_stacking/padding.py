"""Widths that differ from member to member: which units are real, and zeros that stay zero in all others."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Any

import keras
import numpy as np
from keras import ops

from kerashp._compat.keras import flatten_layers
from kerashp.training._keras.optimizers import excluded_from_weight_decay, ignores_padding
from kerashp.training._members.room import dense_of
from kerashp.training._runtime.temporary_values import temporary_values

PADDED = (
    keras.layers.Activation,
    keras.layers.BatchNormalization,
    keras.layers.Dense,
    keras.layers.Dropout,
    keras.layers.Flatten,
    keras.layers.InputLayer,
    keras.layers.LayerNormalization,
    keras.layers.Normalization,
)
_NORMALIZING = (keras.layers.BatchNormalization, keras.layers.LayerNormalization)
_FILLS = (0.0, -1e9)  # what may stand in place of the units that are not there, before an activation

Axes = tuple[int | None, ...]  # for each axis the index of a mask, or None where no unit is left out


@dataclass(frozen=True)
class Padding:
    """What is padded in a model, by index: its layers' outputs and its trainable weights.

    The masks themselves are each member's own, of shape `(n_members, width)`.
    """

    layers: tuple[tuple[int, int, float], ...]  # the layer's index in the model, the mask's, see `fill_of`
    weights: tuple[Axes, ...]


class Units:
    """Which units of a model are each member's own.

    Parameters
    ----------
    model : keras.Model
        As wide as the widest member in every layer.
    members : list of lists of layers
        Each member's layers in the order of the model's own, None for one that it lacks.
    spare : list of bool
        Of which Dense layers members may have fewer units than the model, even if none of these has.
    """

    def __init__(self, model: Any, members: Sequence[Sequence[Any]], spare: Sequence[bool]):
        self.masks: list[np.ndarray] = []
        dense = zip(dense_of(model), spare, strict=True)
        self._spare = {id(layer) for layer, may_lack in dense if may_lack}
        self._layers = flatten_layers(model)
        self._members = members
        self._of_tensor: dict[int, int | None] = {}
        self._of_layer: dict[int, int] = {}
        self._axes: dict[int, Axes] = {}
        for node in nodes(model):
            self._pass(node)
        self.padding = Padding(
            layers=tuple(
                (layer, mask, fill_of(getattr(self._layers[layer], "activation", None)) or 0.0)
                for layer, mask in self._of_layer.items()
            ),
            weights=tuple(map(self.axes, model.trainable_variables)),
        )

    def axes(self, variable: Any) -> Axes:
        """The masks of a variable of the model, an axis each."""
        return self._axes.get(id(variable), (None,) * len(variable.shape))

    def of_layer(self, layer: Any) -> np.ndarray | None:
        """The mask of a layer's outputs."""
        index = self._of_layer.get(self._layers.index(layer))
        return None if index is None else self.masks[index]

    def _pass(self, node: Any) -> None:
        layer, (output,) = node.operation, node.outputs
        before = self._of_tensor.get(id(node.input_tensors[0])) if node.input_tensors else None
        after = self._after(layer, before, node)
        self._of_tensor[id(output)] = after
        if after is not None:
            self._of_layer[self._layers.index(layer)] = after
        for variable in layer.variables:
            if type(layer) is keras.layers.Dense:
                self._axes[id(variable)] = (before, after)[-len(variable.shape) :]
            elif type(layer) in _NORMALIZING and after is not None:
                self._axes[id(variable)] = (after,)

    def _after(self, layer: Any, before: int | None, node: Any) -> int | None:
        if type(layer) is keras.layers.Dense:
            if id(layer) not in self._spare:
                return None
            index = self._layers.index(layer)
            widths = np.array([own[index].units for own in self._members])
            return self._added(np.arange(layer.units) < widths[:, None])
        if type(layer) is keras.layers.Flatten and before is not None:
            times = node.outputs[0].shape[-1] // self.masks[before].shape[-1]
            return self._added(np.tile(self.masks[before], times))
        return before

    def _added(self, mask: np.ndarray) -> int:
        self.masks.append(mask)
        return len(self.masks) - 1


def nodes(model: Any) -> list[Any]:
    """The calls of a Sequential's or functional model's layers, in their order."""
    graph = model._functional if isinstance(model, keras.Sequential) else model
    return [
        node for depth in sorted(graph._nodes_by_depth, reverse=True) for node in graph._nodes_by_depth[depth]
    ]


def padded(array: np.ndarray, masks: Sequence[np.ndarray | None]) -> np.ndarray:
    """The array with zeros for the units that are not there; one member's mask, or None, an axis.

    >>> padded(np.array([1.0, 2.0]), [np.array([True, True, False])])
    array([1., 2., 0.])
    """
    shape = [size if mask is None else len(mask) for size, mask in zip(array.shape, masks, strict=True)]
    filled = np.zeros(shape, array.dtype)
    filled[_places(shape, masks)] = array
    return filled


def unpadded(array: np.ndarray, masks: Sequence[np.ndarray | None]) -> np.ndarray:
    """The array of the units that are there."""
    return array[_places(array.shape, masks)]


def _places(shape: Sequence[int], masks: Sequence[np.ndarray | None]) -> Any:
    return np.ix_(
        *[
            np.arange(size) if mask is None else np.flatnonzero(mask)
            for size, mask in zip(shape, masks, strict=True)
        ]
    )


# While a step is traced.


def only_real(model: Any, padding: Padding, masks: Sequence[Any]) -> AbstractContextManager[None]:
    """Inside, the outputs of units that are not there are zero, and no statistics count them."""
    layers = flatten_layers(model)
    changes = [_change(layers[layer], masks[mask], fill) for layer, mask, fill in padding.layers]
    return temporary_values(*[change for change in changes if change])


def zeros_kept(weights: Sequence[Any], padding: Padding, masks: Sequence[Any]) -> list[Any]:
    """The weights, with zeros where there is no unit."""

    def kept(weight: Any, axes: Axes) -> Any:
        rank = len(axes)
        along = [
            ops.reshape(masks[mask], [1] * axis + [-1] + [1] * (rank - axis - 1))
            for axis, mask in enumerate(axes)
            if mask is not None
        ]
        return ops.where(reduce(ops.logical_and, along), weight, ops.zeros_like(weight)) if along else weight

    return [kept(weight, axes) for weight, axes in zip(weights, padding.weights, strict=True)]


def _change(layer: Any, mask: Any, fill: float) -> Any:
    if isinstance(layer, keras.layers.Dense | keras.layers.Activation):
        return vars(layer), "activation", _active(layer.activation, mask, fill)
    if isinstance(layer, keras.layers.LayerNormalization):
        return vars(layer), "call", _normalized(layer, mask)
    return None


def _active(activation: Callable, mask: Any, fill: float) -> Callable:
    def active(x: Any) -> Any:
        outputs = activation(ops.where(mask, x, ops.cast(fill, x.dtype)) if fill else x)
        return ops.where(mask, outputs, ops.zeros_like(outputs))

    return active


def _normalized(layer: Any, mask: Any) -> Callable:
    """Keras' LayerNormalization over the units that are there: mean and variance are of those alone."""

    def call(inputs: Any) -> Any:
        x = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
        n_units = ops.sum(ops.cast(mask, x.dtype))
        centred = ops.where(mask, x - ops.sum(x, axis=-1, keepdims=True) / n_units, ops.zeros_like(x))
        variance = ops.sum(ops.square(centred), axis=-1, keepdims=True) / n_units
        outputs = centred * ops.rsqrt(variance + layer.epsilon)
        outputs = outputs if layer.gamma is None else outputs * ops.cast(layer.gamma, x.dtype)
        outputs = outputs if layer.beta is None else outputs + ops.cast(layer.beta, x.dtype)
        return ops.cast(outputs, layer.compute_dtype)

    return call


# What can be padded. Whether padding changes what a function gives is found by trying it.


def may_be_padded(model: Any) -> list[str]:
    """The names of the Dense layers whose units can be joined by zeros that change nothing.

    Those are all but the ones that outputs come from; or none at all, such as where a model made anew would
    not know which weights the optimizer was told to spare.
    """
    if any(excluded_from_weight_decay(model)):
        return []
    calls = nodes(model)
    if not _can_pad(model, [node.operation for node in calls]):
        return []
    makers = {id(tensor): node for node in calls for tensor in node.outputs}
    outer, tensors = set(), keras.tree.flatten(model.outputs)
    while tensors:
        node = makers[id(tensors.pop())]
        if type(node.operation) is keras.layers.Dense:
            outer.add(node.operation.name)
        else:
            tensors += node.input_tensors
    dense = [node.operation.name for node in calls if type(node.operation) is keras.layers.Dense]
    return [name for name in dense if name not in outer]


def _can_pad(model: Any, layers: Sequence[Any]) -> bool:
    return (
        len(set(map(id, layers))) == len(layers)
        and all(type(layer) in PADDED for layer in layers)
        and all(map(_pads, layers))
        and not any(type(layer) is keras.layers.Normalization for layer in layers[_first_dense(layers) :])
        and ignores_padding(model.optimizer)
    )


def _first_dense(layers: Sequence[Any]) -> int:
    return next((index for index, layer in enumerate(layers) if type(layer) is keras.layers.Dense), 0)


def _pads(layer: Any) -> bool:
    if isinstance(layer, _NORMALIZING):
        axis = layer.axis if isinstance(layer.axis, int) else layer.axis[0] if len(layer.axis) == 1 else None
        rank = len(layer.input.shape)
        if axis not in (-1, rank - 1) or getattr(layer, "rms_scaling", False):
            return False
    if isinstance(layer, keras.layers.Dense | keras.layers.Activation) and fill_of(layer.activation) is None:
        return False
    if isinstance(layer, keras.layers.Dense) and layer.quantization_mode is not None:
        return False
    own = [value for name, value in vars(layer).items() if name.endswith(("_regularizer", "_constraint"))]
    return all(_is_indifferent(function) for function in own if function is not None)


def fill_of(activation: Callable | None) -> float | None:
    """What may be put before an activation without a trace in the units beside it; None: nothing may."""
    if activation is None:
        return _FILLS[0]
    return None if isinstance(activation, keras.Layer) else _fill_of_function(activation)


@lru_cache
def _fill_of_function(activation: Callable) -> float | None:
    x = np.linspace(-2, 2, 12, dtype="float32").reshape(3, 4)
    for fill in _FILLS:
        outputs = ops.convert_to_numpy(activation(np.pad(x, [(0, 0), (0, 4)], constant_values=fill)))
        alone = ops.convert_to_numpy(activation(x))
        if outputs.shape == (3, 8) and np.allclose(outputs[:, :4], alone, rtol=1e-6, atol=1e-7):
            return fill
    return None


def _is_indifferent(function: Callable) -> bool:
    """Whether a regularizer or a constraint gives the same for a kernel with zeros added."""
    for shape in ((3, 4), (4,)):
        weight = np.random.default_rng(0).normal(size=shape).astype("float32")
        masks = [np.arange(size + 2) < size for size in shape]
        try:
            alone = ops.convert_to_numpy(function(ops.convert_to_tensor(weight)))
        except ValueError:  # an OrthogonalRegularizer takes no vector
            continue
        wide = ops.convert_to_numpy(function(ops.convert_to_tensor(padded(weight, masks))))
        wide = unpadded(wide, masks) if np.ndim(wide) else wide
        if not np.allclose(wide, alone, rtol=1e-6):
            return False
    return True
