"""Hidden widths and depths that differ by member: masks of the units that each has, zeros for the others."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial, reduce
from typing import Any

import keras
import numpy as np
from keras import ops

from kerashp._compat.keras import calls_after, calls_of, flatten_layers
from kerashp.layers import (
    FRONT_LAYERS,
    HIDDEN_LAYERS,
    CategoricalColumns,
    FanInScaling,
    HeadAffine,
    HeadOutputs,
    HeadScale,
    LearnedBias,
    LearnedScale,
    ParametricActivation,
    PeriodicEmbedding,
    PiecewiseLinearEncoding,
    RobustScaling,
)
from kerashp.training._keras.identity import can_be_made_from_config
from kerashp.training._keras.optimizers import ignores_padding
from kerashp.training._members.room import DENSE, WIDTHS, Room, width_places
from kerashp.training._runtime.temporary_values import Change, temporary_values
from kerashp.training._stacking.repeated_layers import layers_that_can_be_missing

PADDED = (
    keras.layers.Activation,
    keras.layers.BatchNormalization,
    keras.layers.Dense,
    keras.layers.Dropout,
    keras.layers.Flatten,
    keras.layers.InputLayer,
    keras.layers.LayerNormalization,
    keras.layers.Normalization,
    *FRONT_LAYERS,
    *HIDDEN_LAYERS,
    HeadOutputs,
)
_NORMALIZING = (keras.layers.BatchNormalization, keras.layers.LayerNormalization)
_BEFORE_DENSE = (keras.layers.Normalization, *FRONT_LAYERS)  # where no units can be missing
_SCALES = (LearnedScale, FanInScaling, HeadScale)
# They have a weight for each unit, or for each head and unit.
_BY_UNIT = (*_NORMALIZING, HeadAffine, HeadScale, LearnedBias, LearnedScale, ParametricActivation)
_BY_NUMBER = (PeriodicEmbedding, PiecewiseLinearEncoding, RobustScaling)  # for each of the first inputs
_FILLS = (0.0, -1e9)  # inputs of an activation that may stand in place of missing units

Axes = tuple[int | None, ...]  # for each axis the index of a mask, or None where no unit is left out


@dataclass(frozen=True)
class Padding:
    """Which outputs of layers and which trainable weights of a model are padded, by the index of a mask.

    The masks themselves, of shape `(n_members, width)`, differ by member. A hidden layer that a member lacks
    passes on the outputs of the one before: they are not zero, but its weights are.
    """

    layers: tuple[tuple[int, int, float], ...]  # the layer's index in the model, the mask's, see `fill_of`
    weights: tuple[Axes, ...]
    gates: tuple[tuple[int, int, int], ...]  # first and last layer of a hidden one, and the mask of its units


class UnitMasks:
    """Masks of the units of a model that each member has.

    Parameters
    ----------
    model : keras.Model
        As wide as the widest member in every layer.
    members : list of lists of layers
        Each member's layers in the order of the model's, None for one that it lacks.
    room : Room
        In which Dense layers members may have fewer units than the model, and which they may lack, even if
        none of these has or does.
    columns : bool array of shape (n_members, n_inputs), default=None
        Which columns of the input each member has; None: all have all.
    """

    def __init__(
        self,
        model: Any,
        members: Sequence[Sequence[Any]],
        room: Room,
        columns: np.ndarray | None = None,
    ):
        self.masks: list[np.ndarray] = []
        self._columns = columns
        places = zip(width_places(model), room.spare, strict=True)
        self._spare = {(id(layer), name) for (layer, name), is_spare in places if is_spare}
        gated = layers_that_can_be_missing(model, room.spare_layers)
        self._gated = {id(hidden.dense) for hidden in gated}
        self._layers = flatten_layers(model)
        self._members = members
        self._widths = np.zeros(len(members), int)  # of the members' last Dense layers so far
        self._of_tensor: dict[int, int | None] = {}
        self._of_layer: dict[int, int] = {}
        self._present: dict[int, int] = {}  # the masks of units that have weights, by the masks of outputs
        self._axes: dict[int, Axes] = {}
        for node in calls_of(model):
            self._follow(node)
        self.padding = Padding(
            layers=tuple(
                (layer, mask, fill_of(getattr(self._layers[layer], "activation", None)) or 0.0)
                for layer, mask in self._of_layer.items()
            ),
            weights=tuple(map(self.axes, model.trainable_variables)),
            gates=tuple(
                (
                    self._layers.index(hidden.first),
                    self._layers.index(hidden.last),
                    self._present[self._of_layer[self._layers.index(hidden.dense)]],
                )
                for hidden in gated
            ),
        )

    def axes(self, variable: Any) -> Axes:
        """The index of a mask, or None, for each axis of a variable of the model."""
        return self._axes.get(id(variable), (None,) * len(variable.shape))

    def of_layer(self, layer: Any) -> np.ndarray | None:
        """The mask of a layer's outputs."""
        index = self._of_layer.get(self._layers.index(layer))
        return None if index is None else self.masks[index]

    def _follow(self, node: Any) -> None:
        layer, (output,) = node.operation, node.outputs
        input_mask = self._of_tensor.get(id(node.input_tensors[0])) if node.input_tensors else None
        mask = self._output_mask(layer, input_mask, node)
        self._of_tensor[id(output)] = mask
        present = mask
        if mask is not None:
            self._of_layer[self._layers.index(layer)] = mask
            present = self._present.get(mask, mask)
        for variable in layer.variables:
            rank = len(variable.shape)
            if type(layer) in DENSE:
                self._axes[id(variable)] = _axes_of_dense(layer, variable, input_mask, present)
            elif type(layer) is CategoricalColumns:
                names = ("n_embedded_categories", "embedding_dim")
                self._axes[id(variable)] = tuple(self._mask_of_width(layer, name) for name in names)
            elif type(layer) in _BY_UNIT and mask is not None:
                self._axes[id(variable)] = (*[None] * (rank - 1), present)
            elif type(layer) is keras.layers.Normalization and mask is not None:
                self._axes[id(variable)] = (mask,)[:rank]
            elif type(layer) in _BY_NUMBER and input_mask is not None:
                numbers = self._add(self.masks[input_mask][:, : variable.shape[0]])
                self._axes[id(variable)] = (numbers, *[None] * (rank - 1))

    def _output_mask(self, layer: Any, input_mask: int | None, node: Any) -> int | None:
        if type(layer) is keras.layers.InputLayer and self._columns is not None:
            return self._add(self._columns)
        if type(layer) in DENSE:
            return self._mask_of_dense(layer)
        if type(layer) is CategoricalColumns:
            return self._mask_of_categories(layer, input_mask, node.input_tensors[0].shape[-1])
        if type(layer) in _BY_NUMBER and input_mask is not None:
            return self._mask_of_embedding(layer, input_mask, node.outputs[0].shape[-1])
        if type(layer) is keras.layers.Flatten and input_mask is not None:
            times = node.outputs[0].shape[-1] // self.masks[input_mask].shape[-1]
            return self._add(np.tile(self.masks[input_mask], times))
        return input_mask

    def _mask_of_dense(self, layer: Any) -> int | None:
        index = self._layers.index(layer)
        own_layers = [layers[index] for layers in self._members]
        pairs = zip(own_layers, self._widths, strict=True)
        self._widths = np.array([width if own is None else own.units for own, width in pairs])
        if (id(layer), "units") not in self._spare:
            return None
        mask = self._add(np.arange(layer.units) < self._widths[:, None])
        if id(layer) in self._gated:
            exists = np.array([own is not None for own in own_layers])
            self._present[mask] = self._add(self.masks[mask] & exists[:, None])
        return mask

    def _mask_of_embedding(self, layer: Any, input_mask: int, n_outputs: int) -> int:
        """The mask of a layer that has several outputs for each of its first inputs, and passes others on."""
        n_numbers = layer.variables[0].shape[0]
        numbers, others = np.split(self.masks[input_mask], [n_numbers], axis=1)
        times = (n_outputs - others.shape[1]) // n_numbers
        return self._add(np.hstack([np.repeat(numbers, times, axis=1), others]))

    def _mask_of_categories(self, layer: Any, input_mask: int | None, n_inputs: int) -> int | None:
        """The mask of a CategoricalColumns: its outputs for categories that a member lacks are zeros."""
        one_hot = self._mask_of_width(layer, "n_one_hot_categories")
        vector = self._mask_of_width(layer, "embedding_dim")
        if one_hot is None and vector is None and input_mask is None:
            return None

        def mask(index: int | None, width: int) -> np.ndarray:
            return np.ones((len(self._members), width), bool) if index is None else self.masks[index]

        ends = n_inputs - layer.n_one_hot - layer.n_embedded, n_inputs - layer.n_embedded
        others, _, embedded = np.split(mask(input_mask, n_inputs), ends, axis=1)
        vectors = embedded[:, :, None] & mask(vector, layer.embedding_dim)[:, None]
        one_hot_columns = mask(one_hot, layer.n_one_hot_categories)
        return self._add(np.hstack([others, one_hot_columns, vectors.reshape(len(vectors), -1)]))

    def _mask_of_width(self, layer: Any, name: str) -> int | None:
        if (id(layer), name) not in self._spare:
            return None
        index = self._layers.index(layer)
        widths = np.array([getattr(layers[index], name) for layers in self._members])
        return self._add(np.arange(getattr(layer, name)) < widths[:, None])

    def _add(self, mask: np.ndarray) -> int:
        self.masks.append(mask)
        return len(self.masks) - 1


def _axes_of_dense(layer: Any, variable: Any, input_mask: int | None, output_mask: int | None) -> Axes:
    """The axes of a kernel or a bias, which may have one of heads before them."""
    masks = (input_mask, output_mask) if variable is layer.kernel else (output_mask,)
    return (*[None] * (len(variable.shape) - len(masks)), *masks)


def pad(array: np.ndarray, masks: Sequence[np.ndarray | None], fill: float = 0) -> np.ndarray:
    """The array with zeros, or `fill`, for missing units, by one mask of a member, or None, for each axis.

    >>> pad(np.array([1.0, 2.0]), [np.array([True, True, False])])
    array([1., 2., 0.])
    """
    shape = [size if mask is None else len(mask) for size, mask in zip(array.shape, masks, strict=True)]
    filled = np.full(shape, fill, array.dtype)
    filled[_unit_positions(shape, masks)] = array
    return filled


def unpad(array: np.ndarray, masks: Sequence[np.ndarray | None]) -> np.ndarray:
    """The array without the zeros of missing units."""
    return array[_unit_positions(array.shape, masks)]


def _unit_positions(shape: Sequence[int], masks: Sequence[np.ndarray | None]) -> Any:
    return np.ix_(
        *[
            np.arange(size) if mask is None else np.flatnonzero(mask)
            for size, mask in zip(shape, masks, strict=True)
        ]
    )


# While a step is traced.


@contextmanager
def outputs_masked(model: Any, padding: Padding, masks: Sequence[Any]) -> Iterator[None]:
    """Inside, missing units have outputs of zero and no part in statistics; missing layers pass inputs on."""
    layers = flatten_layers(model)
    changes = [_change(layers[layer], masks[mask], fill) for layer, mask, fill in padding.layers]
    with temporary_values(*[change for change in changes if change]):
        gates = [_gated(layers[first], layers[last], masks[mask][0]) for first, last, mask in padding.gates]
        with temporary_values(*[change for gate in gates for change in gate]):
            yield


def mask_weights(weights: Sequence[Any], padding: Padding, masks: Sequence[Any]) -> list[Any]:
    """The weights, with zeros for missing units."""

    def masked(weight: Any, axes: Axes) -> Any:
        rank = len(axes)
        along = [
            ops.reshape(masks[mask], [1] * axis + [-1] + [1] * (rank - axis - 1))
            for axis, mask in enumerate(axes)
            if mask is not None
        ]
        return ops.where(reduce(ops.logical_and, along), weight, ops.zeros_like(weight)) if along else weight

    return [masked(weight, axes) for weight, axes in zip(weights, padding.weights, strict=True)]


def _change(layer: Any, mask: Any, fill: float) -> Any:
    if isinstance(layer, keras.layers.Dense | keras.layers.Activation):
        return vars(layer), "activation", _active(layer.activation, mask, fill)
    if isinstance(layer, keras.layers.LayerNormalization):
        return vars(layer), "call", _normalized(layer, mask)
    return None


def _gated(first: Any, last: Any, exists: Any) -> list[Change]:
    """Calls of the layers of a hidden one by which it passes on its inputs where it does not exist.

    Its weights are zeros then, and what they compute is finite: its gradients are zeros.
    """
    calls = {layer: layer.call for layer in (first, last)}
    passed: list[Any] = []

    def call(layer: Any, x: Any, *arguments: Any, **options: Any) -> Any:
        if layer is first:
            passed[:] = [x]
        outputs = calls[layer](x, *arguments, **options)
        if layer is not last:
            return outputs
        return ops.where(exists, outputs, _fitted(passed.pop(), outputs.shape[-1]))

    return [(vars(layer), "call", partial(call, layer)) for layer in calls]


def _fitted(x: Any, width: int) -> Any:
    """The units of x, of which those beyond `width` are missing, or with zeros up to it."""
    n_more = width - x.shape[-1]
    return ops.pad(x, [*[(0, 0)] * (len(x.shape) - 1), (0, n_more)]) if n_more > 0 else x[..., :width]


def _active(activation: Callable, mask: Any, fill: float) -> Callable:
    def active(x: Any) -> Any:
        outputs = activation(ops.where(mask, x, ops.cast(fill, x.dtype)) if fill else x)
        return ops.where(mask, outputs, ops.zeros_like(outputs))

    return active


def _normalized(layer: Any, mask: Any) -> Callable:
    """Keras' LayerNormalization over the units that a member has: mean and variance are of those alone."""

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


# What can be padded. Whether padding changes the value of a function is found by trying it.


def paddable_layers(model: Any) -> list[str]:
    """The names of the layers that can be padded without a change of any other value.

    Those are all Dense layers but those that outputs come from, and a CategoricalColumns in front of them; or
    none at all, such as where a model made from the config would not be like this one.
    """
    calls = calls_of(model)
    if not can_be_padded(model):
        return []
    makers = {id(tensor): node for node in calls for tensor in node.outputs}
    outer, tensors = set(), keras.tree.flatten(model.outputs)
    while tensors:
        node = makers[id(tensors.pop())]
        if type(node.operation) in DENSE:
            outer.add(node.operation.name)
        else:
            tensors += node.input_tensors
    layers = [node.operation for node in calls if type(node.operation) in WIDTHS]
    return [
        layer.name
        for layer in layers
        if layer.name not in outer and (type(layer) in DENSE or _feeds_dense(layer))
    ]


def _feeds_dense(layer: Any) -> bool:
    """Whether Dense layers alone take the outputs of a layer, or scales of them."""
    consumers = [node.operation for node in calls_after(layer)]
    return bool(consumers) and all(
        type(one) in DENSE or (type(one) in _SCALES and _feeds_dense(one)) for one in consumers
    )


def can_be_padded(model: Any) -> bool:
    """Whether zeros in place of missing weights and inputs leave the values of a model's layers unchanged."""
    layers = [node.operation for node in calls_of(model)]
    return (
        can_be_made_from_config(model)
        and len(set(map(id, layers))) == len(layers)
        and all(type(layer) in PADDED for layer in layers)
        and all(map(_layer_can_be_padded, layers))
        and not any(type(layer) in _BEFORE_DENSE for layer in layers[_first_dense(layers) :])
        and ignores_padding(model.optimizer)
    )


def _first_dense(layers: Sequence[Any]) -> int:
    return next((index for index, layer in enumerate(layers) if type(layer) in DENSE), 0)


def _layer_can_be_padded(layer: Any) -> bool:
    if isinstance(layer, _NORMALIZING):
        axis = layer.axis if isinstance(layer.axis, int) else layer.axis[0] if len(layer.axis) == 1 else None
        rank = len(layer.input.shape)
        if axis not in (-1, rank - 1) or getattr(layer, "rms_scaling", False):
            return False
    if isinstance(layer, keras.layers.Dense | keras.layers.Activation) and fill_of(layer.activation) is None:
        return False
    if isinstance(layer, keras.layers.Dense) and layer.quantization_mode is not None:
        return False
    functions = [
        value for name, value in vars(layer).items() if name.endswith(("_regularizer", "_constraint"))
    ]
    return all(_is_unchanged_by_zeros(function) for function in functions if function is not None)


def fill_of(activation: Callable | None) -> float | None:
    """An input for missing units by which an activation leaves the others as they are; None: none does."""
    if activation is None:
        return _FILLS[0]
    return None if isinstance(activation, keras.Layer) else _fill_of_function(activation)


@lru_cache
def _fill_of_function(activation: Callable) -> float | None:
    x = np.linspace(-2, 2, 12, dtype="float32").reshape(3, 4)
    for fill in _FILLS:
        outputs = ops.convert_to_numpy(activation(np.pad(x, [(0, 0), (0, 4)], constant_values=fill)))
        expected = ops.convert_to_numpy(activation(x))
        if outputs.shape == (3, 8) and np.allclose(outputs[:, :4], expected, rtol=1e-6, atol=1e-7):
            return fill
    return None


def _is_unchanged_by_zeros(function: Callable) -> bool:
    """Whether a regularizer or a constraint has the same value for a kernel with zeros added."""
    for shape in ((3, 4), (4,)):
        weight = np.random.default_rng(0).normal(size=shape).astype("float32")
        masks = [np.arange(size + 2) < size for size in shape]
        try:
            expected = ops.convert_to_numpy(function(ops.convert_to_tensor(weight)))
        except ValueError:  # an OrthogonalRegularizer takes no vector
            continue
        value = ops.convert_to_numpy(function(ops.convert_to_tensor(pad(weight, masks))))
        value = unpad(value, masks) if np.ndim(value) else value
        if not np.allclose(value, expected, rtol=1e-6):
            return False
    return True
